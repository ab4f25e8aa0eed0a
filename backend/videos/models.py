"""The tables. `contract.tables` names those the job writes to; a test holds the two together.

Whatever the job inserts without naming it has a default in the database, because the job does not use Django.
"""

import uuid
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from backend.accounts.owning import Owned
from backend.videos.fields import CurrentTransaction, RealField, TransactionIdField
from contract import keys
from contract.plans import Plan
from contract.statuses import TERMINAL, AnalysisStatus

# Strings, so that migrations stay frozen when the contract's enums grow.
ANALYSIS_STATUSES = [status.value for status in AnalysisStatus]
ACTIVE_STATUSES = [status.value for status in AnalysisStatus if status not in TERMINAL]


class VideoStatus(models.TextChoices):
    UPLOADING = "uploading"  # URLs were handed out; the object does not exist yet, or was not looked for
    ABORTED = "aborted"  # given up by its owner or for its age; what has arrived is removed
    PROBING = "probing"  # the object exists, has the declared size, and is about to be looked at
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
    # What S3 holds: of an upload that is not finished, the checksum that a single PUT must have.
    checksum_algorithm = models.TextField(blank=True, default="", db_default="", editable=False)
    checksum = models.TextField(blank=True, default="", db_default="", editable=False)
    etag = models.TextField(blank=True, default="", db_default="", editable=False)

    facts = models.JSONField(null=True, blank=True, editable=False)  # `backend.probe.looking.VideoFacts`
    refusal_code = models.TextField(blank=True, default="", db_default="", editable=False)
    probe_attempts = models.SmallIntegerField(default=0, db_default=0, editable=False)  # that were begun
    probe_not_before = models.DateTimeField(db_default=Now(), editable=False)

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
    runnable_since = models.DateTimeField(null=True, blank=True, editable=False)  # while `batch_state` is RUNNABLE

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


