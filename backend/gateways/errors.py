class StorageUnavailable(Exception):
    """The media storage cannot be reached or does not answer as it should."""


class BatchUnavailable(Exception):
    """AWS Batch cannot be reached or does not answer as it should."""


class QueueUnavailable(Exception):
    """The message queue cannot be reached or does not answer as it should."""
