"""The committed demo model: known, small, clean, and good enough to show what the product does."""

import getpass
import json
import re
import socket
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from demo.evaluation import Prediction, identity_switches, iou_matrix, score
from demo.model_lock import faults, read_lock
from demo.scenes import CLASS_NAMES, Scene, SceneRenderer, render_scene

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = REPOSITORY / "models" / "models.lock.json"
FOLDER = REPOSITORY / "models" / "demo-shapes"
LARGEST_TOTAL_BYTES = 4_000_000


@pytest.fixture(scope="module")
def entry():
    """The demo model's place in the lock."""
    (found,) = (model for model in read_lock(LOCK)["models"] if model["name"] == "demo-shapes")
    return found


@pytest.fixture(scope="module")
def detector(entry):
    """The committed OpenVINO export."""
    from demo.detection import OpenVinoDetector

    return OpenVinoDetector(REPOSITORY / entry["source"] / entry["formats"]["openvino"]["entry"])


def test_lock_agrees_with_the_committed_files():
    """A model that is not what the lock says is never loaded."""
    assert list(faults(REPOSITORY, read_lock(LOCK))) == []


def test_lock_names_every_model_file_of_the_folder(entry):
    """A file that no digest covers would be there for nothing, or for harm."""
    locked = {name for form in entry["formats"].values() for name in form["files"]}
    present = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    assert present - {"card.json"} == locked


def test_lock_and_card_tell_the_classes_of_the_scenes(entry):
    """Class ids are positions in this list, everywhere."""
    card = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
    assert entry["classes"] == card["classes"] == list(CLASS_NAMES)


def test_committed_files_stay_small():
    """Every clone carries them for ever."""
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= LARGEST_TOTAL_BYTES


def test_committed_files_hold_no_trace_of_the_machine_that_made_them():
    """Exporters like to store paths, which tell strangers about somebody's computer."""
    traces = [rb"/home/", rb"/root/", rb"/tmp/", rb"/Users/", rb"/mnt/", rb"[A-Z]:\\\\"]
    # Short names are ordinary words too.
    names = {socket.gethostname(), getpass.getuser(), str(Path.home()), str(REPOSITORY)}
    traces += [re.escape(name.encode()) for name in names if len(name) >= 6]
    trace = re.compile(b"|".join(traces))
    for path in (LOCK, *FOLDER.rglob("*")):
        if path.is_file():
            assert trace.findall(path.read_bytes()) == [], path.name


def test_card_promises_what_the_demo_needs():
    """Measured on 12 held-out scenes when the model was made."""
    metrics = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))["metrics"]
    assert metrics["map50"] >= 0.97
    assert metrics["precision"] >= 0.95
    assert metrics["recall"] >= 0.95
    assert metrics["identity_switches"] == 0


def test_objects_of_held_out_scenes_are_found(detector):
    """The demo's table of results should be right, crossings included."""
    truth, predictions = [], []
    for seed in range(700_000, 700_005):
        renderer = SceneRenderer(Scene(seed=seed))
        for index in range(0, 300, 30):
            frame = renderer.frame(index)
            # Frames of different scenes have equal indices; here each needs one of its own.
            position = 1_000 * seed + index
            truth.extend(replace(box, frame_index=position) for box in frame.truth)
            predictions.extend(detector.detect(frame.image, frame_index=position))
    counts = score(truth, predictions)
    assert counts.precision >= 0.95
    assert counts.recall >= 0.95


def test_detections_are_steady_enough_to_follow(detector):
    """Without crossings, the plainest tracker there is (the box that overlaps the last one) never errs."""
    truth, tracked = [], []
    last: list[Prediction] = []
    issued = count(1)
    for frame in render_scene(Scene(seed=700_010, frame_count=60, crossings=False)):
        truth.extend(frame.truth)
        found = detector.detect(frame.image, frame_index=frame.index)
        overlap = iou_matrix(corners(found), corners(last))
        followed = []
        for box, shares in zip(found, overlap, strict=True):
            follows = bool(shares.size) and shares.max() > 0.2
            track_id = last[int(shares.argmax())].track_id if follows else next(issued)
            followed.append(replace(box, track_id=track_id))
        tracked.extend(followed)
        last = followed
    assert identity_switches(truth, tracked) == 0


def corners(boxes):
    """Boxes as an array (n, 4)."""
    return np.array([(box.x1, box.y1, box.x2, box.y2) for box in boxes]).reshape(-1, 4)
