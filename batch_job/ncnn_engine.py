"""The fastest FP32 engine on a CPU: ncnn, whose convolutions use Winograd's algorithm. The only import of ncnn.

A 3x3 convolution then needs down to a quarter of the multiplications (Lavin and Gray 2016, "Fast Algorithms for
Convolutional Neural Networks"), and on a CPU the multiplications are the time.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import local

import ncnn
import numpy as np

from batch_job.candidates import Candidates, Keep
from batch_job.detector import Tag
from batch_job.errors import ModelUntrusted
from batch_job.grid import Level, candidates_on
from batch_job.letterbox import Letterbox, Shape
from batch_job.values import Floats, Image
from batch_job.workers import computed_ahead, cores
from contract.manifest import ModelEntry

_NO_MEMORY = -100


class NcnnDetector:
    """A detection network as `ncnn_export` writes it (`.param` and `.bin`), for every input shape.

    One picture is one thread's work: that keeps two cores busier than two threads at one picture.
    """

    def __init__(self, entry: Path, model: ModelEntry, *, image_size: int | None, precision: str) -> None:
        """`precision` "f32" is exact; "native" keeps numbers between layers in bfloat16, which takes less memory.

        Raises ModelUntrusted where the network is not what the manifest says it is.
        """
        if model.task != "detect":
            raise ModelUntrusted(f"{model.name} is made for the task {model.task}, which ncnn's format has not")
        self._net = ncnn.Net()
        self._net.opt.num_threads = 1
        for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
            setattr(self._net.opt, option, False)
        for option in ("use_bf16_packed", "use_bf16_storage"):
            setattr(self._net.opt, option, precision == "native")
        weights = entry.with_suffix(".bin")
        if self._net.load_param(os.fspath(entry)) or self._net.load_model(os.fspath(weights)):
            raise ModelUntrusted(f"{model.name} cannot be opened by ncnn")
        (self._input,) = self._net.input_names()
        outputs = sorted(self._net.output_names())
        self._maps = list(zip(outputs[::2], outputs[1::2], strict=True))  # per level: sides, classes
        self._stride = model.stride
        self._image_size = image_size or max(model.input_size)
        self._own = local()  # each thread's own pools of memory
        smallest = np.zeros((model.stride, model.stride, 3), np.uint8)
        if {level.classes.shape[0] for level in self._levels(smallest)} != {len(model.classes)}:
            raise ModelUntrusted(f"{model.name} knows other classes than the manifest says")
        # Twice the threads, because they tend to end together, and none shall wait while results are read.
        self._ahead = 2 * cores()
        self._pool = ThreadPoolExecutor(cores(), thread_name_prefix="ncnn")

    @property
    def capacity(self) -> int:
        return self._ahead

    def letterbox_for(self, frame: Shape) -> Letterbox:
        return Letterbox.rectangle(frame, image_size=self._image_size, stride=self._stride)

    def prepare(self, image: Image, letterbox: Letterbox) -> Image:
        return letterbox.place(image)

    def detect(self, pictures: Iterator[tuple[Tag, Image]], keep: Keep) -> Iterator[tuple[Tag, Candidates]]:
        return computed_ahead(pictures, lambda picture: self._candidates(picture, keep), self._pool, self._ahead)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _candidates(self, picture: Image, keep: Keep) -> Candidates:
        return candidates_on(self._levels(picture), keep)

    def _levels(self, picture: Image) -> list[Level]:
        height, width = picture.shape[:2]
        extractor = self._net.create_extractor()
        blobs, workspace = self._allocators()
        extractor.set_blob_allocator(blobs)
        extractor.set_workspace_allocator(workspace)
        pixels = ncnn.Mat.from_pixels(picture, ncnn.Mat.PixelType.PIXEL_BGR, width, height)
        extractor.input(self._input, pixels)

        def computed(name: str) -> Floats:
            """With what it takes and is not there yet."""
            return np.asarray(_checked(*extractor.extract(name)))

        levels = []
        for sides, classes in self._maps:
            found = computed(classes)
            levels.append(Level(classes=found, sides=partial(computed, sides), stride=height // found.shape[1]))
        return levels

    def _allocators(self) -> tuple[ncnn.PoolAllocator, ncnn.PoolAllocator]:
        if not hasattr(self._own, "allocators"):
            self._own.allocators = ncnn.PoolAllocator(), ncnn.PoolAllocator()
        allocators: tuple[ncnn.PoolAllocator, ncnn.PoolAllocator] = self._own.allocators
        return allocators


def _checked(code: int, found: ncnn.Mat) -> ncnn.Mat:
    """ncnn tells by a number what went wrong; -100 is that memory ran out."""
    if code == _NO_MEMORY:
        raise MemoryError("ncnn found no memory")
    if code:
        raise RuntimeError(f"ncnn failed with {code}")
    return found
