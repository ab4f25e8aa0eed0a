"""What users have: videos, the analyses they ask for, and the history of each."""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from backend.accounts.owning import Owned
from backend.videos.fields import CurrentTransaction, TransactionIdField
from contract import keys
from contract.plans import Plan
from contract.statuses import TERMINAL, AnalysisStatus

# Strings, so that migrations stay frozen when the contract's enums grow.
ANALYSIS_STATUSES = [status.value for status in AnalysisStatus]
ACTIVE_STATUSES = [status.value for status in AnalysisStatus if status not in TERMINAL]


class VideoStatus(models.TextChoices):
    UPLOADING = "uploading"  # URLs were handed out; the object does not exist yet, or was not looked for
    ABORTED = "aborted"  # given up by its owner or for its age; what has arrived is removed
    PROBING = "probing"  # all has arrived; parts are put together, then it is looked at
    READY = "ready"  # it is a video; `facts` says which, and analyses may be asked for
    REFUSED = "refused"  # it is none that can be analysed; `refusal_code` says why


class Video(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="videos", db_index=False
    )
    filename = models.TextField()
    content_type = models.TextField()
    size_bytes = models.BigIntegerField()
    status = models.TextField(choices=VideoStatus.choices, default=VideoStatus.UPLOADING.value)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    uploaded_at = models.DateTimeField(null=True, blank=True, editable=False)

    start_key = models.TextField(null=True, blank=True, editable=False)  # the client's idempotency key

    # S3's name of the multipart upload, and the size of its parts; empty and null for a single PUT.
    upload_id = models.TextField(blank=True, default="", db_default="", editable=False)
    part_bytes = models.BigIntegerField(null=True, blank=True, editable=False)
    signed_at = models.DateTimeField(db_default=Now(), editable=False)  # when a URL was last handed out
    # What S3 holds: of an upload that is not finished, or not put together yet, the checksum that it must have.
    checksum_algorithm = models.TextField(blank=True, default="", db_default="", editable=False)
    checksum = models.TextField(blank=True, default="", db_default="", editable=False)
    etag = models.TextField(blank=True, default="", db_default="", editable=False)

    facts = models.JSONField(null=True, blank=True, editable=False)  # `backend.probe.looking.VideoFacts`
    refusal_code = models.TextField(blank=True, default="", db_default="", editable=False)
    probe_attempts = models.SmallIntegerField(default=0, db_default=0, editable=False)  # that were begun
    probe_not_before = models.DateTimeField(db_default=Now(), editable=False)

    # From then on its owner does not see it any more; the worker removes it, and its analyses, soon after.
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = Owned.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="videos_video_newest"),
            models.Index(
                fields=["probe_not_before"],
                name="videos_video_to_probe",
                condition=models.Q(status=VideoStatus.PROBING.value),
            ),
            models.Index(
                fields=["signed_at"],
                name="videos_video_unfinished",
                condition=models.Q(status__in=[VideoStatus.UPLOADING.value, VideoStatus.ABORTED.value]),
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(size_bytes__gte=0), name="videos_video_size_bytes"),
            models.CheckConstraint(
                condition=models.Q(status__in=[status.value for status in VideoStatus]),
                name="videos_video_status",
            ),
            models.UniqueConstraint(fields=["owner", "start_key"], name="videos_video_start_once"),
        ]

    def __str__(self) -> str:
        return self.filename

    @staticmethod
    def owned_where(user: Any) -> models.Q:
        return models.Q(owner=user, deleted_at=None)

    @property
    def key(self) -> str:
        return keys.upload_key(self.owner_id, self.id)

    @property
    def seconds(self) -> float | None:
        """Its length, as far as the probe could tell."""
        duration_us = (self.facts or {}).get("duration_us")
        return None if duration_us is None else duration_us / 1_000_000


