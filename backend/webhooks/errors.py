from backend.videos.errors import RequestRefused

MOST_WEBHOOKS = 10


class TooManyWebhooks(RequestRefused):
    """You have as many webhooks as you may; delete one first."""

    status = 409
    code = "too_many_webhooks"

    def __init__(self) -> None:
        super().__init__({"url": [f"A user may have {MOST_WEBHOOKS} webhooks."]})


class WebhookGone(RequestRefused):
    """There is no such webhook."""

    status = 404
    code = "not_found"


class WebhookDisabled(RequestRefused):
    """The webhook is disabled; enable it first."""

    status = 409
    code = "webhook_disabled"
