"""How long an analysis takes on the reference machine, and so what it costs: a credit is a second of that machine.

The stages of an analysis overlap (`batch_job/pipeline.py`), so that the slowest one sets the speed; what comes
before and after them is added. Speeds, with the source of each, stand in speeds.json.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from backend.videos.models import Video
from contract.manifest import ModelEntry
from contract.messages import LEAST_TIMEOUT_SECONDS
from contract.options import AnalysisOptions

SPEEDS_FILE = Path(__file__).with_name("speeds.json")
# A machine that hangs is paid for no longer than this beyond what the work can take.
SPARE_SECONDS = max(1800, LEAST_TIMEOUT_SECONDS)

_SCALE = re.compile(r"yolov8([nsmlx])", re.ASCII)
_SLOWEST = "x"
_REFERENCE_PIXELS = 640 * 640


@dataclass(frozen=True, kw_only=True, slots=True)
class Footage:
    """What an estimate needs to know of a video; None where nobody knows it yet."""

    size_bytes: int
    seconds: float | None = None
    frames: int | None = None
    width: int | None = None  # of the upright frame, pixels
    height: int | None = None
    guessed: bool = False  # the file does not tell its length

    @classmethod
    def of(cls, video: Video) -> Self:
        facts = video.facts or {}
        return cls(
            size_bytes=video.size_bytes,
            seconds=video.seconds,
            frames=facts.get("frames"),
            width=facts.get("width"),
            height=facts.get("height"),
            guessed=facts.get("estimated", False),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    stages: Mapping[str, float]  # seconds on the reference machine; "decode" to "store" overlap
    seconds: float  # from the start of the container to the result
    credits: int
    assumed: tuple[str, ...]  # of "length" and "size": what is guessed, or taken as the most that it may be


@cache
def speeds() -> Mapping[str, Any]:
    return json.loads(SPEEDS_FILE.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def estimate(footage: Footage, model: ModelEntry, options: AnalysisOptions, *, longest_seconds: float) -> Estimate:
    """`longest_seconds` is what stands for a length that is not known, unless the file is too small for it."""
    known = speeds()
    most = min(longest_seconds, footage.size_bytes * 8 / known["assumed_least_bits_per_second"])
    seconds = most if footage.seconds is None else footage.seconds
    frames = seconds * known["assumed_frames_per_second"] if footage.frames is None else footage.frames
    analysed = _analysed(frames, seconds, options)
    shape = (footage.width, footage.height) if footage.width and footage.height else None
    megapixels = known["assumed_megapixels"] if shape is None else shape[0] * shape[1] / 1e6
    overlapping = {
        "fetch": footage.size_bytes / 1e6 / known["fetch_mb_per_second"],
        "decode": frames * megapixels * known["decode_ms_per_megapixel"] / 1000,
        "detect": analysed * _network_ms(model, options, shape) / 1000,
        "prepare, track and store": analysed * known["host_ms"] / 1000,
    }
    around = {"start": float(known["start_seconds"]), "thumbnails": options.thumbnails * known["picture_seconds"]}
    if options.annotated_video:
        around["annotated video"] = frames * megapixels * known["annotated_ms_per_megapixel"] / 1000
    total = sum(around.values()) + max(overlapping.values())
    facts = {"length": None if footage.guessed else footage.seconds, "size": shape}
    return Estimate(
        stages={name: round(value, 2) for name, value in (around | overlapping).items()},
        seconds=round(total, 2),
        credits=math.ceil(total),
        assumed=tuple(name for name, fact in facts.items() if fact is None),
    )


def timeout_seconds(seconds: float, *, slowest_machine: float) -> int:
    """The time limit of one attempt that takes `seconds` on the reference machine.

    `slowest_machine` is how many times longer the slowest machine of the fleet takes.
    """
    return SPARE_SECONDS + math.ceil(seconds * slowest_machine)


def _analysed(frames: float, seconds: float, options: AnalysisOptions) -> float:
    if options.frames_per_second is not None:
        return min(frames, math.ceil(seconds * options.frames_per_second))
    return math.ceil(frames / options.every_nth)


def _network_ms(model: ModelEntry, options: AnalysisOptions, shape: tuple[int, int] | None) -> float:
    """Of one picture. A model whose name does not tell its scale counts as the largest."""
    known = speeds()
    named = _SCALE.match(model.name)
    scale = named[1] if named else known["scales"].get(model.name, _SLOWEST)
    height, width = model.input_size
    if options.image_size is not None:
        longer, shorter = options.image_size, options.image_size
        if shape is not None:
            shorter = min(longer, math.ceil(longer * min(shape) / max(shape) / model.stride) * model.stride)
        height, width = shorter, longer
    factor = known["task_factor"][model.task]
    return float(known["network_ms"][scale] * factor * height * width / _REFERENCE_PIXELS)
