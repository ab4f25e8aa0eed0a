"""Why an analysis can end early. An error's docstring is its message; the detail after it is for operators."""

import errno
import sqlite3
from typing import ClassVar

from contract.errors import FAILURES, ErrorCode

_FULL = (errno.ENOSPC, errno.EDQUOT)


class AnalysisError(Exception):
    """The analysis failed."""

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    def __init__(self, detail: str = "") -> None:
        message = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{message.rstrip('.')}: {detail}" if detail else message)
        self.detail = detail

    @property
    def retryable(self) -> bool:
        """May the same request succeed if it is simply run again?"""
        return FAILURES[self.code].retryable

    @property
    def sentence(self) -> str:
        """What the user is told; never anything of the machine."""
        return FAILURES[self.code].sentence


class SettingsInvalid(AnalysisError):
    """The environment of this process is faulty."""

    code = ErrorCode.SETTINGS_INVALID


class RuntimeMismatch(AnalysisError):
    """The machine image does not offer what this code needs."""

    code = ErrorCode.RUNTIME_MISMATCH


class OptionUnsuitable(AnalysisError):
    """An option does not fit the chosen model."""

    code = ErrorCode.OPTIONS_INVALID

    @property
    def sentence(self) -> str:
        """The detail names only the user's own words and the model's, so it may be shown."""
        return f"{FAILURES[self.code].sentence.rstrip('.')}: {self.detail}."


class ModelUnknown(AnalysisError):
    """The runtime manifest does not name this model."""

    code = ErrorCode.MODEL_UNKNOWN


class ModelUntrusted(AnalysisError):
    """A file of the model is missing or is not the one the manifest names."""

    code = ErrorCode.MODEL_UNTRUSTED


class VideoMissing(AnalysisError):
    """The video is not in storage."""

    code = ErrorCode.VIDEO_MISSING


class VideoChanged(AnalysisError):
    """The video in storage is not the one that was checked."""

    code = ErrorCode.VIDEO_CHANGED


class VideoUnreadable(AnalysisError):
    """The file cannot be decoded as video."""

    code = ErrorCode.VIDEO_UNREADABLE


class VideoEmpty(AnalysisError):
    """The file has no bytes."""

    code = ErrorCode.VIDEO_EMPTY


class VideoWithoutFrames(AnalysisError):
    """The file has a video header, and no frame can be decoded."""

    code = ErrorCode.VIDEO_WITHOUT_FRAMES


class OutOfMemory(AnalysisError):
    """Memory ran out."""

    code = ErrorCode.OUT_OF_MEMORY


class OutOfSpace(AnalysisError):
    """The disk is full."""

    code = ErrorCode.OUT_OF_SPACE


class StorageUnavailable(AnalysisError):
    """The object storage cannot be reached or refuses."""

    code = ErrorCode.STORAGE_UNAVAILABLE


class DatabaseUnavailable(AnalysisError):
    """The database stayed away for too long."""

    code = ErrorCode.DATABASE_UNAVAILABLE


class Interrupted(AnalysisError):
    """The process was asked to stop."""

    code = ErrorCode.INTERRUPTED


def named(error: BaseException) -> AnalysisError:
    """What an error that is none of ours comes to for the user, with itself as the cause."""
    known: AnalysisError
    if isinstance(error, MemoryError):
        known = OutOfMemory()
    elif (isinstance(error, OSError) and error.errno in _FULL) or _sqlite_full(error):
        known = OutOfSpace()
    else:
        known = AnalysisError(type(error).__name__)
    known.__cause__ = error
    return known


def _sqlite_full(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error) and error.sqlite_errorcode == sqlite3.SQLITE_FULL


class ClaimLost(Exception):
    """Another container, a cancellation or a reconciler has the analysis now; nothing more may be written."""


class OutOfStep(Exception):
    """Decoding does not give the frames that the container promises, so a share of a video cannot be numbered."""
