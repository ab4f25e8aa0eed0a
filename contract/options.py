"""What a user may ask of an analysis, with the limits that every part checks in the same way."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


class OptionsInvalid(ValueError):
    """Some options are outside their limits."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {fault}" for name, fault in faults.items()))
        self.faults = dict(faults)


LIMITS: dict[str, str] = {  # what each option must be
    "confidence": "a number from 0.01 to 1",
    "iou": "a number from 0.01 to 1",
    "classes": "a non-empty list of class names",
    "image_size": "a multiple of 32 from 32 to 2048",
    "every_nth": "a whole number from 1 to 10000",
    "frames_per_second": "a number from 0.001 to 240",
    "track": "true or false",
    "thumbnails": "a whole number from 0 to 32",
    "annotated_video": "true or false",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisOptions:
    """Raises OptionsInvalid, naming every faulty field at once.

    With a model that classifies whole frames `iou` and `track` are ignored, not refused: every request carries
    them, asked for or not.
    """

    confidence: float = 0.25  # keep boxes of at least this confidence, 0.01 to 1
    iou: float = 0.7  # non-maximum suppression drops boxes that overlap a better one by more, 0.01 to 1
    classes: tuple[str, ...] | None = None  # class names to keep; None keeps all
    image_size: int | None = None  # longer side of the network's input in pixels; None takes the model's own
    every_nth: int = 1  # analyse every nth frame of the stream
    frames_per_second: float | None = None  # analyse at most this many frames per second of video time
    track: bool = True  # give detections of one object the same track id
    thumbnails: int = 6  # evenly spaced annotated pictures
    annotated_video: bool = False  # an MP4 with the boxes drawn in

    def __post_init__(self) -> None:
        faults = dict(_faults(self))
        if faults:
            raise OptionsInvalid(faults)

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        if self.classes is not None:
            values["classes"] = list(self.classes)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Ignores unknown fields, so that an older reader accepts a newer writer's options."""
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        if isinstance(known.get("classes"), list):
            known["classes"] = tuple(known["classes"])
        return cls(**known)


def _faults(options: AnalysisOptions) -> Iterator[tuple[str, str]]:
    rate, size = options.frames_per_second, options.image_size
    good = {
        "confidence": _number(options.confidence, 0.01, 1.0),
        "iou": _number(options.iou, 0.01, 1.0),
        "classes": _names(options.classes),
        "image_size": size is None or (_integer(size, 32, 2048) and size % 32 == 0),
        "every_nth": _integer(options.every_nth, 1, 10_000),
        "frames_per_second": rate is None or _number(rate, 0.001, 240.0),
        "track": isinstance(options.track, bool),
        "thumbnails": _integer(options.thumbnails, 0, 32),
        "annotated_video": isinstance(options.annotated_video, bool),
    }
    yield from ((name, f"must be {LIMITS[name]}") for name, is_good in good.items() if not is_good)
    if rate is not None and options.every_nth != 1:
        yield "frames_per_second", "cannot be combined with every_nth"


def _number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _integer(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _names(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, tuple) and len(value) > 0 and all(isinstance(name, str) and name for name in value)
