"""TensorRT engines as a bake builds them. There is no GPU here: what TensorRT itself does is played."""

import dataclasses
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batch_job.tensorrt_network import read_engine
from contract.manifest import ModelEntry
from packer.packer_py_wrapper.content import REPOSITORY
from packer.runtime.engines import (
    Built,
    build_by_tensorrt,
    build_engines,
    compute_capability,
    drop_builders,
    with_engines,
)
from packer.runtime.errors import BakeFailed
from packer.runtime.placing import check_models, place_models


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def models(folder: Path) -> tuple[ModelEntry, ...]:
    return place_models(REPOSITORY, folder, seen_at=Path("/opt/models"))


def test_engines_are_built_of_locked_exports_and_promised(folder: Path, models: tuple[ModelEntry, ...]) -> None:
    """What TensorRT makes cannot stand in a lock; the manifest names the sha256 of what was made here."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def build(onnx: Path, model: ModelEntry, timings: bytes) -> Built:
        assert (onnx.suffix, model, timings) == (".onnx", models[0], b"")
        return Built(engine=b"an engine", timings=b"timings")

    assert build_engines(models, folder, build, capability="8.9") == [models[0].name]

    (model,) = with_engines(models, folder)
    check_models((model,), folder)
    assert set(model.formats) == {*models[0].formats, "tensorrt"}
    form = model.formats["tensorrt"]
    assert (form.entry, form.compute_capability) == ("demo-shapes.engine", "8.9")
    assert read_engine(folder / model.name / form.entry, model) == b"an engine"  # as jobs read it
    assert {path: path.read_bytes() for path in before} == before


def test_what_one_build_has_timed_the_next_need_not(folder: Path, models: tuple[ModelEntry, ...]) -> None:
    """Sizes of one network share layers, and a second build on this machine takes the same ways."""
    given = []

    def build(onnx: Path, model: ModelEntry, timings: bytes) -> Built:
        given.append(timings)
        return Built(engine=b"an engine", timings=timings + b"more ")

    build_engines(models, folder, build, capability="8.9")
    build_engines(models, folder, build, capability="8.9")

    assert given == [b"", b"more "]


def test_an_export_that_is_not_the_locks_is_never_opened_for_an_engine(
    folder: Path, models: tuple[ModelEntry, ...]
) -> None:
    next(folder.rglob("*.onnx")).write_bytes(b"another")

    def build(onnx: Path, model: ModelEntry, timings: bytes) -> Built:
        pytest.fail("opened")

    with pytest.raises(BakeFailed, match="another sha256"):
        build_engines(models, folder, build, capability="8.9")


def test_a_model_without_an_onnx_export_gets_no_engine(folder: Path, models: tuple[ModelEntry, ...]) -> None:
    """Its other formats run it."""
    formats = {name: form for name, form in models[0].formats.items() if name != "onnx"}
    without = (dataclasses.replace(models[0], formats=formats),)

    assert build_engines(without, folder, lambda *_: pytest.fail("built"), capability="8.9") == []
    assert with_engines(without, folder) == without


class FakeTensorRt:
    """As much of TensorRT 10 as builds an engine, with the names and signatures of its bindings' docstrings."""

    Logger = type("Logger", (), {"WARNING": 1, "__init__": lambda self, severity: None})
    BuilderFlag = SimpleNamespace(FP16="half")

    def __init__(self, *, faults: tuple[str, ...] = (), serialised: bytes | None = b"engine") -> None:
        self.pictures = SimpleNamespace(shape=(-1, 3, -1, -1))
        self.faults, self.serialised = faults, serialised
        self.flags: list[str] = []
        self.timings = b""

    def Builder(self, logger: Any) -> Any:
        config = SimpleNamespace(
            set_flag=self.flags.append,
            create_timing_cache=lambda content: content,
            set_timing_cache=self._set_timings,
            get_timing_cache=lambda: SimpleNamespace(serialize=lambda: bytearray(self.timings + b"+")),
        )
        return SimpleNamespace(
            create_network=lambda flags: SimpleNamespace(num_inputs=1, get_input=lambda number: self.pictures),
            create_builder_config=lambda: config,
            build_serialized_network=lambda network, config: self.serialised,
        )

    def OnnxParser(self, network: Any, logger: Any) -> Any:
        return SimpleNamespace(
            parse_from_file=lambda path: not self.faults,
            num_errors=len(self.faults),
            get_error=lambda number: self.faults[number],
        )

    def _set_timings(self, cache: bytes, ignore_mismatch: bool) -> bool:
        self.timings = cache
        return not ignore_mismatch


