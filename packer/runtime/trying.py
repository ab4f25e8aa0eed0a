"""Every model in every engine, on a real clip: the analyser's own command, as a person would call it.

What an engine finds is held against what the reference finds in the same clip.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from contract.manifest import ModelEntry, RuntimeManifest
from packer.runtime.comparing import SHARE, SURE, TOLERANCES, Row, agreement
from packer.runtime.errors import BakeFailed

_REFERENCES = ("torch", "onnx", "openvino", "ncnn")  # the first that is there; nothing is held against TensorRT
_LEAST_CONFIDENCE = 0.05  # low, so that a box is not missed because it came out a little less sure


def try_models(checkout: Path, manifest: Path, clip: Path) -> Iterator[str]:
    """A line for each model and engine that has analysed all of the clip and found what the reference finds.

    Raises BakeFailed at the first that fails.
    """
    promised = RuntimeManifest.from_json(manifest.read_text(encoding="utf-8"))
    for model in promised.models:
        engines = [engine for engine in promised.engines if engine in model.formats]
        reference = next((engine for engine in _REFERENCES if engine in engines), None)
        if reference is None:
            raise BakeFailed(f"model {model.name} has no engine that its TensorRT engine could be held against")
        said, expected = _try(checkout, manifest, clip, model, reference)
        yield said
        for engine in engines:
            if engine != reference:
                said, found = _try(checkout, manifest, clip, model, engine)
                yield f"{said}; {_compared(model, reference, expected, engine, found)}"


def _compared(model: ModelEntry, reference: str, expected: list[Row], engine: str, found: list[Row]) -> str:
    tolerance = TOLERANCES[_precision(engine)]
    count, same = agreement(expected, found, tolerance)
    if not count:
        raise BakeFailed(
            f"model {model.name} finds nothing in the clip in {reference} of which it is {SURE:.0%} sure; "
            f"{engine} can be held against it only in another clip"
        )
    if same < SHARE * count:
        raise BakeFailed(
            f"model {model.name} finds {same} of {reference}'s {count} boxes in {engine} "
            f"(overlap {tolerance.overlap}, confidence within {tolerance.confidence}), and {SHARE:.0%} must be"
        )
    return f"{same} of {reference}'s {count} boxes are the same"


def _precision(engine: str) -> str:
    return "native" if engine == "tensorrt" else "f32"


def _try(checkout: Path, manifest: Path, clip: Path, model: ModelEntry, engine: str) -> tuple[str, list[Row]]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results"
        command = [sys.executable, "-m", "batch_job", "analyse", str(clip), "--out", str(out)]
        command += ["--manifest", str(manifest), "--model", model.name, "--engine", engine]
        command += ["--precision", _precision(engine), "--confidence", str(_LEAST_CONFIDENCE)]
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        began = time.monotonic()
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BakeFailed(
                f"model {model.name} cannot analyse the clip in {engine}:\n{done.stderr.strip()[-2000:]}"
            )
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        with (out / "detections.jsonl").open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
    seconds = time.monotonic() - began
    found = f"{summary['frames']} frames and {summary['detections']} detections"
    return f"model {model.name} in {engine}: {found} in {seconds:.1f} s", rows
