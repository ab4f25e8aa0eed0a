"""The reference engine: ultralytics' own network from a `.pt` file, FP32 on the CPU. The only import of either."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from batch_job.candidates import Candidates, Keep
from batch_job.detector import Tag
from batch_job.errors import ModelUntrusted
from batch_job.letterbox import Letterbox, Shape
from batch_job.tasks import candidates_of, fit_of, output_rows
from batch_job.values import Image
from contract.manifest import ModelEntry


class TorchDetector:
    """A checkpoint is a pickle, which may run any code: its sha256 must have been checked before it comes here."""

    def __init__(self, entry: Path, model: ModelEntry, *, image_size: int | None, scratch_dir: Path) -> None:
        """Raises ModelUntrusted where the network is not what the manifest says it is."""
        # ultralytics writes settings when it is imported, and would otherwise look for packages to install.
        os.environ.setdefault("YOLO_CONFIG_DIR", os.fspath(scratch_dir))
        os.environ.setdefault("YOLO_AUTOINSTALL", "false")
        os.environ.setdefault("YOLO_OFFLINE", "true")
        import torch
        from ultralytics.nn.tasks import load_checkpoint

        self._torch = torch
        network, _ = load_checkpoint(os.fspath(entry), device="cpu", fuse=True)
        self._network = network.float().eval()
        if tuple(network.names[index] for index in sorted(network.names)) != model.classes:
            raise ModelUntrusted(f"{model.name} knows other classes than the manifest says")
        self._model = model
        self._image_size = image_size or max(model.input_size)

    @property
    def capacity(self) -> int:
        return 2

    def letterbox_for(self, frame: Shape) -> Letterbox:
        return fit_of(self._model).rectangle(frame, image_size=self._image_size, stride=self._model.stride)

    def prepare(self, image: Image, letterbox: Letterbox) -> Image:
        return letterbox.place(image)

    def detect(self, pictures: Iterator[tuple[Tag, Image]], keep: Keep) -> Iterator[tuple[Tag, Candidates]]:
        """One picture at a time: in a batch, rounding would depend on the neighbours, and a CPU gains nothing."""
        torch = self._torch
        for tag, picture in pictures:
            with torch.inference_mode():
                rgb = np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1))
                output = self._network(torch.from_numpy(rgb)[None].float().div_(255))
                # What an export would give, and for training what it was made from.
                output = output[0] if isinstance(output, list | tuple) else output
                outputs = [each[0].numpy() for each in (output if isinstance(output, tuple) else (output,))]
            if tuple(map(len, outputs)) != output_rows(self._model):
                raise ModelUntrusted(f"{self._model.name} is no network for the task {self._model.task}")
            yield tag, candidates_of(self._model, outputs, keep)

    def close(self) -> None:
        del self._network
