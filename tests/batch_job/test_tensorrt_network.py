"""What can be said of a TensorRT engine without TensorRT: its header. The rest needs a GPU and a build for it."""

import ctypes
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from batch_job.candidates import Keep  # noqa: E402
from batch_job.cuda_driver import compute_capability  # noqa: E402
from batch_job.engines import preference  # noqa: E402
from batch_job.errors import ModelUntrusted, RuntimeMismatch  # noqa: E402
from batch_job.gpu_engine import BatchDetector  # noqa: E402
from batch_job.models import trusted_model  # noqa: E402
from batch_job.tensorrt_network import TensorRtNetwork, read_engine  # noqa: E402
from contract.errors import ErrorCode  # noqa: E402
from contract.exit_codes import EXIT_GIVE_UP  # noqa: E402
from contract.manifest import ModelEntry  # noqa: E402
from contract.options import AnalysisOptions  # noqa: E402
from tests.batch_job.job import Bench  # noqa: E402
from tests.batch_job.media import RED, squares  # noqa: E402
from tests.batch_job.models import COLOURS, manifest_of, model_entry, save_colour_network_as_onnx  # noqa: E402


def engine_file(folder: Path, serialised: bytes, *, names: tuple[str, ...] = COLOURS) -> ModelEntry:
    """As ultralytics writes it: the header's length, the header, the engine."""
    folder.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"names": dict(enumerate(names)), "stride": 32, "task": "detect"}).encode()
    (folder / "colours.engine").write_bytes(len(header).to_bytes(4, "little") + header + serialised)
    return model_entry(folder, name="colours", classes=COLOURS, size=(96, 160), entry="colours.engine")


def test_the_engine_begins_behind_the_header(tmp_path: Path) -> None:
    entry = engine_file(tmp_path, b"\x00engine")
    assert read_engine(tmp_path / "colours.engine", entry) == b"\x00engine"


def test_ultralytics_reads_the_same_header(tmp_path: Path) -> None:
    """The form is theirs; a change of it must show here."""
    pytest.importorskip("ultralytics")
    from ultralytics.nn.backends.base import BaseBackend

    entry = engine_file(tmp_path, b"\x00engine")
    path = tmp_path / "colours.engine"
    offset, header = BaseBackend.engine_header(path)
    assert path.read_bytes()[offset:] == read_engine(path, entry)
    assert list(header["names"].values()) == list(COLOURS)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00engine without a header", id="none"),
        pytest.param((2**31).to_bytes(4, "little") + b"{}", id="longer than the file"),
        pytest.param((4).to_bytes(4, "little") + b"nullengine", id="no object"),
        pytest.param((2).to_bytes(4, "little") + b"{}engine", id="no names"),
    ],
)
def test_a_file_without_its_header_is_not_the_approved_one(tmp_path: Path, content: bytes) -> None:
    entry = engine_file(tmp_path, b"")
    (tmp_path / "colours.engine").write_bytes(content)
    with pytest.raises(ModelUntrusted):
        read_engine(tmp_path / "colours.engine", entry)


def test_an_engine_of_other_classes_is_not_the_approved_one(tmp_path: Path) -> None:
    entry = engine_file(tmp_path, b"engine", names=("cat", "dog"))
    with pytest.raises(ModelUntrusted, match="other classes"):
        read_engine(tmp_path / "colours.engine", entry)


def built_for(capability: str | None, entry: ModelEntry) -> ModelEntry:
    form = dataclasses.replace(entry.formats["tensorrt"], compute_capability=capability)
    return dataclasses.replace(entry, formats={"tensorrt": form})


