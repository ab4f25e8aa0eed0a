"""The tables. `contract.tables` names those the job writes to; a test holds the two together.

Whatever the job inserts without naming it has a default in the database, because the job does not use Django.
"""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from backend.videos.fields import RealField
from contract import keys
from contract.plans import Plan
from contract.statuses import TERMINAL, AnalysisStatus

# Strings, so that migrations stay frozen when the contract's enums grow.
ANALYSIS_STATUSES = [status.value for status in AnalysisStatus]
ACTIVE_STATUSES = [status.value for status in AnalysisStatus if status not in TERMINAL]


class UploadStatus(models.TextChoices):
    UPLOADING = "uploading"  # the URL was handed out; the object may not exist yet
    UPLOADED = "uploaded"  # the object exists and has the declared size


class Video(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="videos", db_index=False
    )
    filename = models.TextField()
    content_type = models.TextField()
    size_bytes = models.BigIntegerField()
    status = models.TextField(choices=UploadStatus.choices, default=UploadStatus.UPLOADING.value)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    uploaded_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        indexes = [models.Index(fields=["owner", "-created_at", "-id"], name="videos_video_newest")]
        constraints = [
            models.CheckConstraint(condition=models.Q(size_bytes__gte=0), name="videos_video_size_bytes"),
        ]

    def __str__(self) -> str:
        return self.filename

    @property
    def key(self) -> str:
        return keys.upload_key(self.owner_id, self.id)


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
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=ANALYSIS_STATUSES), name="videos_analysis_status"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"


class AnalysisEvent(models.Model):
    """Every transition, appended and never changed: what the user sees as history and an operator debugs with."""

    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField(db_default=Now())
    status = models.TextField()
    source = models.TextField()  # backend, batch or job
    detail = models.JSONField(default=dict, db_default={})

    class Meta:
        # By id, not by time: all events of one transaction carry the same time.
        indexes = [models.Index(fields=["analysis", "id"], name="videos_event_history")]

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
        REMOVE_ANALYSIS = "remove_analysis"  # the subject is the analysis' id

    kind = models.TextField(choices=Kind.choices)
    subject = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(db_default=Now())
    attempts = models.IntegerField(default=0, db_default=0)  # that failed
    last_error = models.TextField(blank=True, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["not_before"], name="videos_owedcall_due", condition=models.Q(done_at__isnull=True)
            ),
        ]
        constraints = [models.UniqueConstraint(fields=["kind", "subject"], name="videos_owedcall_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class DeadRequest(models.Model):
    """A request that ended as a dead letter. SQS would forget it after its retention time, 14 days at most."""

    message_id = models.TextField(unique=True)  # SQS's, which a message keeps when it is moved
    # Null where the body names none that exists.
    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, null=True, related_name="dead_requests")
    body = models.TextField()
    buried_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"dead letter {self.message_id}"


class Chunk(models.Model):
    """All frames of this chunk are stored. Committed together with its detections."""

    pk = models.CompositePrimaryKey("analysis_id", "number")
    analysis = models.ForeignKey(Analysis, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    number = models.IntegerField()
    first_frame = models.BigIntegerField()
    pts_us = ArrayField(models.BigIntegerField())
    damaged = models.BooleanField(default=False, db_default=False)  # something was skipped or mended by then
    committed_at = models.DateTimeField(db_default=Now())

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

    def __str__(self) -> str:
        return f"second {self.second} of {self.analysis_id}"
