"""What the backend refuses, each with the HTTP status, a stable code, and the fields that are at fault."""

from collections.abc import Mapping, Sequence


class RequestRefused(Exception):
    """The request cannot be carried out."""

    status = 400
    code = "invalid"
    retry_after: int | None = None  # seconds, where asking again may help
    sentence = "The request cannot be carried out."

    def __init_subclass__(cls) -> None:
        """The first line of the docstring is what the user reads."""
        cls.sentence = (cls.__doc__ or "").strip().splitlines()[0]

    def __init__(self, errors: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(self.sentence)
        self.errors = {field: list(sentences) for field, sentences in (errors or {}).items()}


class RequestInvalid(RequestRefused):
    """Some fields of the request are faulty."""


class VideoNotFound(RequestRefused):
    """There is no such video."""

    status = 404
    code = "video_not_found"

    def __init__(self) -> None:
        super().__init__({"video": [self.sentence]})


class VideoNotUploaded(RequestRefused):
    """The video's upload is not finished."""

    code = "video_not_uploaded"

    def __init__(self) -> None:
        super().__init__({"video": ["Upload the file, then finish the upload, before asking for an analysis."]})


class VideoNotReady(RequestRefused):
    """The uploaded file is still being looked at; please ask again in a moment."""

    status = 409
    code = "video_not_ready"
    retry_after = 2

    def __init__(self) -> None:
        super().__init__({"video": [self.sentence]})


class VideoRefused(RequestRefused):
    """The uploaded file cannot be analysed."""

    status = 409
    code = "video_refused"

    def __init__(self, reason: str) -> None:
        super().__init__({"video": [reason]})


class VideoInUse(RequestRefused):
    """A video cannot be deleted while an analysis of it is not over; cancel that first."""

    status = 409
    code = "video_in_use"


class IdempotencyKeyInvalid(RequestRefused):
    """The idempotency key cannot be used."""

    def __init__(self) -> None:
        super().__init__({"Idempotency-Key": ["It must be 1 to 255 printable ASCII characters."]})


class IdempotencyKeyReused(RequestRefused):
    """This idempotency key was used for another request."""

    status = 422
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__({"Idempotency-Key": ["Send each new request with a new key."]})


class FileEmpty(RequestRefused):
    """The file is empty."""

    code = "file_empty"

    def __init__(self) -> None:
        super().__init__({"size_bytes": ["Please choose another file."]})


class UploadMissing(RequestRefused):
    """The file has not been uploaded."""

    code = "upload_missing"

    def __init__(self) -> None:
        super().__init__({"video": ["Nothing has been uploaded to this video's URL."]})


class UploadIncomplete(RequestRefused):
    """The uploaded file is not of the declared size."""

    code = "upload_incomplete"

    def __init__(self, *, declared: int, stored: int) -> None:
        super().__init__({"size_bytes": [f"{declared} bytes were declared, {stored} bytes were uploaded."]})


class PartsIncomplete(RequestRefused):
    """Not all parts of the file have arrived."""

    code = "upload_incomplete"

    def __init__(self, lacking: Sequence[int]) -> None:
        listed = ", ".join(map(str, lacking[:20])) + (f" and {len(lacking) - 20} more" if lacking[20:] else "")
        missing = (
            f"These are missing or of the wrong size: {listed}." if lacking else "One was replaced meanwhile."
        )
        super().__init__({"parts": [missing]})


class UploadChecksumMismatch(RequestRefused):
    """The uploaded file does not have the stated checksum; please upload it again."""

    code = "upload_checksum_mismatch"

    def __init__(self, algorithm: str) -> None:
        super().__init__({"checksum": [f"What was stored has another {algorithm}."]})


class UploadNotInParts(RequestRefused):
    """This upload is sent in one piece."""

    status = 409
    code = "upload_not_in_parts"


class UploadOver(RequestRefused):
    """This upload is over."""

    status = 409
    code = "upload_over"

    def __init__(self, status: str) -> None:
        super().__init__({"status": [f"It is {status}."]})


class UploadAborted(RequestRefused):
    """This upload was aborted; please start a new one."""

    status = 409
    code = "upload_aborted"


class AnalysisNotSucceeded(RequestRefused):
    """Only an analysis that has succeeded can be exported."""

    status = 409
    code = "analysis_not_succeeded"

    def __init__(self, status: str) -> None:
        super().__init__({"status": [f"It is {status}."]})


class AnalysisOver(RequestRefused):
    """An analysis that is over cannot be cancelled."""

    status = 409
    code = "analysis_over"

    def __init__(self, status: str) -> None:
        super().__init__({"status": [f"It is {status}."]})


class AnalysisNotOver(RequestRefused):
    """An analysis must be over before it can be deleted; cancel it first."""

    status = 409
    code = "analysis_not_over"

    def __init__(self, status: str) -> None:
        super().__init__({"status": [f"It is {status}."]})


class AnalysisNotRetryable(RequestRefused):
    """Only an analysis that failed or was cancelled can be tried again."""

    status = 409
    code = "analysis_not_retryable"

    def __init__(self, status: str) -> None:
        super().__init__({"status": [f"It is {status}."]})


class ExportFormatUnknown(RequestRefused):
    """There is no such export format."""

    status = 404
    code = "export_format_unknown"

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__({"format": [f"It must be one of {', '.join(known)}."]})


class TooManyExports(RequestRefused):
    """You are downloading as many exports as you may; read one to its end, or end it."""

    status = 429
    code = "too_many_exports"


class ExportUnavailable(RequestRefused):
    """This server cannot write that format."""

    status = 501
    code = "export_unavailable"

    def __init__(self, title: str) -> None:
        super().__init__({"format": [f"What it takes to write {title} is not installed."]})
