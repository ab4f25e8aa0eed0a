"""Classes of whole frames."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batch_job.candidates import Keep
from batch_job.classify import MOST_CLASSES, CentreCrop, classes_from, classes_in

probabilities = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20)


@given(values=probabilities, confidence=st.floats(0.01, 0.9), wanted=st.none() | st.sets(st.integers(0, 19)))
def test_the_best_of_the_wanted_classes_are_given(
    values: list[float], confidence: float, wanted: set[int] | None
) -> None:
    """In order, at most five, all above the threshold, and none left out that is better."""
    scores = np.array(values, np.float32)
    keep = Keep(confidence=confidence, classes=None if wanted is None else tuple(wanted))
    found = classes_from(classes_in(scores, keep), CentreCrop.inside((90, 160), (64, 64)))
    allowed = [index for index in range(len(values)) if wanted is None or index in wanted]
    expected = sorted((scores[index] for index in allowed if scores[index] > np.float32(confidence)), reverse=True)
    assert found.confidence.tolist() == expected[:MOST_CLASSES]
    assert found.confidence.tolist() == scores[found.class_id].tolist()
    assert set(found.class_id.tolist()) <= set(allowed)
    assert (found.boxes == np.array([0, 0, 160, 90], np.float32)).all()
    assert found.boxes.shape == (len(found), 4)


def test_equal_classes_are_given_in_the_models_order() -> None:
    """So the same frame always gives the same rows."""
    assert classes_in(np.full(3, 0.3, np.float32), Keep(confidence=0.1)).class_id.tolist() == [0, 1, 2]


def test_the_network_sees_the_middle_of_the_frame() -> None:
    """And a rectangle only where the network was made for one: then the whole frame."""
    image = np.zeros((90, 300, 3), np.uint8)
    image[:, 105:195] = 200
    assert (CentreCrop.rectangle((90, 300), image_size=32, stride=32).place(image)[:, 1:-1] == 200).all()
    assert CentreCrop.inside((90, 300), (32, 64)).place(image)[:, 0].max() == 0
