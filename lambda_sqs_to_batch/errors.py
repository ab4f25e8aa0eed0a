"""Why a request was not submitted."""


class SettingsInvalid(ValueError):
    """The function's environment is not complete."""


class SubmissionPostponed(Exception):
    """AWS Batch cannot take the job now; the message is delivered again after its visibility timeout."""


class SubmissionRefused(Exception):
    """AWS Batch will never take this job; the message goes to the dead-letter queue."""