def test_an_engine_has_one_shape_and_computes_in_half_precision(
    models: tuple[ModelEntry, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are filled up to one size (decision 0007), so that nothing is chosen while jobs run."""
    tensorrt = FakeTensorRt()
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)

    built = build_by_tensorrt(Path("x.onnx"), models[0], b"earlier")

    assert built == Built(engine=b"engine", timings=b"earlier+")
    assert tensorrt.pictures.shape == (16, 3, 384, 640)
    assert tensorrt.flags == ["half"]


@pytest.mark.parametrize(
    ("tensorrt", "sentence"),
    [
        pytest.param(FakeTensorRt(faults=("no NonZero", "no Loop")), "no NonZero; no Loop", id="not readable"),
        pytest.param(
            FakeTensorRt(serialised=None), "could build no engine of model demo-shapes", id="not buildable"
        ),
    ],
)
def test_what_tensorrt_cannot_build_stops_the_bake(
    models: tuple[ModelEntry, ...], monkeypatch: pytest.MonkeyPatch, tensorrt: FakeTensorRt, sentence: str
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)

    with pytest.raises(BakeFailed, match=sentence):
        build_by_tensorrt(Path("x.onnx"), models[0], b"")


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        pytest.param("echo 8.9; echo 8.9", None, id="two of one family"),
        pytest.param("echo 7.5; echo 8.9", "this machine has 7.5, 8.9", id="two families"),
        pytest.param("true", "this machine has none", id="none"),
        pytest.param("exit 9", "does not tell the GPU's compute capability", id="no driver"),
    ],
)
def test_the_family_is_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, sentence: str | None
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\n{script}\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    if sentence is None:
        assert compute_capability() == "8.9"
    else:
        with pytest.raises(BakeFailed, match=sentence):
            compute_capability()


def test_libraries_that_only_build_do_not_reach_the_image(tmp_path: Path) -> None:
    """A job that imports it would open every one."""
    libraries = tmp_path / "tensorrt_libs"
    libraries.mkdir()
    names = ("libnvinfer.so.10", "libnvinfer_builder_resource_sm89.so.10.16.1", "libnvonnxparser.so.10")
    for name in names:
        (libraries / name).write_bytes(b"12345")

    assert drop_builders(tmp_path) == 5
    assert sorted(path.name for path in libraries.iterdir()) == [names[0], names[2]]
    assert drop_builders(tmp_path) == 0


def test_the_lock_is_of_one_version_and_of_torchs_cuda() -> None:
    """Libraries of another CUDA would be found and not work; 11 has no half-precision flag any more."""
    pins = _pins("tensorrt.lock")
    versions = set(pins.values())

    assert set(pins) == {"tensorrt-cu13", "tensorrt-cu13-bindings", "tensorrt-cu13-libs"}
    assert len(versions) == 1
    assert versions.pop().startswith("10.")
    gpu = _pins("runtime-gpu.lock")
    assert gpu["cuda-toolkit"].startswith("13.")
    assert "setuptools" in gpu  # which builds what NVIDIA gives as source


def _pins(lock: str) -> dict[str, str]:
    lines = (REPOSITORY / "packer" / lock).read_text().splitlines()
    pins = [line.split() for line in lines if not line.startswith(("#", "--"))]
    assert all(len(pin) == 2 and len(pin[1]) == len("--hash=sha256:") + 64 for pin in pins)
    return dict(pin[0].split("==") for pin in pins)
