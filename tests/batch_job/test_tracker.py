import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_job.kalman import BoxFilters
from batch_job.tracker import Tracker
from batch_job.values import Detections


def boxes(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    """Rows of x1 y1 x2 y2 confidence class, put in the order in which detections come."""
    table = np.array(sorted(rows, key=lambda row: -row[4]), np.float64).reshape(-1, 6)
    return Detections(
        boxes=table[:, :4].astype(np.float32),
        confidence=table[:, 4].astype(np.float32),
        class_id=table[:, 5].astype(np.int16),
    )


def box(x: float, y: float, *, confidence: float = 0.9, class_id: int = 0) -> tuple[float, ...]:
    return (x, y, x + 40, y + 60, confidence, class_id)


def scene(seed: int, frames: int) -> list[Detections]:
    """Objects that move steadily, are missed at times, and false boxes between them."""
    random = np.random.default_rng(seed)
    objects = [(random.random(2) * 400, random.normal(0, 4, 2), int(random.integers(0, 3))) for _ in range(5)]
    result = []
    for number in range(frames):
        rows = []
        for start, speed, class_id in objects:
            if random.random() < 0.85:
                x, y = start + number * speed + random.normal(0, 1, 2)
                rows.append(box(x, y, confidence=float(0.2 + 0.79 * random.random()), class_id=class_id))
        if random.random() < 0.3:
            x, y = random.random(2) * 400
            rows.append(box(x, y, confidence=float(0.1 + 0.5 * random.random())))
        result.append(boxes(*rows))  # type: ignore[arg-type]
    return result


def run(tracker: Tracker, frames: list[Detections]) -> list[list[int]]:
    return [tracker.update(frame).tolist() for frame in frames]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 60))
def test_a_tracker_rebuilt_by_replay_goes_on_as_if_nothing_had_happened(seed: int, cut: int) -> None:
    """A killed job's next attempt shows a fresh tracker what is stored, and track ids must not change."""
    frames = scene(seed, 60)
    undisturbed = run(Tracker(), frames)
    second = Tracker()
    run(second, frames[:cut])
    assert run(second, frames[cut:]) == undisturbed[cut:]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_numbers_have_no_gaps_and_stay_with_their_class(seed: int) -> None:
    frames = scene(seed, 60)
    classes: dict[int, set[int]] = {}
    for frame, numbers in zip(frames, run(Tracker(), frames), strict=True):
        given_numbers = [number for number in numbers if number]
        assert len(set(given_numbers)) == len(given_numbers)  # one box per object and frame
        for number, class_id in zip(numbers, frame.class_id.tolist(), strict=True):
            if number:
                classes.setdefault(number, set()).add(class_id)
    assert sorted(classes) == list(range(1, len(classes) + 1))
    assert all(len(seen) == 1 for seen in classes.values())


def test_an_object_keeps_its_number_while_it_moves() -> None:
    frames = [boxes(box(10 + 5 * n, 20), box(400 - 5 * n, 200)) for n in range(50)]  # type: ignore[arg-type]
    assert all(sorted(numbers) == [1, 2] for numbers in run(Tracker(), frames))


def test_an_object_that_is_hidden_for_a_while_is_known_again() -> None:
    """It is looked for where its movement has taken it."""
    seen = [boxes(box(10 + 5 * n, 20)) for n in range(20)]  # type: ignore[arg-type]
    hidden = [Detections.none()] * 10
    again = [boxes(box(10 + 5 * n, 20)) for n in range(30, 35)]  # type: ignore[arg-type]
    assert run(Tracker(), seen + hidden + again)[-1] == [1]


def test_an_object_that_stays_away_is_forgotten() -> None:
    frames = [boxes(box(10, 20))] * 5 + [Detections.none()] * 31 + [boxes(box(10, 20))] * 3  # type: ignore[arg-type]
    assert run(Tracker(), frames)[-1] == [2]


def test_a_faint_detection_keeps_a_track_alive() -> None:
    """The idea of ByteTrack: an occluded object has a low score, and is not lost for it."""
    frames = [boxes(box(10 + n, 20, confidence=0.9 if n < 5 else 0.15)) for n in range(40)]  # type: ignore[arg-type]
    assert all(numbers == [1] for numbers in run(Tracker(), frames))


def test_a_single_flash_gets_no_number() -> None:
    """Only a second detection confirms a track; false boxes seldom come twice."""
    steady = box(10, 20)
    frames = [boxes(steady), boxes(steady, box(300, 200)), boxes(steady), boxes(steady)]  # type: ignore[arg-type]
    assert run(Tracker(), frames) == [[1], [1, 0], [1], [1]]


def test_another_class_is_another_object() -> None:
    frames = [boxes(box(10, 20, class_id=n // 5)) for n in range(10)]  # type: ignore[arg-type]
    numbers = run(Tracker(), frames)
    assert numbers[4] == [1]
    assert numbers[9] == [2]


def test_boxes_without_area_belong_to_no_track() -> None:
    flat = (10.0, 10.0, 10.0, 50.0, 0.9, 0)
    assert run(Tracker(), [boxes(flat)] * 3) == [[0]] * 3


@pytest.mark.torch
@pytest.mark.usefixtures("ultralytics_installed")
def test_the_filter_is_the_one_of_bytetrack() -> None:
    """Written as four small filters, it must give what the 8x8 matrices give."""
    from ultralytics.trackers.utils.kalman_filter import KalmanFilterXYAH

    reference_filter = KalmanFilterXYAH()
    random = np.random.default_rng(5)
    start = np.array([[100.0, 50.0, 140.0, 110.0]])
    filters = BoxFilters.starting_at(start)
    mean, covariance = reference_filter.initiate(filters.position[0])
    all_of_them, none = np.array([True]), np.array([False])
    for number in range(40):
        filters.predict(all_of_them, resting_height=none)
        means, covariances = reference_filter.multi_predict(mean[None], covariance[None])
        mean, covariance = means[0], covariances[0]
        if number % 5 != 3:
            measured = start + np.array([3 * number, 2 * number] * 2) + random.normal(0, 1, (1, 4))
            x1, y1, x2, y2 = measured[0]
            measurement = np.array([(x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / (y2 - y1), y2 - y1])
            filters.correct(np.array([0]), measured)
            mean, covariance = reference_filter.update(mean, covariance, measurement)
        np.testing.assert_allclose(np.concatenate((filters.position[0], filters.velocity[0])), mean, atol=1e-9)
        np.testing.assert_allclose(filters.variance[0], np.diag(covariance)[:4], atol=1e-9)