def with_torch(entry: ModelEntry) -> ModelEntry:
    root = Path(entry.root)
    (root / "colours.pt").write_bytes(b"weights")
    weights = model_entry(root, name=entry.name, classes=entry.classes, size=entry.input_size, entry="colours.pt")
    return dataclasses.replace(entry, formats={**entry.formats, **weights.formats})


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Plays libcuda.so.1 on a machine with a GPU of compute capability 7.5."""

    def answer(pointer: Any, attribute: int, device: ctypes.c_int) -> int:
        assert device.value == 3
        pointer._obj.value = {75: 7, 76: 5}[attribute]
        return 0

    def first(pointer: Any, number: int) -> int:
        pointer._obj.value = 3 + number
        return 0

    fake = SimpleNamespace(cuInit=lambda flags: 0, cuDeviceGet=first, cuDeviceGetAttribute=answer)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: fake)
    compute_capability.cache_clear()
    yield fake
    compute_capability.cache_clear()


@pytest.mark.parametrize("capability", ["7.5", None])
def test_an_engine_of_this_gpus_family_or_of_none_is_taken(
    driver: SimpleNamespace, tmp_path: Path, capability: str | None
) -> None:
    """Manifests of before do not name one, and formats of other engines have none."""
    entry = built_for(capability, engine_file(tmp_path, b"engine"))
    assert trusted_model(manifest_of(entry), "colours", AnalysisOptions(), engine="tensorrt").engine == "tensorrt"


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        pytest.param({}, "this machine has 7.5", id="another family"),
        pytest.param({"cuInit": lambda flags: 100}, "none that its driver can use", id="no device"),
        pytest.param(
            {"cuDeviceGet": lambda pointer, number: 101}, "none that its driver can use", id="none visible"
        ),
        pytest.param({"cuDeviceGetAttribute": lambda *_: 1}, "none that its driver can use", id="no answer"),
    ],
)
def test_an_engine_of_another_family_is_refused(
    driver: SimpleNamespace, tmp_path: Path, fault: dict[str, Any], found: str
) -> None:
    """TensorRT would only say that it cannot open the file, and only once torch is loaded."""
    vars(driver).update(fault)
    entry = built_for("8.9", engine_file(tmp_path, b"engine"))
    with pytest.raises(
        RuntimeMismatch, match=f"model colours was built for GPUs of compute capability 8.9.*{found}"
    ):
        trusted_model(manifest_of(entry), "colours", AnalysisOptions(), engine="tensorrt")


@pytest.mark.parametrize(("family", "expected"), [("7.5", "tensorrt"), ("8.9", "torch")])
def test_a_machine_of_another_family_takes_its_next_engine(
    driver: SimpleNamespace, tmp_path: Path, family: str, expected: str
) -> None:
    """A fleet has GPUs of several families, as Spot gives them, and its image TensorRT engines of one."""
    form = with_torch(built_for(family, engine_file(tmp_path, b"engine")))
    order = preference(gpu=True, precision="native")
    assert trusted_model(manifest_of(form), "colours", AnalysisOptions(), preference=order).engine == expected


def test_a_model_with_nothing_for_this_gpu_is_refused(driver: SimpleNamespace, tmp_path: Path) -> None:
    """And why is said, as where its engine is asked for."""
    entry = built_for("8.9", engine_file(tmp_path, b"engine"))
    order = preference(gpu=True, precision="native")
    with pytest.raises(RuntimeMismatch, match=r"8\.9, and this machine has 7\.5$"):
        trusted_model(manifest_of(entry), "colours", AnalysisOptions(), preference=order)


def test_a_job_refuses_it_before_the_video_is_fetched(bench: Bench, tmp_path: Path) -> None:
    """There is no video: a job that had looked for it would say so."""
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest_of(built_for("99.0", engine_file(tmp_path / "models", b"engine"))).to_json())
    request = bench.add_analysis("uploads/1/never-uploaded", model="colours")

    code, log = bench.run(request, RUNTIME_MANIFEST=str(manifest), ENGINE="tensorrt", PRECISION="native")

    assert code == EXIT_GIVE_UP, log
    assert "the tensorrt engine of model colours was built for GPUs of compute capability 99.0" in log
    assert bench.analysis(request)["error_code"] == ErrorCode.RUNTIME_MISMATCH


@pytest.mark.gpu
def test_the_driver_and_torch_name_the_same_family(gpu: Any) -> None:
    compute_capability.cache_clear()
    assert compute_capability() == "{}.{}".format(*torch.cuda.get_device_capability(gpu))


@pytest.fixture(scope="module")
def tensorrt(gpu: Any) -> Any:
    try:
        import tensorrt
    except ImportError:
        if os.environ.get("FRAMEBATCH_EXPECT_GPU") == "1":
            pytest.fail("FRAMEBATCH_EXPECT_GPU=1, and tensorrt is not installed")
        pytest.skip("tensorrt is not installed")
    return tensorrt


def built(tensorrt: Any, onnx: Path) -> bytes:
    builder = tensorrt.Builder(tensorrt.Logger(tensorrt.Logger.WARNING))
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, tensorrt.Logger(tensorrt.Logger.WARNING))
    assert parser.parse_from_file(str(onnx)), [parser.get_error(number) for number in range(parser.num_errors)]
    return bytes(builder.build_serialized_network(network, builder.create_builder_config()))


@pytest.mark.gpu
def test_the_network_sees_the_pictures_colours_and_places(tensorrt: Any, gpu: Any, tmp_path: Path) -> None:
    """The colour network, built here for this GPU."""
    onnx = save_colour_network_as_onnx(tmp_path)
    entry = engine_file(tmp_path / "engine", built(tensorrt, Path(onnx.root) / "colours.onnx"))
    network = TensorRtNetwork(Path(entry.root) / "colours.engine", entry, device=gpu)
    assert network.fixed == (96, 160)
    detector = BatchDetector(network, entry, canvas=(96, 160), image_size=None, batch=network.most)
    letterbox = detector.letterbox_for((96, 160))
    pictures = ((n, detector.prepare(squares((n % 5, n // 5, RED)), letterbox)) for n in range(15))
    for number, found in detector.detect(pictures, Keep(confidence=0.5)):
        assert found.boxes[:, :2].tolist() == [[32 * (number % 5), 32 * (number // 5)]]


@pytest.mark.gpu
def test_an_engine_for_another_gpu_or_version_is_told(tensorrt: Any, gpu: Any, tmp_path: Path) -> None:
    """After a change of the machine image, before a video is touched."""
    entry = engine_file(tmp_path, b"not what this TensorRT writes")
    with pytest.raises(RuntimeMismatch, match="cannot open the engine of model colours"):
        TensorRtNetwork(tmp_path / "colours.engine", entry, device=gpu)
