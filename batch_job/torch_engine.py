"""The reference engine on a CPU: ultralytics' own network from a `.pt` file, in FP32."""

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import cv2

from batch_job.candidates import Candidates, Keep
from batch_job.checkpoint import load_network, outputs_of
from batch_job.detector import Tag
from batch_job.letterbox import Letterbox, Shape
from batch_job.tasks import candidates_of, fit_of, require_rows
from batch_job.values import Image
from batch_job.workers import computed_ahead, cores
from contract.manifest import ModelEntry


class TorchDetector:
    """As many pictures at once as there are cores, each computed by one thread; see `workers`.

    The network is traced once for each shape of input. That takes a quarter of a second and saves a tenth of each
    picture's time; and threads can share a trace, but not the network itself, whose head remembers the shape of
    its last input.
    """

    def __init__(self, entry: Path, model: ModelEntry, *, image_size: int | None, scratch_dir: Path) -> None:
        """Raises ModelUntrusted where the network is not what the manifest says it is."""
        network = load_network(entry, model, scratch_dir=scratch_dir)
        import torch

        self._torch = torch
        self._model = model
        self._image_size = image_size or max(model.input_size)
        torch.set_num_threads(1)
        self._network = network.requires_grad_(False).to(memory_format=torch.channels_last)
        self._traces: dict[Shape, Any] = {}
        self._tracing = Lock()
        self._workers = cores()
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="torch")

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

    def _candidates(self, picture: Image, keep: Keep) -> Candidates:
        network = self._trace_for((picture.shape[0], picture.shape[1]))
        with self._torch.inference_mode():
            # A picture's bytes are in the order of channels_last already.
            pixels = self._torch.from_numpy(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).to(self._torch.float32)
            outputs = [each[0].numpy() for each in network(pixels.div_(255)[None].permute(0, 3, 1, 2))]
        require_rows(self._model, [len(each) for each in outputs])
        return candidates_of(self._model, outputs, keep)

    def _trace_for(self, shape: Shape) -> Any:
        with self._tracing:
            if shape not in self._traces:
                self._traces[shape] = _traced(self._network, shape)
            return self._traces[shape]


def _traced(network: Any, shape: Shape) -> Any:
    """The same steps without Python, and with the same weights in memory, for this shape of input alone.

    It holds the places of the network's anchors, and would give wrong boxes for another shape.
    """
    import torch

    def outputs(pixels: Any) -> tuple[Any, ...]:
        return tuple(outputs_of(network(pixels)))

    example = torch.zeros(1, 3, *shape).to(memory_format=torch.channels_last)
    with torch.no_grad(), warnings.catch_warnings():
        # That what depends on the shape becomes constant, which is meant. And that torch.compile is to take the
        # place of tracing; it needs a compiler on the machine.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(outputs, example, check_trace=False)
