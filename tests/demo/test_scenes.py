"""Scenes: the same every time, true to their pixels, and as crowded as they say."""

from itertools import combinations, groupby, pairwise

import numpy as np
import pytest

from demo.evaluation import iou_matrix
from demo.scenes import CLASS_NAMES, Scene, SceneImpossible, SceneRenderer, TruthBox, render_scene

SHORT = 40


def edges(box: TruthBox) -> np.ndarray:
    return np.array([box.x1, box.y1, box.x2, box.y2])


def test_equal_scenes_give_equal_bytes_and_truth():
    """Committed figures mean something only if everybody measures on the same pixels."""
    scene = Scene(seed=5, frame_count=SHORT)
    for first, second in zip(render_scene(scene), render_scene(scene), strict=True):
        assert first.image.tobytes() == second.image.tobytes()
        assert first.truth == second.truth


def test_another_seed_gives_another_scene():
    """Held-out scenes must not be the training scenes."""
    first, second = (SceneRenderer(Scene(seed=seed)).frame(0) for seed in (1, 2))
    assert first.truth != second.truth
    assert not np.array_equal(first.image, second.image)


def test_a_frame_is_the_same_alone_and_in_its_row():
    """A resumed job starts in the middle, and its reference does too."""
    scene = Scene(seed=9, frame_count=SHORT)
    alone = SceneRenderer(scene).frame(SHORT - 1)
    *_, last = render_scene(scene)
    assert last.truth == alone.truth
    assert np.array_equal(last.image, alone.image)


def test_frames_are_drawn_only_when_asked_for():
    """A scene of a million frames must not cost memory or time before they are needed."""
    frame = next(render_scene(Scene(seed=1, frame_count=1_000, crossings=False)))
    assert frame.index == 0
    assert frame.image.shape == (360, 640, 3)
    assert frame.image.dtype == np.uint8


@pytest.mark.parametrize("crossings", [pytest.param(True, id="crossings"), pytest.param(False, id="lanes")])
def test_boxes_bound_the_pixels_that_vanish_with_the_object(crossings):
    """The truth is compared with the image itself: taking an object away changes its box and nothing else."""
    renderer = SceneRenderer(Scene(seed=12, noise=0.0, crossings=crossings))
    for index in range(0, 300, 60):
        whole = renderer.frame(index)
        for box in whole.truth:
            # Of less than that, little more than the smooth edge is seen.
            if box.visible_fraction < 0.1:
                continue
            bare = renderer.frame(index, without=frozenset({box.identity}))
            changed = (whole.image != bare.image).any(axis=2)
            ys, xs = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
            seen = np.array([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1])
            # Smooth edges reach a pixel beyond the half-covered one at which a box ends.
            assert np.abs(seen - edges(box)).max() <= 2, box


def test_boxes_stay_inside_the_frame():
    """Objects come and go through the edges; their boxes are cut there."""
    cut = 0
    for frame in render_scene(Scene(seed=3)):
        for box in frame.truth:
            assert 0 <= box.x1 < box.x2 <= 640
            assert 0 <= box.y1 < box.y2 <= 360
            assert 0 < box.visible_fraction <= 1
            cut += box.x1 == 0 or box.x2 == 640
    assert cut > 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lanes_keep_every_two_objects_apart(seed):
    """A tracker that confuses identities here has no excuse."""
    for frame in render_scene(Scene(seed=seed, crossings=False)):
        boxes = np.array([edges(box) for box in frame.truth])
        overlap = iou_matrix(boxes, boxes)
        assert np.array_equal(overlap > 0, np.eye(len(boxes), dtype=bool))
        for first, second in combinations(sorted(boxes.tolist(), key=lambda box: box[1]), 2):
            assert second[1] - first[3] >= 4, "lanes have a gap"


def test_crossings_cover_objects_and_say_so():
    """Overlap is what makes the demo worth tracking, and hidden objects must be known as such."""
    fractions = [box.visible_fraction for frame in render_scene(Scene(seed=3)) for box in frame.truth]
    assert min(fractions) < 0.5
    assert np.mean(np.array(fractions) > 0.9) > 0.7


def test_who_leaves_never_returns():
    """Somebody who comes in again would be a new identity to every tracker, so it is one here."""
    scene = Scene(seed=4, crossings=False)
    seen: dict[int, list[int]] = {}
    for frame in render_scene(scene):
        for box in frame.truth:
            seen.setdefault(box.identity, []).append(frame.index)
    assert all(frames == list(range(frames[0], frames[-1] + 1)) for frames in seen.values())
    assert len(seen) > scene.objects
    assert any(frames[0] > 0 for frames in seen.values())
    assert any(frames[-1] < scene.frame_count - 1 for frames in seen.values())


def test_an_identity_keeps_its_class_and_moves_smoothly():
    """Boxes of one object in neighbouring frames overlap well, or no tracker could follow it."""
    boxes = [box for frame in render_scene(Scene(seed=6, crossings=False)) for box in frame.truth]
    boxes.sort(key=lambda box: (box.identity, box.frame_index))
    for _, track in groupby(boxes, key=lambda box: box.identity):
        for before, after in pairwise(track):
            assert after.class_id == before.class_id
            if min(before.visible_fraction, after.visible_fraction) > 0.9:
                assert iou_matrix(edges(before)[None], edges(after)[None])[0, 0] > 0.4


def test_all_classes_appear_under_their_names():
    """A class that never appears could be wrong without anybody noticing."""
    boxes = [box for seed in range(4) for box in SceneRenderer(Scene(seed=seed)).frame(0).truth]
    assert {box.class_name for box in boxes} == set(CLASS_NAMES)
    assert all(CLASS_NAMES[box.class_id] == box.class_name for box in boxes)


def test_more_objects_than_fit_are_refused():
    """Shapes of a few pixels could not be told apart; better to say so."""
    with pytest.raises(SceneImpossible, match="20 objects"):
        SceneRenderer(Scene(seed=0, objects=20, crossings=False))


def test_a_frame_beyond_the_end_is_refused():
    """Objects have no path there."""
    with pytest.raises(IndexError):
        SceneRenderer(Scene(seed=0, frame_count=2)).frame(2)
