"""The shapes of what the API answers, for its description; `representations` makes the documents themselves.

tests/backend/test_openapi.py holds the two together: a field that is added to one of them is missed in the other.
"""

from typing import Any

from rest_framework import serializers

from backend.config.openapi import page_of
from backend.gateways.stored import CHECKSUM_BYTES
from backend.videos.models import VideoStatus
from contract.manifest import TASKS
from contract.plans import Plan
from contract.statuses import AnalysisStatus, Stage

STATUSES = [status.value for status in AnalysisStatus]
STAGES = [stage.value for stage in Stage]
PLANS = [plan.value for plan in Plan]


class Link(serializers.CharField):
    """Path and query on the host that was asked."""


class Classed(serializers.Serializer):
    """Of one class; the field `class` cannot be written as an attribute."""

    class_id = serializers.IntegerField(help_text="Its place among the model's classes.")

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "class": serializers.CharField(help_text="The class' name.")}


class Failure(serializers.Serializer):
    code = serializers.CharField(help_text="Stable; docs/operations.md says where they are listed.")
    message = serializers.CharField()
    retryable = serializers.BooleanField(help_text="Whether asking again may help.")


class VideoLinks(serializers.Serializer):
    self = Link()
    sign = Link(help_text="POST for URLs, while it is uploading.")
    parts = Link(help_text="What has arrived of an upload in parts.")
    finish = Link(help_text="POST when the file has been sent.")
    abort = Link(help_text="POST to give the upload up.")
    page = Link(help_text="For people.")


class VideoFacts(serializers.Serializer):
    container = serializers.CharField(help_text="FFmpeg's name of it.")
    codec = serializers.CharField()
    width = serializers.IntegerField(help_text="Of the upright picture, pixels.")
    height = serializers.IntegerField(help_text="Of the upright picture, pixels.")
    rotation_degrees = serializers.ChoiceField(
        [0, 90, 180, 270], help_text="Clockwise; what a player turns it by."
    )
    duration_us = serializers.IntegerField(allow_null=True, help_text="Microseconds.")
    frames = serializers.IntegerField(allow_null=True, help_text="By the header; only decoding counts them.")
    estimated = serializers.BooleanField(help_text="The file tells no length; it was guessed from its size.")


class Checksum(serializers.Serializer):
    algorithm = serializers.ChoiceField(sorted(CHECKSUM_BYTES))
    value = serializers.CharField(
        help_text="Base64; of an upload in parts, of its parts' checksums, once they are known."
    )


class Cut(serializers.Serializer):
    size_bytes = serializers.IntegerField(help_text="Of every part but the last.")
    count = serializers.IntegerField()
    checksum_algorithm = serializers.ChoiceField(sorted(CHECKSUM_BYTES), allow_null=True)


class Video(serializers.Serializer):
    id = serializers.UUIDField()
    filename = serializers.CharField()
    content_type = serializers.CharField()
    size_bytes = serializers.IntegerField()
    status = serializers.ChoiceField(
        [status.value for status in VideoStatus], help_text="`ready` once an analysis may be asked for."
    )
    facts = VideoFacts(allow_null=True, help_text="What was found in the file.")
    error = Failure(allow_null=True, help_text="Why it was refused.")
    checksum = Checksum(allow_null=True)
    parts = Cut(allow_null=True, help_text="Null for a file in one piece.")
    created_at = serializers.DateTimeField()
    uploaded_at = serializers.DateTimeField(allow_null=True)
    links = VideoLinks()


class Upload(serializers.Serializer):
    method = serializers.ChoiceField(["PUT"])
    url = serializers.URLField(help_text="Presigned: whoever has it can send this one file, until it expires.")
    headers = serializers.DictField(child=serializers.CharField(), help_text="To be sent as they are.")
    expires_at = serializers.DateTimeField()


class StartedVideo(Video):
    upload = Upload(required=False, help_text="For a file in one piece, as long as it is uploading.")


class SignedPart(Upload):
    number = serializers.IntegerField()


class Signed(serializers.Serializer):
    upload = Upload(required=False, help_text="For a file in one piece.")
    parts = SignedPart(many=True, required=False, help_text="For a file in parts.")


class StoredPart(serializers.Serializer):
    number = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    etag = serializers.CharField()
    checksum = serializers.CharField(allow_null=True)


