"""Every way an analysis can fail: a stable code, whether asking again may help, and a sentence for the user."""

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    OPTIONS_INVALID = "options_invalid"
    RUNTIME_MISMATCH = "runtime_mismatch"
    SETTINGS_INVALID = "settings_invalid"
    MODEL_UNKNOWN = "model_unknown"
    MODEL_UNTRUSTED = "model_untrusted"
    VIDEO_MISSING = "video_missing"
    VIDEO_UNREADABLE = "video_unreadable"
    VIDEO_EMPTY = "video_empty"
    VIDEO_WITHOUT_FRAMES = "video_without_frames"
    VIDEO_TOO_LARGE = "video_too_large"
    VIDEO_TOO_COMPLEX = "video_too_complex"
    VIDEO_CHANGED = "video_changed"
    OUT_OF_MEMORY = "out_of_memory"
    OUT_OF_SPACE = "out_of_space"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    DATABASE_UNAVAILABLE = "database_unavailable"
    INTERRUPTED = "interrupted"
    JOB_LOST = "job_lost"
    JOB_TIMED_OUT = "job_timed_out"
    JOB_NEVER_STARTED = "job_never_started"
    SUBMISSION_FAILED = "submission_failed"
    INTERNAL = "internal"


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """`retryable` speaks of the job: may the same request succeed if it is simply run again?"""

    retryable: bool
    sentence: str


# Faults of what was asked for: of the file, or of the options. All others are ours, or our machines'.
OF_THE_REQUEST = frozenset(
    {
        ErrorCode.OPTIONS_INVALID,
        ErrorCode.VIDEO_MISSING,
        ErrorCode.VIDEO_UNREADABLE,
        ErrorCode.VIDEO_EMPTY,
        ErrorCode.VIDEO_WITHOUT_FRAMES,
        ErrorCode.VIDEO_TOO_LARGE,
        ErrorCode.VIDEO_TOO_COMPLEX,
        ErrorCode.VIDEO_CHANGED,
    }
)

FAILURES: dict[ErrorCode, Failure] = {
    ErrorCode.OPTIONS_INVALID: Failure(
        retryable=False, sentence="An option of this analysis does not fit the chosen model."
    ),
    ErrorCode.RUNTIME_MISMATCH: Failure(
        retryable=False, sentence="The analysis software does not fit the machine it was started on."
    ),
    ErrorCode.SETTINGS_INVALID: Failure(
        retryable=False, sentence="The analysis was started with faulty settings."
    ),
    ErrorCode.MODEL_UNKNOWN: Failure(retryable=False, sentence="The chosen model is not installed."),
    ErrorCode.MODEL_UNTRUSTED: Failure(
        retryable=False, sentence="The chosen model's files are missing or are not the ones that were approved."
    ),
    ErrorCode.VIDEO_MISSING: Failure(
        retryable=False, sentence="The video is no longer in storage; please upload it again."
    ),
    ErrorCode.VIDEO_UNREADABLE: Failure(retryable=False, sentence="The file is not a video that can be decoded."),
    ErrorCode.VIDEO_EMPTY: Failure(retryable=False, sentence="The file is empty."),
    ErrorCode.VIDEO_WITHOUT_FRAMES: Failure(
        retryable=False, sentence="The file has a video header but no frame in it can be decoded."
    ),
    ErrorCode.VIDEO_TOO_LARGE: Failure(
        retryable=False, sentence="The pictures of this video have more pixels than can be analysed."
    ),
    ErrorCode.VIDEO_TOO_COMPLEX: Failure(
        retryable=False, sentence="Looking at this file took more time or memory than any ordinary video needs."
    ),
    ErrorCode.VIDEO_CHANGED: Failure(
        retryable=False, sentence="The file in storage is not the one that was checked; please upload it again."
    ),
    ErrorCode.OUT_OF_MEMORY: Failure(
        retryable=True, sentence="The machine ran out of memory while it analysed this video."
    ),
    ErrorCode.OUT_OF_SPACE: Failure(
        retryable=True, sentence="The machine had too little room on its disk for this video."
    ),
    ErrorCode.STORAGE_UNAVAILABLE: Failure(
        retryable=True, sentence="The video storage could not be reached for too long."
    ),
    ErrorCode.DATABASE_UNAVAILABLE: Failure(
        retryable=True, sentence="The results database could not be reached for too long."
    ),
    ErrorCode.INTERRUPTED: Failure(
        retryable=True, sentence="The machine was taken away before the analysis was finished."
    ),
    ErrorCode.JOB_LOST: Failure(retryable=True, sentence="The analysis stopped without saying why."),
    ErrorCode.JOB_TIMED_OUT: Failure(
        retryable=False, sentence="The analysis took longer than the time limit for this video."
    ),
    ErrorCode.JOB_NEVER_STARTED: Failure(
        retryable=True, sentence="No machine became free for this analysis in time."
    ),
    ErrorCode.SUBMISSION_FAILED: Failure(
        retryable=True, sentence="The analysis could not be handed to the compute service."
    ),
    ErrorCode.INTERNAL: Failure(
        retryable=False, sentence="Something went wrong on our side; the failure has been recorded."
    ),
}
