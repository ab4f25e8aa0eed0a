"""Puts a checkpoint and its exports into the model lock: `python -m tools.lock_model WEIGHTS.pt --source ...`.

Weights are code, and whoever locks a file says that jobs may run it: the lock's new lines are what a review sees.
The files go to their source first, so that the lock never names what is not there.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from contract import model_lock
from contract.manifest import ModelEntry
from demo.model_lock import format_entry, put_model
from local.errors import ModelUnusable
from local.models import described, export_by
from local.runtime import LOCK_PATH, REPOSITORY

_WORK = REPOSITORY / ".local" / "locked"
# Of any batch and any sides that are multiples of the stride; a bake builds TensorRT engines of it.
_EXPORT_ONNX = """
import sys
from ultralytics import YOLO
YOLO(sys.argv[1]).export(format="onnx", dynamic=True, simplify=False, imgsz=[int(side) for side in sys.argv[2:]])
"""


def main(given: list[str]) -> int:
    arguments = _parser().parse_args(given)
    try:
        entry = lock_model(
            arguments.weights, source=arguments.source, size=arguments.size, lock=LOCK_PATH, work=_WORK
        )
    except (ModelUnusable, Boto3Error, BotoCoreError, ClientError) as exc:
        print(exc, file=sys.stderr)
        return 1
    formats = ", ".join(entry["formats"])
    print(f"{LOCK_PATH.name} names {entry['name']} ({formats}), whose files are in {arguments.source}")
    return 0


def lock_model(
    weights: Path, *, source: str, size: tuple[int, int] | None, lock: Path, work: Path
) -> dict[str, Any]:
    """Exports in `work`, brings all files to `source` and writes the model's entry, which it gives.

    It replaces one of its name. Raises ModelUnusable, and what boto3 raises; then the lock is as it was.
    """
    if weights.suffix != ".pt":
        raise ModelUnusable(f"{weights} is no .pt checkpoint.")
    model = described(weights, work)
    root, stem = Path(model.root), weights.stem
    height, width = size or model.input_size
    export_by("ONNX", root / weights.name, "-c", _EXPORT_ONNX, weights.name, str(height), str(width), folder=root)
    formats = {
        name: {"files": dict(form.files), "entry": form.entry} for name, form in sorted(model.formats.items())
    }
    formats["onnx"] = format_entry(root, entry=f"{stem}.onnx")
    _bring(root, [name for form in formats.values() for name in form["files"]], source)
    document = _document(model, source=source, size=(height, width), formats=formats)
    put_model(lock, document)
    return document


def _document(
    model: ModelEntry, *, source: str, size: tuple[int, int], formats: Mapping[str, Any]
) -> dict[str, Any]:
    document = {
        "name": model.name,
        "task": model.task,
        "classes": list(model.classes),
        "input_size": list(size),
        "stride": model.stride,
        "source": source,
        "formats": formats,
    }
    return document | ({"keypoint_shape": list(model.keypoint_shape)} if model.keypoint_shape else {})


def _bring(root: Path, names: list[str], source: str) -> None:
    if not model_lock.is_address(source):
        for name in names:
            target = REPOSITORY / source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, target)
        return
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    s3 = boto3.client("s3")
    for name in names:
        s3.upload_file(str(root / name), bucket, f"{prefix}/{name}")


def _source(text: str) -> str:
    place = text.rstrip("/")
    if place.startswith("s3://"):
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        if bucket and prefix:
            return place
    elif "://" not in place:
        folder = (REPOSITORY / place).resolve()
        if REPOSITORY / "models" in folder.parents:
            return folder.relative_to(REPOSITORY).as_posix()
    raise argparse.ArgumentTypeError(f"{text} is neither s3://bucket/prefix nor a folder below models/")


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"{text} is no HEIGHTxWIDTH, such as 384x640")
    return int(height), int(width)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.lock_model", description="Lock a model.")
    parser.add_argument(
        "weights", type=Path, help="a checkpoint of ultralytics (.pt), whose name becomes the model's"
    )
    parser.add_argument(
        "--source", type=_source, required=True, help="s3://bucket/prefix, or a folder below models/"
    )
    parser.add_argument(
        "--size", type=_size, help="height and width of a TensorRT engine's input (as it was trained)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
