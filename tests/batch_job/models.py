"""A network that needs no training: it sees red, green and blue cells of 32x32 pixels. And its manifest."""

import hashlib
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as op

from contract.manifest import RUNTIME_ABI, ModelEntry, ModelFormat, RuntimeManifest

CELL = 32
COLOURS = ("red", "green", "blue")


def save_colour_network(folder: Path, *, height: int = 96, width: int = 160, task: str = "detect") -> ModelEntry:
    """An OpenVINO model with YOLOv8's input and outputs: a score is by how much a colour prevails in a cell.

    Input (1, 3, height, width) RGB 0 to 1; output (1, 4 + 3 + extras, cells). A box is its cell, and it has
    for `segment` the pixels in which its colour prevails, for `pose` its centre, as sure as the colour, and its
    upper left corner, unsure, for `obb` an eighth of a turn. For `classify` (1, 3): each colour's share of all.
    """
    picture = op.parameter([1, 3, height, width], np.float32, name="images")
    if task == "classify":
        light = op.reduce_sum(picture, op.constant(np.array([2, 3])), False)
        outputs = [op.divide(light, op.reduce_sum(light, op.constant(np.array([1])), True))]
    else:
        outputs = _boxes(picture, height // CELL, width // CELL, task)
    network = openvino.Model(outputs, [picture], "colours")
    folder.mkdir(parents=True, exist_ok=True)
    name = "colours" if task == "detect" else f"colours-{task}"
    openvino.save_model(network, folder / f"{name}.xml", compress_to_fp16=False)
    return model_entry(
        folder,
        name=name,
        classes=COLOURS,
        size=(height, width),
        entry=f"{name}.xml",
        task=task,
        keypoint_shape=(2, 3) if task == "pose" else (),
    )


def _boxes(picture: openvino.Node, rows: int, columns: int, task: str) -> list[openvino.Node]:
    cells = op.constant(np.array([1, 3, rows * columns]))
    scores = op.clamp(op.reshape(_prevailing(picture, (CELL, CELL)), cells, False), 0.0, 1.0)
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    centres = CELL * np.stack([x.ravel() + 0.5, y.ravel() + 0.5])
    boxes = op.constant(np.concatenate([centres, np.full_like(centres, CELL)]).astype(np.float32)[None])
    head, others = [boxes, scores], []
    many = rows * columns
    if task == "segment":
        head.append(op.pad(scores, [0, 0, 0], [0, 29, 0], "constant", op.constant(np.float32(0))))
        finer = _prevailing(picture, (4, 4))
        others.append(op.pad(finer, [0] * 4, [0, 29, 0, 0], "constant", op.constant(np.float32(0))))
    elif task == "pose":
        corners = np.concatenate([centres - CELL / 2, np.full((1, many), 0.1)]).astype(np.float32)[None]
        best = op.reduce_max(scores, op.constant(np.array([1])), True)
        head += [op.constant(centres.astype(np.float32)[None]), best, op.constant(corners)]
    elif task == "obb":
        head.append(op.constant(np.full((1, 1, many), np.pi / 4, np.float32)))
    return [op.concat(head, 1), *others]


def _prevailing(picture: openvino.Node, cell: tuple[int, int]) -> openvino.Node:
    """Of each colour what it has more than the other two together, mean of each cell: (1, 3, rows, columns)."""
    colours = op.avg_pool(picture, list(cell), [0, 0], [0, 0], list(cell), True)
    others = op.subtract(op.reduce_sum(colours, op.constant(np.array([1])), True), colours)
    return op.subtract(colours, others)


def save_colour_network_as_onnx(folder: Path, *, height: int | str = 96, width: int | str = 160) -> ModelEntry:
    """The same network for ONNX Runtime, for pictures of 96x160; a side that is a name is free."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rows, columns = 96 // CELL, 160 // CELL
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    centres = np.stack([CELL * (x.ravel() + 0.5), CELL * (y.ravel() + 0.5)])
    constants = {
        "boxes": np.concatenate([centres, np.full_like(centres, CELL)]).astype(np.float32)[None],
        "shape": np.array([1, 3, rows * columns]),
        "colours_axis": np.array([1]),
        "zero": np.float32(0),
        "one": np.float32(1),
    }
    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Reshape", ["cells", "shape"], ["colours"]),
        helper.make_node("ReduceSum", ["colours", "colours_axis"], ["all"], keepdims=1),
        helper.make_node("Sub", ["all", "colours"], ["others"]),
        helper.make_node("Sub", ["colours", "others"], ["difference"]),
        helper.make_node("Clip", ["difference", "zero", "one"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output0"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    folder.mkdir(parents=True, exist_ok=True)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), folder / "colours.onnx")
    return model_entry(folder, name="colours", classes=COLOURS, size=(96, 160), entry="colours.onnx")


def model_entry(
    root: Path,
    *,
    name: str,
    classes: tuple[str, ...],
    size: tuple[int, int],
    entry: str,
    task: str = "detect",
    keypoint_shape: tuple[int, ...] = (),
) -> ModelEntry:
    """What the manifest says of the files in `root` as they are now."""
    suffixes = {".xml": "openvino", ".param": "ncnn", ".pt": "torch", ".onnx": "onnx", ".engine": "tensorrt"}
    engine = suffixes[Path(entry).suffix]
    names = [entry, str(Path(entry).with_suffix(".bin"))] if engine in ("openvino", "ncnn") else [entry]
    files = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names}
    return ModelEntry(
        name=name,
        task=task,
        classes=classes,
        input_size=size,
        stride=32,
        root=str(root),
        formats={engine: ModelFormat(entry=entry, files=files)},
        keypoint_shape=keypoint_shape,
    )


def manifest_of(*models: ModelEntry, abi: int = RUNTIME_ABI) -> RuntimeManifest:
    return RuntimeManifest(
        abi=abi,
        python="3.11",
        torch=None,
        cuda=None,
        driver_floor=None,
        engines=("ncnn", "openvino", "onnx", "torch", "tensorrt"),
        models=models,
    )
