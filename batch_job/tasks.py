"""What a network was trained for decides what it is shown, how its outputs are read and what its boxes become."""

from collections.abc import Sequence
from math import prod

from batch_job import obb
from batch_job.candidates import Candidates, Keep, candidates_in
from batch_job.classify import CentreCrop, classes_from, classes_in
from batch_job.errors import ModelUntrusted
from batch_job.letterbox import Letterbox
from batch_job.nms import detections_from
from batch_job.obb import oriented_from
from batch_job.pose import posed_candidates_in, poses_from
from batch_job.segment import COEFFICIENTS, masked_candidates_in, segments_from
from batch_job.values import Detections, Floats
from contract.manifest import ModelEntry


def fit_of(model: ModelEntry) -> type[Letterbox]:
    """How frames are laid onto the network's input."""
    return CentreCrop if model.task == "classify" else Letterbox


def output_rows(model: ModelEntry) -> tuple[int, ...]:
    """The length of the first axis (after the batch) of each output that a network of this task must have."""
    rows = 4 + len(model.classes)
    match model.task:
        case "segment":
            return rows + COEFFICIENTS, COEFFICIENTS
        case "pose":
            return (rows + prod(model.keypoint_shape),)
        case "obb":
            return (rows + obb.ANGLES,)
        case "classify":
            return (len(model.classes),)
    return (rows,)


def require_rows(model: ModelEntry, rows: Sequence[int]) -> None:
    """Raises ModelUntrusted where a network has other outputs than `output_rows` says."""
    if tuple(rows) != output_rows(model):
        raise ModelUntrusted(
            f"{model.name} has outputs of {list(rows)} rows, and not those of a network for the task {model.task}"
            f" with {len(model.classes)} classes"
        )


def candidates_of(model: ModelEntry, outputs: Sequence[Floats], keep: Keep) -> Candidates:
    """`outputs` of one picture, as many and with as many rows as `output_rows` says."""
    match model.task:
        case "segment":
            return masked_candidates_in(outputs, keep)
        case "pose":
            return posed_candidates_in(outputs[0], keep, keypoint_shape=model.keypoint_shape)
        case "obb":
            return candidates_in(outputs[0], keep, extras=obb.ANGLES)
        case "classify":
            return classes_in(outputs[0], keep)
    return candidates_in(outputs[0], keep)


def detections_of(task: str, candidates: Candidates, letterbox: Letterbox, *, iou: float) -> Detections:
    """What is stored of one frame. Classes of whole frames do not overlap, so for them `iou` means nothing."""
    match task:
        case "segment":
            return segments_from(candidates, letterbox, iou=iou)
        case "pose":
            return poses_from(candidates, letterbox, iou=iou)
        case "obb":
            return oriented_from(candidates, letterbox, iou=iou)
        case "classify":
            return classes_from(candidates, letterbox)
    return detections_from(candidates, letterbox, iou=iou)