class Options(serializers.Serializer):
    """What may be asked of an analysis. What is left out has its default."""

    confidence = serializers.FloatField(
        min_value=0.01, max_value=1, default=0.25, help_text="Keep boxes of at least this confidence."
    )
    iou = serializers.FloatField(
        min_value=0.01,
        max_value=1,
        default=0.7,
        help_text="Drop boxes that overlap a better one by more than this.",
    )
    classes = serializers.ListField(
        child=serializers.CharField(),
        min_length=1,
        allow_null=True,
        default=None,
        help_text="Names of the model's classes to keep; null keeps all.",
    )
    image_size = serializers.IntegerField(
        min_value=32,
        max_value=2048,
        allow_null=True,
        default=None,
        help_text="Longer side of the network's input in pixels, a multiple of 32; null takes the model's own.",
    )
    every_nth = serializers.IntegerField(
        min_value=1, max_value=10_000, default=1, help_text="Analyse every nth frame."
    )
    frames_per_second = serializers.FloatField(
        min_value=0.001,
        max_value=240,
        allow_null=True,
        default=None,
        help_text="Analyse at most so many frames of each second of the video; not together with every_nth.",
    )
    track = serializers.BooleanField(default=True, help_text="Give detections of one object the same track id.")
    thumbnails = serializers.IntegerField(
        min_value=0, max_value=32, default=6, help_text="Annotated pictures, evenly spaced."
    )
    annotated_video = serializers.BooleanField(default=False, help_text="Make an MP4 with the boxes drawn in.")


class Counts(serializers.Serializer):
    detections = serializers.IntegerField()
    tracks = serializers.IntegerField()


class Thumbnail(serializers.Serializer):
    key = serializers.CharField(help_text="In the media bucket; the thumbnails' endpoint gives links.")
    frame_index = serializers.IntegerField()
    pts_us = serializers.IntegerField()


class Summary(serializers.Serializer):
    frames = serializers.IntegerField(help_text="That were analysed.")
    detections = serializers.IntegerField()
    tracks = serializers.IntegerField()
    per_class = serializers.DictField(child=Counts(), help_text="By class name; without those never seen.")
    thumbnails = Thumbnail(many=True)
    poster = serializers.CharField(allow_null=True)
    annotated_video = serializers.CharField(allow_null=True)


class SkippedFrames(serializers.Serializer):
    after_pts_us = serializers.IntegerField(allow_null=True, help_text="The last good frame before it, if any.")
    reason = serializers.CharField()


class DecodeReport(serializers.Serializer):
    container = serializers.CharField()
    codec = serializers.CharField()
    width = serializers.IntegerField(help_text="Of the upright frame, in pixels.")
    height = serializers.IntegerField()
    rotation_degrees = serializers.ChoiceField([0, 90, 180, 270], help_text="Clockwise turn that was applied.")
    mirrored = serializers.BooleanField()
    time_base = serializers.CharField(help_text="Seconds per tick, as a fraction.")
    declared_frames = serializers.IntegerField(allow_null=True)
    decoded_frames = serializers.IntegerField()
    analysed_frames = serializers.IntegerField()
    skipped = SkippedFrames(many=True)
    first_pts_us = serializers.IntegerField()
    last_pts_us = serializers.IntegerField()


class AnalysisLinks(serializers.Serializer):
    self = Link()
    video = Link()
    detections = Link()
    tracks = Link()
    seconds = Link()
    events = Link()
    live = Link(help_text="Server-sent events.")
    thumbnails = Link()
    media = Link()
    receipt = Link()
    cancel = Link(required=False, help_text="While it is not over.")
    retry = Link(required=False, help_text="When it failed or was cancelled.")
    exports = serializers.DictField(child=Link(), help_text="By the format's name.")
    page = Link(help_text="For people.")


