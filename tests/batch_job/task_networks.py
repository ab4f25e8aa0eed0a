"""Networks for tasks without pretrained weights at hand, and what ultralytics' own predict makes of them.

YOLOv8n's COCO backbone and detection head see real objects; what a task adds (masks, key points, angles, classes)
has random weights, spread so that every object gets other numbers. That is as good as trained weights where two
programs shall come to the same numbers.

`python -m tests.batch_job.task_networks build CHECKPOINT FOLDER` writes TASK.pt and TASK_openvino_model, and the
same with `predict FOLDER FRAMES.npy` TASK.predictions.npz and crops.npz. In processes of their own, because
ultralytics warns.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

TASKS = ("segment", "pose", "obb", "classify")
CONFIDENCE, IOU = 0.1, 0.7
IMAGE_SIZE = {"segment": 640, "pose": 640, "obb": 640, "classify": 224}
CROPPED = ((360, 640), (1080, 1920), (511, 337), (224, 224), (100, 333), (225, 224))  # heights and widths


def build(checkpoint: Path, folder: Path) -> None:
    import torch
    from ultralytics import YOLO
    from ultralytics.nn import tasks

    source, _ = tasks.load_checkpoint(str(checkpoint))
    trained = source.float().state_dict()
    networks = {
        "segment": (tasks.SegmentationModel, "yolov8n-seg.yaml", 80),
        "pose": (tasks.PoseModel, "yolov8n-pose.yaml", 80),
        "obb": (tasks.OBBModel, "yolov8n-obb.yaml", 80),
        "classify": (tasks.ClassificationModel, "yolov8n-cls.yaml", 10),
    }
    for task, (kind, name, classes) in networks.items():
        torch.manual_seed(4)
        network = kind({**tasks.yaml_model_load(name), "nc": classes}, verbose=False)
        own = network.state_dict()
        known = {key: value for key, value in trained.items() if key in own and own[key].shape == value.shape}
        network.load_state_dict(known, strict=False)
        head = network.model[-1]
        last = [head.linear] if task == "classify" else [branch[-1] for branch in head.cv4]
        with torch.no_grad():
            for layer in last:
                layer.weight.mul_(100 if task == "classify" else 20)
        path = folder / f"{task}.pt"
        torch.save({"model": network, "train_args": {"imgsz": IMAGE_SIZE[task], "task": task}}, path)
        YOLO(path).export(format="openvino", dynamic=True)


def predict(folder: Path, frames: list[Any]) -> None:
    _make_torchvision_importable()
    from ultralytics import YOLO

    for task in TASKS:
        model = YOLO(folder / f"{task}.pt")
        found: dict[str, Any] = {}
        for number, frame in enumerate(frames):
            options = {"imgsz": IMAGE_SIZE[task], "conf": CONFIDENCE, "iou": IOU, "verbose": False}
            (result,) = model.predict(frame, **options)
            for name in ("boxes", "masks", "keypoints", "obb", "probs"):
                part = getattr(result, name)
                if part is not None:
                    found[f"{name}-{number}"] = part.data.numpy()
            if result.obb is not None:
                found[f"corners-{number}"] = result.obb.xyxyxyxy.numpy()
        np.savez(folder / f"{task}.predictions.npz", **found)
    np.savez(folder / "crops.npz", **{f"{height}x{width}": _crop(height, width) for height, width in CROPPED})


def noise(height: int, width: int) -> Any:
    return np.random.default_rng(4).integers(0, 255, (height, width, 3), np.uint8)


def _crop(height: int, width: int) -> Any:
    """What its classifiers see of a picture, as pixels again."""
    from PIL import Image
    from ultralytics.data.augment import classify_transforms

    seen = classify_transforms(IMAGE_SIZE["classify"])(Image.fromarray(noise(height, width)))
    return (seen.numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8)


def _make_torchvision_importable() -> None:
    """A wheel of it for GPUs has no operators beside a torch for CPUs; ultralytics has an NMS of its own."""
    import torch

    try:
        import torchvision
    except RuntimeError:
        from ultralytics.utils.nms import TorchNMS

        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor boxes, Tensor scores, float iou) -> Tensor")
        import torchvision

        torchvision.ops.nms = TorchNMS.nms


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["build", checkpoint, folder]:
            build(Path(checkpoint), Path(folder))
        case ["predict", folder, frames]:
            predict(Path(folder), list(np.load(frames)))
