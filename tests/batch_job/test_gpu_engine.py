"""The GPU's way through a network, run on torch's CPU device; what only a GPU shows is marked `gpu`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from batch_job import gpu_letterbox  # noqa: E402
from batch_job.candidates import Candidates, Keep  # noqa: E402
from batch_job.errors import OutOfMemory  # noqa: E402
from batch_job.gpu_engine import BatchDetector, Uploaded  # noqa: E402
from batch_job.gpu_memory import require_room  # noqa: E402
from batch_job.letterbox import Letterbox  # noqa: E402
from contract.manifest import ModelEntry, ModelFormat  # noqa: E402
from tests.batch_job.media import BLUE, GREEN, RED, Picture, squares  # noqa: E402

KEEP = Keep(confidence=0.5)
FRAMES = [(720, 1280), (1080, 1920), (432, 768), (360, 640), (480, 270), (100, 333), (337, 511), (40, 64)]
MODEL = ModelEntry(
    name="colours",
    task="detect",
    classes=("red", "green", "blue"),
    input_size=(96, 160),
    stride=32,
    root="/nowhere",
    formats={"torch": ModelFormat(entry="x.pt", files={})},
)


class ColourNetwork:
    """The colour network of `models.py` in torch; memory runs out in batches larger than `room`."""

    device = torch.device("cpu")

    def __init__(self, *, room: int = 100, least: int = 1, dtype: Any = torch.float32) -> None:
        self.room, self.least, self.dtype = room, least, dtype
        self.batches: list[int] = []

    def __call__(self, pixels: Any) -> Any:
        self.batches.append(len(pixels))
        if len(pixels) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        cells = torch.nn.functional.avg_pool2d(pixels, 32)
        rows, columns = cells.shape[2:]
        colours = cells.flatten(2)
        scores = (2 * colours - colours.sum(1, keepdim=True)).clamp(0, 1)
        sides = (torch.arange(side, device=pixels.device) for side in (rows, columns))
        y, x = torch.meshgrid(*sides, indexing="ij")
        centres = torch.stack((x.flatten(), y.flatten())) * 32 + 16
        boxes = torch.cat((centres, torch.full_like(centres, 32))).expand(len(pixels), -1, -1)
        return [torch.cat((boxes.to(scores.dtype), scores), 1)]


def detector_for(network: ColourNetwork, *, batch: int = 4) -> BatchDetector:
    return BatchDetector(network, MODEL, canvas=(96, 160), image_size=None, batch=batch)


def uploaded(detector: BatchDetector, pictures: list[Picture]) -> Iterator[tuple[int, Uploaded]]:
    for number, picture in enumerate(pictures):
        yield number, detector.prepare(picture, detector.letterbox_for((96, 160)))


def found_by(detector: BatchDetector, pictures: list[Picture]) -> list[tuple[int, Candidates]]:
    return list(detector.detect(uploaded(detector, pictures), KEEP))


def noise(many: int) -> list[Picture]:
    random = np.random.default_rng(5)
    return [random.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(many)]


def marching_red(many: int) -> list[Picture]:
    return [squares((number % 5, number // 5 % 3, RED)) for number in range(many)]


def test_the_network_sees_the_pictures_colours_and_places() -> None:
    """Upload, channel order, scale and layout: the same boxes as from every other engine."""
    pictures = [squares((0, 0, RED), (3, 1, GREEN), (4, 2, BLUE)), squares(), squares((1, 1, BLUE))]
    (_, first), (_, empty), (_, last) = found_by(detector_for(ColourNetwork()), pictures)
    assert first.class_id.tolist() == [0, 1, 2]
    assert first.boxes[:, :2].tolist() == [[0, 0], [96, 32], [128, 64]]
    assert len(empty.class_id) == 0
    assert last.boxes.tolist() == [[32, 32, 64, 64]]


def test_a_frame_that_lies_on_the_device_already_is_taken_as_it_is() -> None:
    """As a decoder on the GPU gives it."""
    detector = detector_for(ColourNetwork())
    picture = squares((2, 1, GREEN))
    letterbox = detector.letterbox_for((96, 160))
    prepared = [detector.prepare(frame, letterbox) for frame in (picture, torch.from_numpy(picture))]
    (_, one), (_, other) = detector.detect(iter(enumerate(prepared)), KEEP)
    assert one.boxes.tolist() == other.boxes.tolist() == [[64, 32, 96, 64]]


@pytest.mark.parametrize("many", [0, 1, 4, 9])
def test_all_batches_have_the_same_size_and_begin_with_the_first_picture(many: int) -> None:
    """Another size may be computed with another rounding; a resumed analysis must not show that."""
    network = ColourNetwork()
    found = found_by(detector_for(network), marching_red(many))
    assert [tag for tag, _ in found] == list(range(many))
    assert network.batches == [4] * -(-many // 4)
    for number, candidates in found:
        assert candidates.boxes[:, :2].tolist() == [[32 * (number % 5), 32 * (number // 5 % 3)]]


def test_what_is_found_does_not_depend_on_where_the_analysis_was_resumed() -> None:
    """Bit for bit, from the beginning of any chunk of a whole number of batches."""
    detector = detector_for(ColourNetwork())
    anything = Keep(confidence=-1.0)
    pictures = noise(16)
    whole = [found for _, found in detector.detect(uploaded(detector, pictures), anything)]
    for start in (4, 8, 12):
        resumed = [found for _, found in detector.detect(uploaded(detector, pictures[start:]), anything)]
        for one, other in zip(whole[start:], resumed, strict=True):
            assert one.confidence.tobytes() == other.confidence.tobytes()
            assert one.boxes.tobytes() == other.boxes.tobytes()


def test_memory_that_runs_out_halves_the_batch_and_loses_no_frame() -> None:
    """The same frames again, and the size is remembered, so that it happens once."""
    network = ColourNetwork(room=2)
    detector = detector_for(network, batch=8)
    found = found_by(detector, marching_red(11))
    assert network.batches == [8, 4, 2, 2, 2, 2, 2, 2]
    found_by(detector, marching_red(3))
    assert network.batches[8:] == [2, 2]
    undisturbed = found_by(detector_for(ColourNetwork(), batch=8), marching_red(11))
    for (tag, one), (same, other) in zip(found, undisturbed, strict=True):
        assert tag == same
        assert one.boxes.tolist() == other.boxes.tolist()
        assert one.confidence.tolist() == other.confidence.tolist()


def test_memory_that_does_not_suffice_for_one_picture_is_told() -> None:
    """Another machine may have more: the job is tried again."""
    with pytest.raises(OutOfMemory, match="no room for 1 pictures"):
        found_by(detector_for(ColourNetwork(room=0)), marching_red(3))


def test_a_network_of_fixed_batch_is_never_asked_for_less() -> None:
    """A TensorRT engine may be built for one size only."""
    network = ColourNetwork(least=8)
    assert len(found_by(detector_for(network, batch=4), marching_red(6))) == 6
    assert network.batches == [8, 8]
    with pytest.raises(OutOfMemory):
        found_by(detector_for(ColourNetwork(least=8, room=7), batch=8), marching_red(1))


@pytest.mark.parametrize("frame", FRAMES)
def test_the_canvas_is_that_of_the_cpu(frame: tuple[int, int]) -> None:
    """Byte for byte, but for one level of 255 where OpenCV computes the ends of its rows in another way."""
    image = np.random.default_rng(4).integers(0, 255, (*frame, 3), np.uint8)
    letterbox = Letterbox.rectangle(frame, image_size=640, stride=32)
    ours = gpu_letterbox.place(torch.from_numpy(image), letterbox).numpy().astype(int)
    difference = np.abs(ours - letterbox.place(image))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.005


def test_a_letterbox_refuses_a_picture_it_is_not_made_for() -> None:
    with pytest.raises(ValueError, match="letterbox"):
        gpu_letterbox.place(torch.zeros((10, 10, 3), dtype=torch.uint8), Letterbox.inside((96, 160), (96, 160)))


def test_a_gpu_without_room_is_told_before_the_network_is_loaded(tmp_path: Path) -> None:
    """In one sentence with both numbers, not in the middle of a video."""
    weights = tmp_path / "weights.pt"
    weights.write_bytes(bytes(8 * 1024 * 1024))
    require_room(MODEL, weights=weights, free=600 * 1024 * 1024)
    with pytest.raises(OutOfMemory, match="300 MiB free, and model colours needs about 528 MiB"):
        require_room(MODEL, weights=weights, free=300 * 1024 * 1024)


@pytest.mark.gpu
def test_on_a_gpu_the_boxes_are_those_of_the_cpu(gpu: Any) -> None:
    """Streams, pinned memory and the way back; a missing wait would show as a picture's neighbour's boxes."""

    class OnGpu(ColourNetwork):
        device = gpu

    pictures = marching_red(200)
    on_gpu = found_by(detector_for(OnGpu(), batch=16), pictures)
    on_cpu = found_by(detector_for(ColourNetwork(), batch=16), pictures)
    for (_, one), (_, other) in zip(on_gpu, on_cpu, strict=True):
        assert one.boxes.tolist() == other.boxes.tolist()
