"""Evaluation: small cases whose answers are known, and a few laws."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo.evaluation import (
    Prediction,
    average_precision,
    identity_switches,
    iou_matrix,
    match_frame,
    mean_average_precision,
    score,
)
from demo.scenes import CLASS_NAMES, TruthBox


def truth(x: float, *, frame: int = 0, identity: int = 1, class_id: int = 0, visible: float = 1.0) -> TruthBox:
    """A 10 x 10 object whose left edge is at `x`."""
    return TruthBox(
        frame_index=frame,
        identity=identity,
        class_id=class_id,
        class_name=CLASS_NAMES[class_id],
        x1=x,
        y1=0,
        x2=x + 10,
        y2=10,
        visible_fraction=visible,
    )


def guess(
    x: float, *, frame: int = 0, class_id: int = 0, confidence: float = 0.9, track: int | None = None
) -> Prediction:
    """A 10 x 10 prediction whose left edge is at `x`."""
    return Prediction(
        frame_index=frame, class_id=class_id, confidence=confidence, x1=x, y1=0, x2=x + 10, y2=10, track_id=track
    )


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        pytest.param((0, 0, 10, 10), 1.0, id="same box"),
        pytest.param((5, 0, 15, 10), 1 / 3, id="half shifted"),
        pytest.param((0, 0, 5, 5), 0.25, id="quarter inside"),
        pytest.param((10, 0, 20, 10), 0.0, id="touching edges"),
        pytest.param((50, 50, 60, 60), 0.0, id="far away"),
        pytest.param((3, 3, 3, 3), 0.0, id="empty box"),
    ],
)
def test_overlap_of_known_boxes(second, expected):
    """Every other figure rests on this one."""
    assert iou_matrix(np.array([[0, 0, 10, 10]]), np.array([second]))[0, 0] == pytest.approx(expected)


def test_overlap_without_boxes_keeps_its_shape():
    """Frames without objects are ordinary."""
    assert iou_matrix(np.empty((0, 4)), np.zeros((3, 4))).shape == (0, 3)


def test_the_more_confident_prediction_takes_the_object():
    """A second box on the same object is a false alarm, whichever came first in the list."""
    match = match_frame([truth(0)], [guess(1, confidence=0.4), guess(2, confidence=0.8)])
    assert match.pairs == ((0, 1),)
    assert match.spurious == (0,)


def test_a_prediction_takes_the_object_it_fits_best():
    """Neighbours both overlap it enough."""
    match = match_frame([truth(0), truth(4, identity=2)], [guess(3)])
    assert match.pairs == ((1, 0),)
    assert match.missed == (0,)


def test_the_wrong_class_is_both_a_miss_and_a_false_alarm():
    """Naming a square a circle helps nobody."""
    counts = score([truth(0, class_id=1)], [guess(0, class_id=0)])
    assert (counts.true_positives, counts.false_positives, counts.false_negatives) == (0, 1, 1)


@pytest.mark.parametrize(
    "predictions",
    [
        pytest.param([], id="not found"),
        pytest.param([guess(0)], id="found"),
        pytest.param([guess(0, class_id=2)], id="found as something else"),
        pytest.param([guess(0), guess(1)], id="found twice"),
    ],
)
def test_a_nearly_hidden_object_counts_for_nothing(predictions):
    """What a sliver is cannot be told, so neither answer is wrong."""
    counts = score([truth(0, visible=0.2)], predictions)
    assert (counts.true_positives, counts.false_positives, counts.false_negatives) == (0, 0, 0)


def test_a_counting_object_is_preferred_to_a_hidden_one():
    """A find must not be lost to the sliver beside it."""
    match = match_frame([truth(0, visible=0.1), truth(1, identity=2)], [guess(0)])
    assert match.pairs == ((1, 0),)


def test_precision_and_recall_of_a_known_case():
    """Two of three predictions right, two of four objects found."""
    objects = [truth(0), truth(20, identity=2), truth(40, identity=3), truth(60, identity=4)]
    counts = score(objects, [guess(0), guess(20), guess(100)])
    assert counts.precision == pytest.approx(2 / 3)
    assert counts.recall == pytest.approx(0.5)


def test_predictions_of_other_frames_do_not_match():
    """A box a frame late is wrong."""
    assert score([truth(0, frame=0)], [guess(0, frame=1)]).true_positives == 0


def test_average_precision_of_a_known_case():
    """Right, wrong, right over two objects: precision 1 up to recall 0.5, then 2/3."""
    objects = [truth(0), truth(20, identity=2)]
    predictions = [guess(0, confidence=0.9), guess(50, confidence=0.8), guess(20, confidence=0.7)]
    assert average_precision(objects, predictions) == {0: pytest.approx(0.5 + 0.5 * 2 / 3)}


def test_mean_average_precision_is_over_classes_that_exist():
    """A class found fully and one not at all make a half; a class nobody drew has no say."""
    objects = [truth(0), truth(20, identity=2, class_id=1)]
    assert mean_average_precision(objects, [guess(0), guess(90, class_id=3)]) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        pytest.param([7, 7, 7, 7], 0, id="one track"),
        pytest.param([7, 7, 8, 8], 1, id="a new track takes over"),
        pytest.param([7, 8, 7, 8], 3, id="two tracks in turns"),
        pytest.param([7, None, None, 7], 0, id="a gap"),
        pytest.param([7, None, None, 8], 1, id="another track after a gap"),
        pytest.param([None, None, None, None], 0, id="never followed"),
    ],
)
def test_identity_switches_of_known_tracks(tracks, expected):
    """CLEAR MOT counts changes of the track that follows an object, and nothing else."""
    objects = [truth(0, frame=frame) for frame in range(len(tracks))]
    followed = [guess(0, frame=frame, track=track) for frame, track in enumerate(tracks)]
    assert identity_switches(objects, followed) == expected


def test_an_earlier_pairing_is_kept_while_it_overlaps_enough():
    """Another track that fits a little better for a moment is no switch."""
    objects = [truth(0, frame=0), truth(0, frame=1)]
    followed = [guess(0, frame=0, track=1), guess(3, frame=1, track=1), guess(0, frame=1, track=2)]
    assert identity_switches(objects, followed) == 0


def test_two_objects_that_swap_tracks_are_two_switches():
    """Each of the two is now followed by another track."""
    objects = [truth(20 * identity, frame=frame, identity=identity) for frame in (0, 1) for identity in (1, 2)]
    followed = [guess(20, frame=0, track=1), guess(40, frame=0, track=2)]
    followed += [guess(20, frame=1, track=2), guess(40, frame=1, track=1)]
    assert identity_switches(objects, followed) == 2


coordinate = st.integers(0, 60)
objects_of_a_frame = st.lists(st.tuples(coordinate, st.integers(0, 3)), max_size=6)


@settings(deadline=None)
@given(objects_of_a_frame, objects_of_a_frame)
def test_overlap_is_symmetric_and_a_share(first, second):
    """It does not matter which side is the truth."""
    a = np.array([(x, 0, x + 10, 10 + k) for x, k in first]).reshape(-1, 4)
    b = np.array([(x, 0, x + 10, 10 + k) for x, k in second]).reshape(-1, 4)
    overlap = iou_matrix(a, b)
    assert np.allclose(overlap, iou_matrix(b, a).T)
    assert ((overlap >= 0) & (overlap <= 1)).all()


@settings(deadline=None)
@given(objects_of_a_frame, objects_of_a_frame)
def test_everything_is_counted_exactly_once(placed, guessed):
    """Each object is found or missed, each prediction right or wrong."""
    objects = [truth(x, identity=k, class_id=class_id) for k, (x, class_id) in enumerate(placed)]
    predictions = [guess(x, class_id=class_id) for x, class_id in guessed]
    match = match_frame(objects, predictions)
    assert sorted([index for index, _ in match.pairs] + list(match.missed)) == list(range(len(objects)))
    assert sorted([index for _, index in match.pairs] + list(match.spurious)) == list(range(len(predictions)))


@settings(deadline=None)
@given(objects_of_a_frame)
def test_the_truth_itself_is_a_perfect_answer(placed):
    """No figure may fall short of its best on the right answer."""
    objects = [truth(x, identity=k, class_id=class_id) for k, (x, class_id) in enumerate(dict.fromkeys(placed))]
    objects += [replace(box, frame_index=1) for box in objects]
    answer = [guess(box.x1, frame=box.frame_index, class_id=box.class_id, track=box.identity) for box in objects]
    counts = score(objects, answer)
    assert (counts.precision, counts.recall) == (1.0, 1.0)
    assert mean_average_precision(objects, answer) == pytest.approx(1.0)
    assert identity_switches(objects, answer) == 0