class OutboxMessage(models.Model):
    """A message that is owed to SQS. It commits together with the row it speaks of."""

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="messages")
    body = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(db_default=Now())
    attempts = models.IntegerField(default=0, db_default=0)
    last_error = models.TextField(blank=True, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="videos_outbox_unsent", condition=models.Q(sent_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"message {self.pk} of {self.analysis_id}"


class IdempotencyKey(models.Model):
    """A client's word for one request for an analysis. It commits together with the analysis."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    key = models.TextField()
    digest = models.TextField()  # of what was asked for
    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="idempotency_keys")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["owner", "created_at"], name="videos_idempotency_age")]
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="videos_idempotency_once")]

    def __str__(self) -> str:
        return f"{self.key} of {self.owner_id}"


class OwedCall(models.Model):
    """A call that the worker owes AWS, once. It commits together with the change that it follows from."""

    class Kind(models.TextChoices):
        TERMINATE_JOB = "terminate_job"  # the subject is the job's id
        CANCEL_ANALYSIS = "cancel_analysis"  # the subject is the analysis' id
        REMOVE_OBJECT = "remove_object"  # the subject is its key
        REMOVE_ANALYSIS = "remove_analysis"  # the subject is the analysis' id

    kind = models.TextField(choices=Kind.choices)
    subject = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(db_default=Now())
    attempts = models.IntegerField(default=0, db_default=0)  # that failed
    given_up_at = models.DateTimeField(null=True, blank=True, editable=False)  # after so many that it never will
    last_error = models.TextField(blank=True, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["not_before"],
                name="videos_owedcall_due",
                condition=models.Q(done_at__isnull=True, given_up_at__isnull=True),
            ),
        ]
        constraints = [models.UniqueConstraint(fields=["kind", "subject"], name="videos_owedcall_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class DeadRequest(models.Model):
    """A request of which no job was made: a dead letter, which SQS would forget, or one the Lambda refused."""

    message_id = models.TextField(unique=True)  # SQS's, which a message keeps when it is moved
    # Null where the body names none that exists.
    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, null=True, related_name="dead_requests")
    body = models.TextField()
    fault = models.TextField(blank=True, default="", db_default="")  # empty where its deliveries were used up
    buried_at = models.DateTimeField(db_default=Now())
    redriven_at = models.DateTimeField(null=True, blank=True, editable=False)  # asked for anew

    def __str__(self) -> str:
        return f"dead letter {self.message_id}"


class Run(models.Model):
    """One container at work on an analysis: an attempt of a Batch job, or of one job of an array."""

    pk = models.CompositePrimaryKey("analysis_id", "job_id", "attempt")
    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="runs", db_index=False)
    job_id = models.TextField()
    attempt = models.IntegerField()
    gpu = models.BooleanField()
    instance_type = models.TextField(null=True, blank=True)
    market = models.TextField(null=True, blank=True)
    zone = models.TextField(null=True, blank=True)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"attempt {self.attempt} of {self.job_id} at {self.analysis_id}"


class Chunk(models.Model):
    """All frames of this chunk are stored. Committed together with its detections."""

    pk = models.CompositePrimaryKey("analysis_id", "number")
    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    number = models.IntegerField()
    first_frame = models.BigIntegerField()
    pts_us = ArrayField(models.BigIntegerField())
    damaged = models.BooleanField(default=False, db_default=False)  # something was skipped or mended by then
    committed_at = models.DateTimeField(db_default=Now())

    objects = Owned.as_manager()

    def __str__(self) -> str:
        return f"chunk {self.number} of {self.analysis_id}"


class Detection(models.Model):
    """One box. The primary key is the only index: every read is of one analysis, in the order of its frames."""

    pk = models.CompositePrimaryKey("analysis_id", "frame_index", "ordinal")
    # No constraint: checked for each of millions of rows, it nearly halves the speed of COPY, and the chunk that
    # commits together with them has one.
    analysis = models.ForeignKey(
        Analysis, on_delete=models.CASCADE, related_name="detections", db_index=False, db_constraint=False
    )
    frame_index = models.BigIntegerField()
    ordinal = models.SmallIntegerField()
    pts_us = models.BigIntegerField()
    class_id = models.SmallIntegerField()
    track_id = models.IntegerField(null=True, blank=True)
    confidence = RealField()
    x1 = RealField()
    y1 = RealField()
    x2 = RealField()
    y2 = RealField()
    shape = ArrayField(RealField(), null=True, blank=True)

    objects = Owned.as_manager()

    def __str__(self) -> str:
        return f"box {self.ordinal} of frame {self.frame_index} of {self.analysis_id}"


class Track(models.Model):
    """One object, followed from its first to its last frame."""

    pk = models.CompositePrimaryKey("analysis_id", "track_id")
    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="tracks", db_index=False)
    track_id = models.IntegerField()
    class_id = models.SmallIntegerField()
    first_frame = models.BigIntegerField()
    last_frame = models.BigIntegerField()
    first_pts_us = models.BigIntegerField()
    last_pts_us = models.BigIntegerField()
    detections = models.IntegerField()
    confidence = RealField()
    path = models.JSONField(default=list, db_default=[])

    objects = Owned.as_manager()

    def __str__(self) -> str:
        return f"track {self.track_id} of {self.analysis_id}"

    @property
    def duration_us(self) -> int:
        return self.last_pts_us - self.first_pts_us


class Second(models.Model):
    """How many of one class were seen in one second of video time."""

    pk = models.CompositePrimaryKey("analysis_id", "second", "class_id")
    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="seconds", db_index=False)
    second = models.BigIntegerField()
    class_id = models.SmallIntegerField()
    detections = models.IntegerField()
    most = models.IntegerField()
    tracks = models.IntegerField()

    objects = Owned.as_manager()

    def __str__(self) -> str:
        return f"second {self.second} of {self.analysis_id}"
