"""What a plan does not allow. Each sentence says the limit, and what to do about it."""

from backend.videos.errors import RequestRefused


class FileTooLarge(RequestRefused):
    """The file is larger than your plan allows."""

    status = 413
    code = "file_too_large"


class VideoTooLong(RequestRefused):
    """The video is longer than your plan allows."""

    status = 403
    code = "video_too_long"


class TooManyAnalyses(RequestRefused):
    """As many of your analyses are under way as your plan allows."""

    status = 429
    code = "too_many_analyses"
