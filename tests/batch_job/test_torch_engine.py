"""The torch engine on a CPU, with a small network of ultralytics that needs no training."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
pytest.importorskip("ultralytics")

from batch_job.candidates import Candidates, Keep, candidates_in  # noqa: E402
from batch_job.checkpoint import load_network, outputs_of  # noqa: E402
from batch_job.errors import ModelUntrusted  # noqa: E402
from batch_job.torch_engine import TorchDetector  # noqa: E402
from batch_job.values import Image  # noqa: E402
from contract.manifest import ModelEntry  # noqa: E402
from tests.batch_job.models import model_entry  # noqa: E402

ANYTHING = Keep(confidence=-1.0)
CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    """YOLOv8n as it is before its first lesson: its numbers mean nothing, but they are the same each time."""
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(1)
    network = DetectionModel("yolov8n.yaml", nc=len(CLASSES), verbose=False)
    network.names = dict(enumerate(CLASSES))
    root = tmp_path_factory.mktemp("torch")
    torch.save({"model": network}, root / "network.pt")
    return model_entry(root, name="network", classes=CLASSES, size=(96, 160), entry="network.pt")


@pytest.fixture(scope="module")
def detector(entry: ModelEntry, tmp_path_factory: pytest.TempPathFactory) -> TorchDetector:
    return TorchDetector(
        Path(entry.root) / "network.pt", entry, image_size=None, scratch_dir=tmp_path_factory.mktemp("scratch")
    )


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    random = np.random.default_rng(2)
    return [random.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(13)]


def numbers(found: Candidates) -> bytes:
    assert len(found.boxes)
    return found.boxes.tobytes() + found.confidence.tobytes() + found.class_id.tobytes()


def found_by(detector: TorchDetector, pictures: list[Image]) -> list[bytes]:
    return [numbers(found) for _, found in detector.detect(iter(enumerate(pictures)), ANYTHING)]


@pytest.mark.parametrize("start", [1, 4, 5, 12])
def test_a_resumed_analysis_finds_the_same_bits(
    detector: TorchDetector, pictures: list[Image], start: int
) -> None:
    """Whatever the first picture of this attempt is, and whoever is computed beside it."""
    assert found_by(detector, pictures)[start:] == found_by(detector, pictures[start:])
    assert found_by(detector, pictures)[start] == found_by(detector, [pictures[start]])[0]


def test_another_process_with_other_cores_finds_the_same_bits(
    detector: TorchDetector,
    entry: ModelEntry,
    pictures: list[Image],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next attempt may run on a larger machine."""
    monkeypatch.setattr("batch_job.torch_engine.cores", lambda: 3)
    other = TorchDetector(Path(entry.root) / "network.pt", entry, image_size=None, scratch_dir=tmp_path)
    assert other.capacity == 4
    assert found_by(other, pictures) == found_by(detector, pictures)
    other.close()


def test_pictures_of_different_shapes_do_not_disturb_each_other(detector: TorchDetector) -> None:
    """The head of the network remembers the shape of its last input; a stream may change its size."""
    random = np.random.default_rng(3)
    shapes = [(96, 160), (160, 96)] * 6
    pictures = [random.integers(0, 255, (*shape, 3), np.uint8) for shape in shapes]
    alone = [found_by(detector, [picture])[0] for picture in pictures]
    assert found_by(detector, pictures) == alone


def test_a_trace_says_what_the_network_itself_says(
    detector: TorchDetector, entry: ModelEntry, tmp_path: Path
) -> None:
    """To the last bit, for each of several shapes in turn."""
    network = load_network(Path(entry.root) / "network.pt", entry, scratch_dir=tmp_path)
    network.to(memory_format=torch.channels_last)
    random = np.random.default_rng(5)
    for shape in ((96, 160), (160, 96), (64, 160), (96, 160)):
        picture = random.integers(0, 255, (*shape, 3), np.uint8)
        pixels = torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).to(torch.float32).div_(255)
        with torch.inference_mode():
            (own,) = outputs_of(network(pixels[None].permute(0, 3, 1, 2)))
        assert found_by(detector, [picture]) == [numbers(candidates_in(own[0].numpy(), ANYTHING))]


def test_all_threads_and_shapes_share_one_copy_of_the_weights(
    detector: TorchDetector, pictures: list[Image]
) -> None:
    """A large model on many cores would not fit otherwise."""
    found_by(detector, [*pictures, np.zeros((160, 96, 3), np.uint8)])
    weights = {each.data_ptr() for each in detector._network.parameters()}
    assert len(detector._traces) >= 2
    for trace in detector._traces.values():
        constants = [each for each in trace.graph.findAllNodes("prim::Constant") if each.hasAttribute("value")]
        tensors = [each.t("value") for each in constants if each.kindOf("value") == "t"]
        assert weights & {each.data_ptr() for each in tensors}
        assert all(each.data_ptr() in weights for each in tensors if each.numel() > 16)


def test_two_analyses_in_turn_use_the_same_network(detector: TorchDetector, pictures: list[Image]) -> None:
    """One that was left in the middle leaves nothing at work."""
    left = detector.detect(iter(enumerate(pictures)), ANYTHING)
    next(left)
    left.close()  # type: ignore[attr-defined]
    with ThreadPoolExecutor(1) as pool:
        assert len(pool.submit(found_by, detector, pictures).result(timeout=60)) == len(pictures)


def test_a_network_of_other_classes_is_not_the_approved_one(entry: ModelEntry, tmp_path: Path) -> None:
    other = model_entry(Path(entry.root), name="network", classes=("cat",), size=(96, 160), entry="network.pt")
    with pytest.raises(ModelUntrusted, match="other classes"):
        TorchDetector(Path(entry.root) / "network.pt", other, image_size=None, scratch_dir=tmp_path)
