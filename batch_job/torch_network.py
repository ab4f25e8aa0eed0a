"""ultralytics' own network on a GPU."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from batch_job.checkpoint import load_network, outputs_of
from batch_job.gpu_memory import require_room
from contract.manifest import ModelEntry


class TorchNetwork:
    """In half precision where `half` is true, and else in FP32 (without TF32)."""

    least = 1

    def __init__(self, entry: Path, model: ModelEntry, *, device: Any, half: bool, scratch_dir: Path) -> None:
        """Raises ModelUntrusted or OutOfMemory."""
        self.device = device
        self.dtype = torch.float16 if half else torch.float32
        network = load_network(entry, model, scratch_dir=scratch_dir)
        if device.type == "cuda":
            require_room(model, weights=entry, free=torch.cuda.mem_get_info(device)[0])
            # TF32 keeps ten bits of mantissa; an algorithm that is found by trying may be another one next time.
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cudnn.benchmark = False
        if half:
            _halve(network)
        self._network = network.to(device, memory_format=torch.channels_last)

    def __call__(self, pixels: Tensor) -> list[Tensor]:
        return outputs_of(self._network(pixels))


def _halve(network: Any) -> None:
    """All but the boxes' last step: from 512 on, half precision knows only every half pixel."""
    network.half()
    to_distances = getattr(network.model[-1], "dfl", None)
    if to_distances is None:  # classes of a whole frame have no place
        return
    to_distances.float()
    to_distances.register_forward_pre_hook(lambda _, inputs: tuple(tensor.float() for tensor in inputs))
