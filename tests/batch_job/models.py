"""A network that needs no training: it sees red, green and blue cells of 32x32 pixels. And its manifest."""

import hashlib
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as op

from contract.manifest import RUNTIME_ABI, ModelEntry, ModelFormat, RuntimeManifest

CELL = 32
COLOURS = ("red", "green", "blue")


def save_colour_network(folder: Path, *, height: int = 96, width: int = 160) -> ModelEntry:
    """An OpenVINO model with YOLOv8's input and output: a score is by how much a colour prevails in a cell.

    Input (1, 3, height, width) RGB 0 to 1; output (1, 4 + 3, cells).
    """
    rows, columns = height // CELL, width // CELL
    picture = op.parameter([1, 3, height, width], np.float32, name="images")
    cells = op.avg_pool(picture, [CELL, CELL], [0, 0], [0, 0], [CELL, CELL], True)
    colours = op.reshape(cells, op.constant(np.array([1, 3, rows * columns])), False)
    others = op.subtract(op.reduce_sum(colours, op.constant(np.array([1])), True), colours)
    scores = op.clamp(op.subtract(colours, others), 0.0, 1.0)
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    centres = np.stack([CELL * (x.ravel() + 0.5), CELL * (y.ravel() + 0.5)])
    boxes = np.concatenate([centres, np.full_like(centres, CELL)]).astype(np.float32)[None]
    network = openvino.Model([op.concat([op.constant(boxes), scores], 1)], [picture], "colours")
    folder.mkdir(parents=True, exist_ok=True)
    openvino.save_model(network, folder / "colours.xml", compress_to_fp16=False)
    return model_entry(folder, name="colours", classes=COLOURS, size=(height, width), entry="colours.xml")


def model_entry(
    root: Path, *, name: str, classes: tuple[str, ...], size: tuple[int, int], entry: str, task: str = "detect"
) -> ModelEntry:
    """What the manifest says of the files in `root` as they are now."""
    engine = {".xml": "openvino", ".param": "ncnn"}.get(Path(entry).suffix, "torch")
    names = [entry] if engine == "torch" else [entry, str(Path(entry).with_suffix(".bin"))]
    files = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names}
    return ModelEntry(
        name=name,
        task=task,
        classes=classes,
        input_size=size,
        stride=32,
        root=str(root),
        formats={engine: ModelFormat(entry=entry, files=files)},
    )


def manifest_of(*models: ModelEntry, abi: int = RUNTIME_ABI) -> RuntimeManifest:
    return RuntimeManifest(
        abi=abi,
        python="3.11",
        torch=None,
        cuda=None,
        driver_floor=None,
        engines=("ncnn", "openvino", "torch"),
        models=models,
    )
