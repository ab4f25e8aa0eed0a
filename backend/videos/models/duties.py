"""What is owed, and what must not happen twice."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from backend.videos.models.requests import Analysis


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
        REMOVE_OBJECT = "remove_object"  # the subject is its key, or what several keys start with
        REMOVE_ANALYSIS = "remove_analysis"  # the subject is the analysis' id
        REMOVE_VIDEO = "remove_video"  # the subject is the video's id

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
