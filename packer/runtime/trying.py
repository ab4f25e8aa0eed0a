"""Every model in every engine, on a real clip: the analyser's own command, as a person would call it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from contract.manifest import ModelEntry, RuntimeManifest
from packer.runtime.errors import BakeFailed


def try_models(checkout: Path, manifest: Path, clip: Path) -> Iterator[str]:
    """A line for each model and engine that has analysed all of the clip.

    Raises BakeFailed at the first that fails.
    """
    promised = RuntimeManifest.from_json(manifest.read_text(encoding="utf-8"))
    for model in promised.models:
        for engine in promised.engines:
            if engine in model.formats:
                yield _try(checkout, manifest, clip, model, engine)


def _try(checkout: Path, manifest: Path, clip: Path, model: ModelEntry, engine: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results"
        command = [sys.executable, "-m", "batch_job", "analyse", str(clip), "--out", str(out)]
        command += ["--manifest", str(manifest), "--model", model.name, "--engine", engine]
        command += ["--precision", "native" if engine == "tensorrt" else "f32"]
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        began = time.monotonic()
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BakeFailed(
                f"model {model.name} cannot analyse the clip in {engine}:\n{done.stderr.strip()[-2000:]}"
            )
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    seconds = time.monotonic() - began
    found = f"{summary['frames']} frames and {summary['detections']} detections"
    return f"model {model.name} in {engine}: {found} in {seconds:.1f} s"
