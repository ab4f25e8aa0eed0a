"""Analyses on their way, made by the product's own services, and what of them the tables say in the end."""

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.db.models.functions import Now

from backend.accounts.models import User
from backend.plans.models import LedgerEntry
from backend.videos.models import Analysis, DeadRequest, IdempotencyKey, OutboxMessage, OwedCall, Video
from backend.videos.services import request_analysis
from backend.webhooks.models import Delivery, Endpoint, EventType
from backend.webhooks.services import create_webhook
from tests.backend.making import make_video


class Estate:
    """One user's. Each analysis is known by the file name of its video."""

    def __init__(self) -> None:
        for model in (Endpoint, Analysis, OwedCall, DeadRequest, Video):
            model.objects.all().delete()
        self.owner = User.objects.create(username=uuid4().hex, plan="enterprise")
        create_webhook(owner=self.owner, url="https://hooks.example/", events=EventType.values)

    def analysis(self, name: str, *, sent: timedelta = timedelta(), **columns: Any) -> Analysis:
        """Asked for, sent so long ago, and since then what `columns` say. A job has the name of the analysis."""
        video = make_video(self.owner, filename=name)
        analysis = request_analysis(owner=self.owner, video_id=video.pk, model=None, options={}).analysis
        OutboxMessage.objects.filter(analysis=analysis).update(sent_at=Now() - sent, created_at=Now() - sent)
        if columns:
            Analysis.objects.filter(pk=analysis.pk).update(**columns)
        analysis.refresh_from_db()
        return analysis

    def body(self, analysis: Analysis) -> str:
        return OutboxMessage.objects.filter(analysis=analysis).latest("id").body


def running(name: str, **columns: Any) -> dict[str, Any]:
    job = {"batch_job_id": name, "batch_state": "RUNNING", "claim_job_id": name, "claim_attempt": 1}
    return {"status": "running", **job, **columns}


def told(estate: Estate) -> dict[str, Any]:
    """Without ids and times: the same for whoever was never disturbed."""
    names = {str(analysis.pk): analysis.video.filename for analysis in Analysis.objects.select_related("video")}
    deliveries = Delivery.objects.values_list("analysis_id", "kind")
    return {
        "analyses": sorted(_analysis(analysis) for analysis in Analysis.objects.all()),
        "letters": sorted(
            (names.get(str(letter.analysis_id), ""), letter.fault, letter.redriven_at is not None)
            for letter in DeadRequest.objects.all()
        ),
        "calls": sorted(
            (call.kind, names.get(call.subject, ""), call.done_at is not None) for call in OwedCall.objects.all()
        ),
        "videos": sorted(Video.objects.values_list("filename", "status", "refusal_code")),
        "webhooks": sorted(Counter((names.get(str(pk), "gone"), kind) for pk, kind in deliveries).items()),
        "ledger": sorted(LedgerEntry.objects.filter(user=estate.owner).values_list("kind", "credits")),
        "keys": IdempotencyKey.objects.count(),
    }


def _analysis(analysis: Analysis) -> tuple[Any, ...]:
    return (
        analysis.video.filename,
        analysis.retry_of_id is not None,
        (analysis.status, analysis.error_code, analysis.on_demand, analysis.deleted_at is not None),
        [event.status for event in analysis.events.order_by("id")],
        sorted(message.sent_at is None for message in analysis.messages.all()),
    )
