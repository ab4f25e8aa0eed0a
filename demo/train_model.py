"""Trains, exports and measures the demo model, and writes it with its card and its place in the model lock.

`python -m demo.train_model` takes minutes on two cores.
"""

import argparse
import json
import logging
import os
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from demo.model_lock import format_entry, put_model
from demo.scenes import CLASS_NAMES

logger = logging.getLogger(__name__)

REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = REPOSITORY / "models"
LOCK = MODELS / "models.lock.json"
_LIBRARIES = ("torch", "ultralytics", "openvino", "onnx", "onnxruntime", "numpy", "opencv-python")
# A model below any of these would make a poor demo.
_BARS = {"map50": 0.97, "precision": 0.95, "recall": 0.95}


def main(arguments: list[str]) -> None:
    """Make the demo model anew."""
    parser = argparse.ArgumentParser(prog="python -m demo.train_model", description=__doc__)
    parser.add_argument("--steps", type=int, help="a trial of that length; nothing below models/ changes")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    scratch = Path(tempfile.mkdtemp(prefix="demo-model-"))
    prepare_ultralytics(scratch)
    built, card = make_model(scratch, steps=options.steps)
    short = shortcomings(card["metrics"])
    if short:
        logger.info("it falls short: %s", "; ".join(short))
    if short or options.steps is not None:
        logger.info("models/ is as it was; the new files are in %s", built)
        raise SystemExit(1 if short else 0)
    publish(built, card)
    shutil.rmtree(scratch)


def prepare_ultralytics(scratch: Path) -> None:
    """Settle what ultralytics decides at import: where its settings go, and that it installs nothing."""
    os.environ |= {"YOLO_CONFIG_DIR": str(scratch), "YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true"}


def make_model(scratch: Path, *, steps: int | None = None) -> tuple[Path, dict[str, Any]]:
    """Train, export and measure in `scratch`; return the folder of the files, and their card."""
    # Not before ultralytics is prepared: it reads its surroundings at import.
    from demo import exporting, measuring
    from demo.training import TrainingSettings, train

    settings = TrainingSettings() if steps is None else TrainingSettings(steps=steps)
    began = time.monotonic()
    network = train(settings)
    seconds = time.monotonic() - began
    parameters = sum(parameter.numel() for parameter in network.parameters())
    built = scratch / exporting.NAME
    built.mkdir()
    exporting.write_model_files(network, built)
    metrics = measuring.measure(built)
    for name, value in metrics.items():
        logger.info("%s: %s", name, value)
    card = {
        "name": exporting.NAME,
        "task": "detect",
        "classes": CLASS_NAMES,
        "input_size": exporting.INPUT_SIZE,
        "licence": exporting.LICENCE,
        "date": datetime.now(UTC).date().isoformat(),
        "parameters": parameters,
        "trained_on": "generated scenes (demo/scenes.py)",
        "training": asdict(settings),
        "training_seconds": round(seconds),
        "metrics": metrics,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
    }
    (built / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return built, card


def shortcomings(metrics: dict[str, float | int]) -> list[str]:
    """Why a model must not replace the last one; empty when it may."""
    short = [f"{name} is {metrics[name]}, not {bar}" for name, bar in _BARS.items() if metrics[name] < bar]
    if metrics["identity_switches"]:
        short.append(f"{metrics['identity_switches']} identity switches where nothing crosses")
    return short


def publish(built: Path, card: dict[str, Any]) -> None:
    """Put a model below `models/` and into the lock, in place of the last one."""
    from demo import exporting
    from demo.detection import STRIDE

    metrics = card["metrics"]
    target = MODELS / exporting.NAME
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(built, target)
    entry = {name: card[name] for name in ("name", "task", "classes", "input_size", "licence")} | {
        "stride": STRIDE,
        "source": target.relative_to(REPOSITORY).as_posix(),
        "formats": {
            "openvino": format_entry(target, entry=exporting.OPENVINO_XML, others=exporting.OPENVINO_OTHERS),
            "onnx": format_entry(target, entry=exporting.ONNX),
            "torch": format_entry(target, entry=exporting.CHECKPOINT),
        },
        "metrics": {name: metrics[name] for name in ("map50", "precision", "recall", "held_out_scenes")},
    }
    put_model(LOCK, entry)


if __name__ == "__main__":
    main(sys.argv[1:])
