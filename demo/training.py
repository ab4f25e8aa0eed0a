"""Training of the demo model: YOLOv8's own network and loss at a fraction of its width, from scratch on a CPU."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from typing import Any

import torch
import ultralytics
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import YAML
from ultralytics.utils.torch_utils import ModelEMA

from demo.scenes import CLASS_NAMES
from demo.training_data import Batch, training_batches

logger = logging.getLogger(__name__)

# Network inputs are shares of full brightness.
_WHITE = 255


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSettings:
    """All that decides what comes out, apart from the versions of the libraries."""

    seed: int = 8
    first_scene: int = 1_000_000
    steps: int = 4000
    batch: int = 8
    threads: int = 2
    learning_rate: float = 3e-3
    final_share: float = 0.01  # of the learning rate, at the last step
    warmup_steps: int = 200
    weight_decay: float = 5e-4
    largest_gradient: float = 10.0
    averaging: float = 0.998
    depth: float = 0.33
    width: float = 0.125
    max_channels: int = 320
    class_gain: float = 1.0


def train(settings: TrainingSettings) -> DetectionModel:
    """A trained network in evaluation mode; the same on every run with the same libraries and threads."""
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    model = DetectionModel(_architecture(settings), ch=3, nc=len(CLASS_NAMES), verbose=False)
    # The loss reads its gains from here. Boxes are learnt soon, names are not.
    model.args = get_cfg(overrides={"cls": settings.class_gain})
    model.names = dict(enumerate(CLASS_NAMES))
    model.train()
    # Biases and normalisation are not weights that could grow without bound.
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=settings.learning_rate,
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate_share(step, settings))
    average = ModelEMA(model, decay=settings.averaging, tau=settings.warmup_steps)
    batches = training_batches(
        seed=settings.seed, count=settings.steps, size=settings.batch, first_scene=settings.first_scene
    )
    began = time.monotonic()
    for step, batch in enumerate(batches, start=1):
        loss, parts = model.loss(_tensors(batch))
        optimizer.zero_grad()
        (loss.sum() / settings.batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.largest_gradient)
        optimizer.step()
        scheduler.step()
        average.update(model)
        if step % 200 == 0 or step == settings.steps:
            readable = ", ".join(f"{name} {float(value):.3f}" for name, value in parts.items())
            logger.info("step %d of %d, %.0f s: %s", step, settings.steps, time.monotonic() - began, readable)
    trained: DetectionModel = average.ema
    return trained.eval()


def _architecture(settings: TrainingSettings) -> dict[str, Any]:
    """YOLOv8 as ultralytics describes it, with a scale of our own."""
    config: dict[str, Any] = YAML.load(Path(ultralytics.__file__).parent / "cfg/models/v8/yolov8.yaml")
    scale = [settings.depth, settings.width, settings.max_channels]
    # A name, not a path: it is stored inside the model.
    return config | {"scales": {"demo": scale}, "scale": "demo", "yaml_file": "yolov8-demo.yaml"}


def _rate_share(step: int, settings: TrainingSettings) -> float:
    """Share of the learning rate: up in a straight line, then down along half a cosine."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(settings.steps - settings.warmup_steps, 1)
    return settings.final_share + (1 - settings.final_share) * (1 + cos(pi * min(progress, 1.0))) / 2


def _tensors(batch: Batch) -> Mapping[str, torch.Tensor]:
    """The batch as ultralytics' loss takes it."""
    return {
        "img": torch.from_numpy(batch.images).float() / _WHITE,
        "batch_idx": torch.from_numpy(batch.image_index).float(),
        "cls": torch.from_numpy(batch.class_id).float()[:, None],
        "bboxes": torch.from_numpy(batch.boxes),
    }
