"""What jobs store of an analysis."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from backend.accounts.owning import Owned
from backend.videos.fields import RealField
from backend.videos.models.requests import Analysis


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
