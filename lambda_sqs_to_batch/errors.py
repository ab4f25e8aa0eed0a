"""Why a request was not submitted."""


class SettingsInvalid(ValueError):
    """The function's environment is not complete."""


class SubmissionPostponed(Exception):
    """Nothing speaks against the request but the moment; its message is delivered again after a while."""


class SubmissionRefused(Exception):
    """AWS Batch will never take this job; the worker is told, and the message is done with."""
