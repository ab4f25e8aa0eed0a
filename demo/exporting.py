"""From a trained network to the committed files: checkpoint, ONNX and OpenVINO, without traces of the machine."""

from datetime import UTC, datetime
from pathlib import Path

import torch
import ultralytics
from ultralytics import YOLO
from ultralytics.nn.modules import Conv
from ultralytics.nn.tasks import DetectionModel

from demo.detection import LONG_SIDE

NAME = "demo-shapes"
INPUT_SIZE = (384, LONG_SIDE)  # height and width of a letterboxed 16:9 frame
CHECKPOINT = f"{NAME}.pt"
ONNX = f"{NAME}.onnx"
OPENVINO = f"{NAME}_openvino"
OPENVINO_XML = f"{OPENVINO}/{NAME}.xml"
OPENVINO_OTHERS = (f"{OPENVINO}/{NAME}.bin", f"{OPENVINO}/metadata.yaml")
LICENCE = "AGPL-3.0-or-later"


def write_model_files(model: DetectionModel, folder: Path) -> None:
    """Write the checkpoint (float16), ONNX (float32) and OpenVINO (float16 weights) below `folder`.

    The exports accept any batch size and any height and width that are multiples of the stride.
    """
    model.requires_grad_(False)
    _fold_normalisation(model)
    checkpoint = folder / CHECKPOINT
    _write_checkpoint(model, checkpoint)
    # Simplifying would need one more library and changes nothing for the runtimes, which do it at load.
    YOLO(checkpoint).export(format="onnx", dynamic=True, simplify=False, imgsz=list(INPUT_SIZE), device="cpu")
    exported = YOLO(checkpoint).export(
        format="openvino", dynamic=True, quantize=16, imgsz=list(INPUT_SIZE), device="cpu"
    )
    Path(exported).rename(folder / OPENVINO)


def _fold_normalisation(model: DetectionModel) -> None:
    """Move batch normalisation into the convolutions and round the result to float16, in place.

    Every format then holds exactly the same numbers: otherwise each would round other ones, before or after
    its own folding, and their boxes would differ by a good part of a pixel.
    """
    for block in model.modules():
        if isinstance(block, Conv):
            norm = block.bn
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            block.conv.weight.data.mul_(gain[:, None, None, None])
            norm.bias.data.sub_(norm.running_mean * gain)
            norm.weight.data.fill_(1.0)
            norm.running_mean.fill_(0.0)
            norm.running_var.fill_(1.0)
            norm.eps = 0.0
    model.half().float()


def _write_checkpoint(model: DetectionModel, path: Path) -> None:
    """Write a checkpoint as ultralytics reads it, with none of the paths and settings its own trainer stores."""
    model.args = {"task": "detect", "imgsz": LONG_SIDE}
    model.criterion = None
    torch.save(
        {
            "model": model.half(),
            "train_args": dict(model.args),
            "epoch": -1,
            "date": datetime.now(UTC).date().isoformat(),
            "version": ultralytics.__version__,
            "license": LICENCE,
        },
        path,
    )
