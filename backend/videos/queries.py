"""The parameters that each list takes: a page, an order, and filters that `filters` applies."""

from collections.abc import Sequence

from rest_framework import serializers

from backend.config.serializers import FiniteField, StrictQuery
from backend.videos.models import ANALYSIS_STATUSES, VideoStatus
from backend.videos.pagination import Keyset, PageQuery, page_size_field
from contract.uploads import PARTS_AT_MOST

MOST_FRAMES = 2**63 - 1  # what bigint holds
MOST_TRACKS = 2**31 - 1
EARLIEST_US, LATEST_US = -(2**63), 2**63 - 1
MOST_AREA = 1e12
NEWEST = "-created_at"


def _orders(*names: str) -> dict[str, Keyset]:
    """Both directions of each column; the id, which is unique, decides between equals."""
    return {
        f"{sign}{name}": Keyset(columns=(f"{sign}{name}", f"{sign}id")) for name in names for sign in ("", "-")
    }


def _number(most: int, help_text: str, *, least: int = 0) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=least, max_value=most, required=False, help_text=help_text)


def _share(help_text: str) -> FiniteField:
    return FiniteField(min_value=0, max_value=1, required=False, help_text=help_text)


def _area(help_text: str) -> FiniteField:
    return FiniteField(min_value=0, max_value=MOST_AREA, required=False, help_text=help_text)


def _statuses(choices: Sequence[str]) -> serializers.MultipleChoiceField:
    return serializers.MultipleChoiceField(choices=choices, required=False, help_text="Repeat it for several.")


def _classes() -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(allow_blank=True),
        required=False,
        help_text="Name of a class; repeat it for several.",
    )


def _time(help_text: str) -> serializers.DateTimeField:
    return serializers.DateTimeField(required=False, help_text=help_text)


class CreatedQuery(StrictQuery):
    created_after = _time("Only what was created later, ISO 8601; without an offset it is UTC.")
    created_before = _time("Only what was created earlier.")


class VideoQuery(PageQuery, CreatedQuery):
    ORDERS = _orders("created_at", "filename", "size_bytes")

    page_size = page_size_field(default=50, most=200)
    order = serializers.ChoiceField(choices=list(ORDERS), default=NEWEST)
    status = _statuses(VideoStatus.values)
    filename = serializers.CharField(required=False, help_text="A part of the name, in small or capital letters.")


class PartQuery(StrictQuery):
    after = serializers.IntegerField(
        min_value=0, max_value=PARTS_AT_MOST, default=0, help_text="Number of a part; those behind it."
    )


class AnalysisQuery(PageQuery, CreatedQuery):
    ORDERS = _orders("created_at", "updated_at")

    page_size = page_size_field(default=50, most=200)
    order = serializers.ChoiceField(choices=list(ORDERS), default=NEWEST)
    status = _statuses(ANALYSIS_STATUSES)
    video = serializers.UUIDField(required=False, help_text="Only those of this video.")
    model = serializers.CharField(required=False, help_text="Only those with the model of this name.")


class VideoTimeQuery(StrictQuery):
    from_us = _number(LATEST_US, "Microseconds of the video's clock; from there on.", least=EARLIEST_US)
    until_us = _number(LATEST_US, "Microseconds of the video's clock; what is earlier.", least=EARLIEST_US)


class DetectionQuery(PageQuery, VideoTimeQuery):
    page_size = page_size_field(default=200, most=1000)
    frame = _number(MOST_FRAMES, "Index of one frame.")
    from_frame = _number(MOST_FRAMES, "Index of a frame; from there on.")
    until_frame = _number(MOST_FRAMES, "Index of a frame; what is earlier.")
    track = _number(MOST_TRACKS, "Id of a track.")
    class_ = _classes()
    min_confidence = _share("At least so confident.")
    max_confidence = _share("At most so confident.")
    min_area = _area("Square pixels of the box, at least.")
    max_area = _area("Square pixels of the box, at most.")


class TrackQuery(PageQuery, VideoTimeQuery):
    page_size = page_size_field(default=200, most=1000)
    frame = _number(MOST_FRAMES, "Index of a frame between its first and its last.")
    track = _number(MOST_TRACKS, "Id of a track.")
    class_ = _classes()
    min_confidence = _share("At least so confident in the mean.")
    max_confidence = _share("At most so confident in the mean.")
    min_detections = _number(MOST_TRACKS, "At least so many boxes.")
    min_duration_us = _number(LATEST_US, "At least so many microseconds from its first to its last box.")


class SecondQuery(PageQuery):
    page_size = page_size_field(default=200, most=1000)
    from_second = _number(LATEST_US, "Second of the video's clock; from there on.", least=EARLIEST_US)
    until_second = _number(LATEST_US, "Second of the video's clock; what is earlier.", least=EARLIEST_US)
    class_ = _classes()


class EventQuery(PageQuery):
    page_size = page_size_field(default=200, most=1000)