class Analysis(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The owner is repeated from the video, so that every look-up is scoped without a join.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="analyses", db_index=False
    )
    video = models.ForeignKey(Video, on_delete=models.CASCADE, related_name="analyses")
    model = models.TextField()
    task = models.TextField(default="detect", db_default="detect")  # the model's; it says what `shape` means
    class_names = models.JSONField()  # the model's, by class id: results stay readable after the model is gone
    options = models.JSONField()
    plan = models.TextField(default=Plan.FREE.value, db_default=Plan.FREE.value)

    status = models.TextField(
        choices=[(status, status) for status in ANALYSIS_STATUSES],
        default=AnalysisStatus.QUEUED.value,
        db_default=AnalysisStatus.QUEUED.value,
    )
    # Spot machines have been given up: only the job that was submitted afterwards may claim it.
    on_demand = models.BooleanField(default=False, db_default=False)
    stage = models.TextField(blank=True, default="", db_default="")
    frames_done = models.BigIntegerField(default=0, db_default=0)
    frames_total = models.BigIntegerField(null=True, blank=True)

    # With the attempt, the fencing token of the one container whose writes count.
    claim_job_id = models.TextField(null=True, blank=True)
    claim_attempt = models.IntegerField(null=True, blank=True)
    # What the stored chunks were made from: a job that comes with other inputs begins anew.
    inputs = models.TextField(null=True, blank=True)

    # What AWS Batch last said of the job that this analysis follows.
    batch_job_id = models.TextField(blank=True, default="", db_default="")
    batch_state = models.TextField(blank=True, default="", db_default="")
    batch_reason = models.TextField(blank=True, default="", db_default="")
    batch_attempts = models.SmallIntegerField(default=0, db_default=0)  # attempts that have ended
    # While `batch_state` is RUNNABLE, or PENDING as of an array of which some jobs are RUNNABLE.
    runnable_since = models.DateTimeField(null=True, blank=True, editable=False)

    error_code = models.TextField(blank=True, default="", db_default="")
    error_message = models.TextField(blank=True, default="", db_default="")
    error_retryable = models.BooleanField(null=True, blank=True)

    decode_report = models.JSONField(null=True, blank=True)
    summary = models.JSONField(null=True, blank=True)
    stage_seconds = models.JSONField(blank=True, default=dict, db_default={})

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    submitted_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(db_default=Now())

    # From then on its owner does not see it any more; the worker removes it soon after.
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The one that failed or was cancelled, and of which this is another try.
    retry_of = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="retries"
    )

    objects = Owned.as_manager()

    class Meta:
        verbose_name_plural = "analyses"
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="videos_analysis_newest"),
            # For an owner who asks for what is under way, and counted at every request.
            models.Index(
                fields=["owner", "-created_at", "-id"],
                name="videos_analysis_active",
                condition=models.Q(status__in=ACTIVE_STATUSES),
            ),
            # For how long analyses have lately waited.
            models.Index(
                fields=["plan", "-started_at"],
                name="videos_analysis_started",
                condition=models.Q(started_at__isnull=False),
            ),
            # For how fast they have lately been.
            models.Index(
                fields=["model", "-finished_at"],
                name="videos_analysis_succeeded",
                condition=models.Q(status=AnalysisStatus.SUCCEEDED.value),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=ANALYSIS_STATUSES), name="videos_analysis_status"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"

    @staticmethod
    def owned_where(user: Any) -> models.Q:
        return models.Q(owner=user, deleted_at=None)


class AnalysisEvent(models.Model):
    """Every transition, appended and never changed: what the user sees as history and an operator debugs with."""

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField(db_default=Now())
    status = models.TextField()
    source = models.TextField()  # backend, batch or job
    detail = models.JSONField(default=dict, db_default={})
    # Of those who listen to several analyses: what was committed late has an earlier id than what they know.
    transaction = TransactionIdField(db_default=CurrentTransaction(), editable=False)

    objects = Owned.as_manager()

    class Meta:
        indexes = [
            # By id, not by time: all events of one transaction carry the same time.
            models.Index(fields=["analysis", "id"], name="videos_event_history"),
            models.Index(fields=["transaction"], name="videos_event_transaction"),
        ]

    def __str__(self) -> str:
        return f"{self.status} ({self.source})"
