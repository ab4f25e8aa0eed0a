"""Any network on a GPU: pictures go up as bytes, go through it in batches, and only the few boxes come back.

The code runs on any device of torch. Which pictures share a batch, and why that does not show in the results, is
decision 0007.
"""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from batch_job import gpu_letterbox
from batch_job.candidates import Candidates, Keep
from batch_job.detector import Tag
from batch_job.errors import OutOfMemory
from batch_job.letterbox import Letterbox, Shape
from batch_job.tasks import candidates_of, fit_of, require_rows
from batch_job.values import Floats, Image
from batch_job.workers import computed_ahead
from contract.manifest import ModelEntry

logger = logging.getLogger(__name__)

_NOTHING = np.zeros((0, 0, 0), np.float32)


class Network(Protocol):
    """A network that lies ready on its device."""

    device: Any  # torch.device
    dtype: Any  # torch.dtype of its input
    least: int  # the smallest batch it takes

    def __call__(self, pixels: Tensor) -> list[Tensor]:
        """From (n, 3, height, width), RGB from 0 to 1, to outputs (n, rows, ...) with rows as `tasks` tells.

        May return before the device has finished. Raises torch.OutOfMemoryError.
        """


@dataclass(frozen=True, slots=True)
class Uploaded:
    canvas: Tensor  # (height, width, 3) of bytes, on the device
    ready: Any  # the event after which it is whole; None on a CPU


class BatchDetector:
    """Pictures are grouped from the first one on, and every batch is filled up to the same size."""

    def __init__(
        self, network: Network, model: ModelEntry, *, canvas: Shape, image_size: int | None, batch: int
    ) -> None:
        self._network = network
        self._model = model
        self._canvas = canvas
        self._image_size = image_size or max(model.input_size)
        self._batch = batch
        self._fits = batch  # pictures that go through at once; smaller once memory ran out
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="gpu")
        cuda = network.device.type == "cuda"
        self._uploading = torch.cuda.Stream(network.device) if cuda else None
        self._computing = torch.cuda.Stream(network.device) if cuda else None

    @property
    def capacity(self) -> int:
        return 2 * self._batch

    def letterbox_for(self, frame: Shape) -> Letterbox:
        return fit_of(self._model).onto(
            frame, self._canvas, image_size=self._image_size, stride=self._model.stride
        )

    def prepare(self, image: Image | Tensor, letterbox: Letterbox) -> Uploaded:
        """Uploads the frame, unless it lies on the device already, and fits it into the input there.

        Raises OutOfMemory.
        """
        if type(letterbox) is not Letterbox:  # others scale as only their own libraries do
            image = letterbox.place(image if isinstance(image, np.ndarray) else image.cpu().numpy())
            letterbox = Letterbox.inside(self._canvas, self._canvas)
        pixels = torch.from_numpy(image) if isinstance(image, np.ndarray) else image
        if self._uploading is None:
            return Uploaded(gpu_letterbox.place(pixels, letterbox), None)
        try:
            with torch.cuda.stream(self._uploading):
                if not pixels.is_cuda:
                    pixels = pixels.pin_memory().to(self._network.device, non_blocking=True)
                canvas = gpu_letterbox.place(pixels, letterbox)
                return Uploaded(canvas, self._uploading.record_event())
        except torch.OutOfMemoryError as exc:
            raise OutOfMemory("the GPU has no room for another frame") from exc

    def detect(self, pictures: Iterator[tuple[Tag, Uploaded]], keep: Keep) -> Iterator[tuple[Tag, Candidates]]:
        """Boxes of one batch are read here while a thread of its own takes the next one through the device."""
        batches = self._batches(pictures)
        through = computed_ahead(batches, lambda batch: self._through(batch, keep), self._pool, 2)
        for tags, found in through:
            for tag, outputs in zip(tags, found, strict=True):
                yield tag, candidates_of(self._model, outputs, keep)

    def close(self) -> None:
        self._pool.shutdown()
        del self._network
        if self._computing is not None:
            torch.cuda.empty_cache()

    def _batches(self, pictures: Iterator[tuple[Tag, Uploaded]]) -> Iterator[tuple[list[Tag], list[Uploaded]]]:
        while batch := list(islice(pictures, self._batch)):
            yield [tag for tag, _ in batch], [picture for _, picture in batch]

    def _through(self, pictures: Sequence[Uploaded], keep: Keep) -> list[list[Floats]]:
        """Outputs of each picture. Raises OutOfMemory where even the smallest batch does not fit."""
        stream = nullcontext() if self._computing is None else torch.cuda.stream(self._computing)
        while True:
            try:
                with stream, torch.inference_mode():
                    return [
                        outputs
                        for first in range(0, len(pictures), self._fits)
                        for outputs in self._outputs(pictures[first : first + self._fits], keep)
                    ]
            except torch.OutOfMemoryError as exc:
                if self._fits <= self._network.least:
                    raise OutOfMemory(f"the GPU has no room for {self._fits} pictures at once") from exc
            # Only here, as the exception has kept what was allocated until now.
            self._fits //= 2
            logger.warning("the GPU ran out of memory", extra={"batch": self._fits})
            if self._computing is not None:
                torch.cuda.empty_cache()

    def _outputs(self, pictures: Sequence[Uploaded], keep: Keep) -> Iterator[list[Floats]]:
        """Of the first output only columns with a score above the threshold; others only where there are such."""
        raw, *others = (output[: len(pictures)] for output in self._network(self._pixels(pictures)))
        require_rows(self._model, [output.shape[1] for output in (raw, *others)])
        if self._model.task == "classify":
            return iter([[each] for each in raw.float().cpu().numpy()])
        scores = raw[:, 4 : 4 + len(self._model.classes)].amax(dim=1).float()
        picture, anchor = torch.nonzero(scores > keep.confidence, as_tuple=True)
        columns = raw[picture, :, anchor].float().cpu().numpy()
        many = np.bincount(picture.cpu().numpy(), minlength=len(pictures))
        parts = np.split(columns, np.cumsum(many)[:-1])
        return iter(
            [
                [part.T, *(other[number].float().cpu().numpy() if len(part) else _NOTHING for other in others)]
                for number, part in enumerate(parts)
            ]
        )

    def _pixels(self, pictures: Sequence[Uploaded]) -> Tensor:
        """The network's input, filled up with black to the size that all batches have."""
        size = max(self._fits, self._network.least)
        batch = torch.zeros((size, *self._canvas, 3), dtype=torch.uint8, device=self._network.device)
        for place, picture in zip(batch, pictures, strict=False):
            if self._computing is not None:
                self._computing.wait_event(picture.ready)
                picture.canvas.record_stream(self._computing)
            place.copy_(picture.canvas)
        bgr = batch.permute(0, 3, 1, 2)
        return bgr.flip(1).to(self._network.dtype, memory_format=torch.channels_last).div_(255)
