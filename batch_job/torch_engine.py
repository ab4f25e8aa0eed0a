"""The reference engine on a CPU: ultralytics' own network from a `.pt` file, in FP32."""

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from batch_job.candidates import Candidates, Keep
from batch_job.checkpoint import load_network, outputs_of
from batch_job.detector import Tag
from batch_job.letterbox import Letterbox, Shape
from batch_job.tasks import candidates_of, fit_of, require_rows
from batch_job.values import Image
from batch_job.workers import computed_ahead, cores
from contract.manifest import ModelEntry


class TorchDetector:
    """As many pictures at once as there are cores, each computed by one thread; see `workers`."""

    def __init__(self, entry: Path, model: ModelEntry, *, image_size: int | None, scratch_dir: Path) -> None:
        """Raises ModelUntrusted where the network is not what the manifest says it is."""
        network = load_network(entry, model, scratch_dir=scratch_dir)
        import torch

        self._torch = torch
        self._model = model
        self._image_size = image_size or max(model.input_size)
        torch.set_num_threads(1)
        network.to(memory_format=torch.channels_last)
        self._workers = cores()
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="torch")
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self._workers):
            self._idle.put(_twin(network))

    @property
    def capacity(self) -> int:
        return self._workers + 1

    def letterbox_for(self, frame: Shape) -> Letterbox:
        return fit_of(self._model).rectangle(frame, image_size=self._image_size, stride=self._model.stride)

    def prepare(self, image: Image, letterbox: Letterbox) -> Image:
        return letterbox.place(image)

    def detect(self, pictures: Iterator[tuple[Tag, Image]], keep: Keep) -> Iterator[tuple[Tag, Candidates]]:
        """Raises ModelUntrusted where the network's outputs are not those of its task."""
        # One more than the threads, so that none is idle while a result is read.
        ahead = self._workers + 1
        return computed_ahead(pictures, lambda picture: self._candidates(picture, keep), self._pool, ahead)

    def close(self) -> None:
        self._pool.shutdown()
        self._idle = SimpleQueue()

    def _candidates(self, picture: Image, keep: Keep) -> Candidates:
        torch = self._torch
        network = self._idle.get()
        try:
            with torch.inference_mode():
                # A picture's bytes are in the order of channels_last already; the index turns BGR to RGB.
                pixels = torch.from_numpy(picture)[None].permute(0, 3, 1, 2)[:, [2, 1, 0]]
                pixels = pixels.to(torch.float32, memory_format=torch.channels_last).div_(255)
                outputs = [each[0].numpy() for each in outputs_of(network(pixels))]
        finally:
            self._idle.put(network)
        require_rows(self._model, [len(each) for each in outputs])
        return candidates_of(self._model, outputs, keep)


def _twin(network: Any) -> Any:
    """A copy for another thread, as the head remembers the last input's shape; the weights are the same memory."""
    shared = [*network.parameters(), *network.buffers()]
    return copy.deepcopy(network, {id(tensor): tensor for tensor in shared})
