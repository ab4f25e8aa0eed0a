from backend.videos.errors import RequestRefused


class TooManyStreams(RequestRefused):
    """You hold as many live streams as you may; close one, or ask for the status instead."""

    status = 429
    code = "too_many_streams"
