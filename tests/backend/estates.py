"""What a user can own, one of everything: for tests that ask every endpoint of the API for it."""

from typing import Any

from backend.accounts.models import User
from backend.accounts.services import create_api_key
from backend.webhooks.models import Endpoint
from backend.webhooks.services import ping
from backend.webhooks.signing import new_secret
from tests.backend.making import make_finished, make_second, make_track, make_video


class Estate:
    """`ids` holds a value for each parameter that stands in a path of the API.

    `fields` holds values for what bodies and query parameters name.
    Where a new endpoint has another one, the object that it names is made here.
    """

    def __init__(self, user: User, **columns: Any) -> None:
        self.video = make_video(user)
        self.analysis = make_finished(user, [1, 2], video=self.video, **columns)
        make_track(self.analysis, 1)
        make_second(self.analysis, 0)
        self.analysis.events.create(status="queued", source="backend")
        self.key = create_api_key(user=user, name="nightly").row
        # Not by the service, which lets a user have only a few.
        self.webhook = Endpoint.objects.create(
            owner=user, url="https://hooks.example/", events=["analysis.failed"], secret=new_secret()
        )
        self.delivery = ping(self.webhook)
        self.ids: dict[str, Any] = {
            "video_id": self.video.pk,
            "analysis_id": self.analysis.pk,
            "api_key_id": self.key.pk,
            "webhook_id": self.webhook.pk,
            "delivery_id": self.delivery.pk,
            "export_format": "csv",
        }
        self.fields = {"video": str(self.video.pk), "model": "shapes"}
