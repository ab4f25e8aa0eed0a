"""Measures exported model files on held-out scenes: accuracy, steadiness under a tracker, agreement of formats."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from ultralytics import YOLO
from ultralytics.trackers import BYTETracker
from ultralytics.utils import YAML, IterableSimpleNamespace
from ultralytics.utils.checks import check_yaml

from demo.detection import OpenVinoDetector, letterbox
from demo.evaluation import Prediction, identity_switches, mean_average_precision, score
from demo.exporting import CHECKPOINT, ONNX, OPENVINO_XML
from demo.scenes import Scene, SceneFrame, SceneRenderer, TruthBox, render_scene

# Far from the seeds of training scenes and of the demo video.
FIRST_HELD_OUT_SCENE = 500_000
HELD_OUT_SCENES = 12
_EVERY = 12
TRACKED_SCENES = 8
_TRACKED_FRAMES = 150
WORKING_CONFIDENCE = 0.25
# Low enough for the whole precision-recall curve.
_LOWEST_CONFIDENCE = 0.001


@dataclass(frozen=True, kw_only=True, slots=True)
class _Boxes:
    """Detections as ultralytics' trackers read them: centre and size, confidence, class."""

    xywh: NDArray[np.float32]
    conf: NDArray[np.float32]
    cls: NDArray[np.float32]

    def __getitem__(self, chosen: Any) -> Self:
        return type(self)(xywh=self.xywh[chosen], conf=self.conf[chosen], cls=self.cls[chosen])

    def __len__(self) -> int:
        return len(self.conf)


def measure(folder: Path) -> dict[str, float | int]:
    """What the model card says about the files in `folder`; accuracy is that of the OpenVINO export."""
    detector = OpenVinoDetector(folder / OPENVINO_XML)
    truth: list[TruthBox] = []
    predictions: list[Prediction] = []
    frames = 0
    for frame in _held_out_frames():
        # Frames of different scenes have equal indices; here each needs one of its own.
        truth.extend(replace(box, frame_index=frames) for box in frame.truth)
        predictions.extend(detector.detect(frame.image, frame_index=frames, confidence=_LOWEST_CONFIDENCE))
        frames += 1
    counts = score(truth, [guess for guess in predictions if guess.confidence > WORKING_CONFIDENCE])
    return {
        "map50": round(mean_average_precision(truth, predictions), 4),
        "precision": round(counts.precision, 4),
        "recall": round(counts.recall, 4),
        "confidence": WORKING_CONFIDENCE,
        "held_out_scenes": HELD_OUT_SCENES,
        "held_out_frames": frames,
        "identity_switches": sum(_switches(detector, scene) for scene in _tracked_scenes()),
        "tracked_frames": TRACKED_SCENES * _TRACKED_FRAMES,
        **_differences(folder, detector),
    }


def _held_out_frames() -> Iterator[SceneFrame]:
    for seed in range(FIRST_HELD_OUT_SCENE, FIRST_HELD_OUT_SCENE + HELD_OUT_SCENES):
        scene = Scene(seed=seed)
        renderer = SceneRenderer(scene)
        for index in range(0, scene.frame_count, _EVERY):
            yield renderer.frame(index)


def _tracked_scenes() -> Iterator[Scene]:
    first = FIRST_HELD_OUT_SCENE + HELD_OUT_SCENES
    for seed in range(first, first + TRACKED_SCENES):
        yield Scene(seed=seed, frame_count=_TRACKED_FRAMES, crossings=False)


def _switches(detector: OpenVinoDetector, scene: Scene) -> int:
    """Identity switches of ultralytics' ByteTrack, at its own settings, over the detections of a scene."""
    tracker = BYTETracker(IterableSimpleNamespace(**YAML.load(check_yaml("bytetrack.yaml"))))
    truth: list[TruthBox] = []
    tracked: list[Prediction] = []
    for frame in render_scene(scene):
        truth.extend(frame.truth)
        found = detector.detect(frame.image, frame_index=frame.index, confidence=tracker.args.track_low_thresh)
        for x1, y1, x2, y2, track_id, confidence, class_id, _ in tracker.update(_boxes(found)):
            tracked.append(
                Prediction(
                    frame_index=frame.index,
                    class_id=int(class_id),
                    confidence=float(confidence),
                    x1=float(x1),
                    y1=float(y1),
                    x2=float(x2),
                    y2=float(y2),
                    track_id=int(track_id),
                )
            )
    return identity_switches(truth, tracked)


def _boxes(found: Sequence[Prediction]) -> _Boxes:
    corners = np.array([(box.x1, box.y1, box.x2, box.y2) for box in found], np.float32).reshape(-1, 4)
    return _Boxes(
        xywh=np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1),
        conf=np.array([box.confidence for box in found], np.float32),
        cls=np.array([box.class_id for box in found], np.float32),
    )


def _differences(folder: Path, detector: OpenVinoDetector) -> dict[str, float]:
    """How far ONNX and OpenVINO are from the checkpoint where it sees something: pixels and confidence.

    Two frames at a time, lying and upright, so that the dynamic axes are exercised too.
    """
    network = YOLO(folder / CHECKPOINT).model.float().eval()
    session = onnxruntime.InferenceSession(folder / ONNX, providers=["CPUExecutionProvider"])
    first, second, third, fourth = (frame.image for frame in islice(_held_out_frames(), 4))
    largest: dict[str, float] = {}
    for images in ((first, second), (np.rot90(third), np.rot90(fourth))):
        tensor = np.concatenate([letterbox(np.ascontiguousarray(image)).tensor for image in images])
        with torch.inference_mode():
            expected = network(torch.from_numpy(tensor))[0].numpy()
        seen = expected[:, 4:].max(axis=1) > WORKING_CONFIDENCE
        outputs = {"onnx": session.run(None, {"images": tensor})[0], "openvino": detector.raw(tensor)}
        for name, output in outputs.items():
            off = np.abs(output - expected).transpose(0, 2, 1)[seen]
            for part, value in (("box", off[:, :4].max()), ("score", off[:, 4:].max())):
                key = f"{name}_{part}_difference"
                largest[key] = max(largest.get(key, 0.0), round(float(value), 4))
    return largest
