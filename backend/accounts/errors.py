from backend.videos.errors import RequestRefused

MOST_API_KEYS = 100


class TooManyApiKeys(RequestRefused):
    """You have as many API keys as you may; revoke one first."""

    status = 409
    code = "too_many_api_keys"

    def __init__(self) -> None:
        super().__init__({"name": [f"A user may have {MOST_API_KEYS} API keys that are good."]})
