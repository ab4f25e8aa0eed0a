"""What a plan does not allow. Each sentence says the limit, and what to do about it."""

from collections.abc import Sequence

from backend.videos.errors import RequestRefused


class FileTooLarge(RequestRefused):
    """The file is larger than your plan allows."""

    status = 413
    code = "file_too_large"


class StorageFull(RequestRefused):
    """Your videos take up all the room that your plan allows."""

    status = 403
    code = "storage_full"


class MediaNotAllowed(RequestRefused):
    """Your plan does not allow this kind of video."""

    status = 403
    code = "media_not_allowed"


class VideoTooLong(RequestRefused):
    """The video is longer than your plan allows."""

    status = 403
    code = "video_too_long"


class TooManyAnalyses(RequestRefused):
    """As many of your analyses are under way as your plan allows."""

    status = 429
    code = "too_many_analyses"


class CreditsInsufficient(RequestRefused):
    """You have not enough credits for this analysis."""

    status = 402
    code = "credits_insufficient"


class QuoteInvalid(RequestRefused):
    """This is no quote of ours."""

    code = "quote_invalid"

    def __init__(self) -> None:
        super().__init__({"quote": ["Send the quote as it was given, or leave it out."]})


class QuoteExpired(RequestRefused):
    """The quote is no longer valid."""

    status = 409
    code = "quote_expired"

    def __init__(self) -> None:
        super().__init__({"quote": ["It was valid for 24 hours; ask for a new one."]})


class QuoteMismatch(RequestRefused):
    """The quote is for another request."""

    status = 409
    code = "quote_mismatch"

    def __init__(self, differing: Sequence[str]) -> None:
        super().__init__({"quote": [f"It was given for another {' and '.join(differing)}; ask for a new one."]})