class Analysis(serializers.Serializer):
    id = serializers.UUIDField()
    video = serializers.UUIDField()
    retry_of = serializers.UUIDField(allow_null=True, help_text="The analysis of which this is another try.")
    model = serializers.CharField()
    task = serializers.ChoiceField(list(TASKS))
    options = Options()
    plan = serializers.ChoiceField(PLANS, help_text="The owner's, when it was asked for.")
    status = serializers.ChoiceField(STATUSES)
    status_sentence = serializers.CharField()
    stage = serializers.ChoiceField(["", *STAGES], help_text="What a running one is doing.")
    frames_done = serializers.IntegerField()
    frames_total = serializers.IntegerField(allow_null=True, help_text="An estimate while frames are decoded.")
    progress = serializers.FloatField(min_value=0, max_value=1)
    batch_state = serializers.CharField(help_text="What AWS Batch last said of its job.")
    waiting_reason = serializers.CharField(allow_null=True, help_text="Why nothing is happening, in words.")
    estimated_start_at = serializers.DateTimeField(
        allow_null=True, help_text="While it waits, if enough others have lately waited; null where nothing tells."
    )
    estimated_finish_at = serializers.DateTimeField(
        allow_null=True,
        help_text="From its own pace, and before that from the pace of others; null where nothing tells.",
    )
    error = Failure(allow_null=True)
    created_at = serializers.DateTimeField()
    submitted_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    stage_seconds = serializers.DictField(
        child=serializers.FloatField(), help_text="Busy seconds; stages overlap."
    )
    decode_report = DecodeReport(allow_null=True)
    summary = Summary(allow_null=True)
    links = AnalysisLinks()


class Detection(Classed):
    """By the analysis' task a box has a `polygon` or `keypoints`, or is the hull of an `obb`."""

    frame_index = serializers.IntegerField(help_text="Among the analysed frames, from 0.")
    ordinal = serializers.IntegerField(help_text="In its frame, from 0, most confident first.")
    pts_us = serializers.IntegerField(help_text="When, in microseconds of the stream's own clock.")
    track_id = serializers.IntegerField(allow_null=True)
    confidence = serializers.FloatField(min_value=0, max_value=1)
    x1 = serializers.FloatField(help_text="In pixels of the upright frame, as the other three.")
    y1 = serializers.FloatField()
    x2 = serializers.FloatField()
    y2 = serializers.FloatField()
    polygon = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2),
        required=False,
        help_text="x and y of each corner.",
    )
    keypoints = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(), min_length=3, max_length=3),
        required=False,
        help_text="x, y and confidence of each key point.",
    )
    obb = serializers.ListField(
        child=serializers.FloatField(),
        min_length=5,
        max_length=5,
        required=False,
        help_text="Centre x and y, width, height, and angle in radians from the x towards the y axis.",
    )


class Track(Classed):
    track_id = serializers.IntegerField()
    first_frame = serializers.IntegerField()
    last_frame = serializers.IntegerField()
    first_pts_us = serializers.IntegerField()
    last_pts_us = serializers.IntegerField()
    duration_us = serializers.IntegerField()
    detections = serializers.IntegerField()
    confidence = serializers.FloatField(help_text="Of its detections on average.")
    path = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(), min_length=3, max_length=3),
        help_text="Time in microseconds and the centre's x and y, at most 64 times.",
    )


class Second(Classed):
    second = serializers.IntegerField(help_text="Of the video, from 0.")
    detections = serializers.IntegerField()
    most = serializers.IntegerField(help_text="In one frame.")
    tracks = serializers.IntegerField()


class Event(serializers.Serializer):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    status = serializers.CharField()
    source = serializers.ChoiceField(["backend", "batch", "job"])
    detail = serializers.DictField(help_text="What else its source said.")


class Download(serializers.Serializer):
    url = serializers.URLField(help_text="Presigned.")
    expires_at = serializers.DateTimeField()


class ThumbnailLink(Download):
    frame_index = serializers.IntegerField()
    pts_us = serializers.IntegerField()


class Media(serializers.Serializer):
    poster = Download(allow_null=True)
    annotated_video = Download(allow_null=True)


class Model(serializers.Serializer):
    name = serializers.CharField()
    task = serializers.ChoiceField(list(TASKS))
    classes = serializers.ListField(child=serializers.CharField(), help_text="Their places are their ids.")
    input_size = serializers.ListField(
        child=serializers.IntegerField(), min_length=2, max_length=2, help_text="Height and width in pixels."
    )


VideoPage = page_of(Video)
AnalysisPage = page_of(Analysis)
DetectionPage = page_of(Detection)
TrackPage = page_of(Track)
SecondPage = page_of(Second)
EventPage = page_of(Event)
ThumbnailPage = page_of(ThumbnailLink)
ModelPage = page_of(Model)
