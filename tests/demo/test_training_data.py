"""Training batches: repeatable, and labels that lie on their objects."""

import numpy as np

from demo.training_data import SIDE, training_batches


def test_batches_repeat_with_their_seed():
    """A model that cannot be made again cannot be judged."""
    first, second = (list(training_batches(seed=1, count=2, size=6, first_scene=10)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.images, b.images)
        assert np.array_equal(a.boxes, b.boxes)


def test_labels_have_the_shape_and_range_the_loss_expects():
    """Shares of the window, never pixels; every object belongs to an image of the batch."""
    for batch in training_batches(seed=2, count=4, size=8, first_scene=0):
        assert batch.images.shape == (8, 3, SIDE, SIDE)
        assert batch.images.dtype == np.uint8
        assert len(batch.boxes) == len(batch.class_id) == len(batch.image_index) > 0
        assert set(batch.image_index) <= set(range(8))
        low, high = batch.boxes[:, :2] - batch.boxes[:, 2:] / 2, batch.boxes[:, :2] + batch.boxes[:, 2:] / 2
        assert low.min() >= -1e-6
        assert high.max() <= 1 + 1e-6
        assert (batch.boxes[:, 2:] > 0).all()
