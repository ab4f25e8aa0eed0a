class StorageUnavailable(Exception):
    """The media storage cannot be reached or does not answer as it should."""


class UploadGone(Exception):
    """S3 knows no such multipart upload: it was completed, aborted, or ended by the bucket's lifecycle rule."""


class PartsRefused(Exception):
    """S3 does not make an object of these parts: one was replaced meanwhile, or is too small."""


class ObjectChanged(Exception):
    """There is no such object, or another one than before."""


class BatchUnavailable(Exception):
    """AWS Batch cannot be reached or does not answer as it should."""


class QueueUnavailable(Exception):
    """The message queue cannot be reached or does not answer as it should."""
