"""The portable engine: ONNX Runtime, in FP32, on a CPU or with CUDA. The only import of onnxruntime."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from batch_job.candidates import Candidates, Keep
from batch_job.canvas import canvas_for
from batch_job.detector import Tag
from batch_job.errors import RuntimeMismatch
from batch_job.letterbox import Letterbox, Shape
from batch_job.tasks import candidates_of, fit_of, require_rows
from batch_job.values import Floats, Image
from batch_job.workers import computed_ahead, cores
from contract.manifest import ModelEntry

# The quickest algorithm is otherwise found by trying, and may be another one, with other rounding, the next time.
_CUDA = ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"})


class OnnxDetector:
    """A network in ONNX's format. One picture at a time on a GPU, one per core on a CPU; see `workers`."""

    def __init__(
        self, entry: Path, model: ModelEntry, *, frame: Shape, image_size: int | None, gpu: bool = False
    ) -> None:
        """`frame` is the shape most frames will have: a network with a free input shape gets one that fits it.

        Raises ModelUntrusted, OptionUnsuitable or RuntimeMismatch.
        """
        if gpu and _CUDA[0] not in onnxruntime.get_available_providers():
            raise RuntimeMismatch("a GPU is here, and the installed onnxruntime has no CUDA provider")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        providers: list[Any] = [_CUDA] if gpu else ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(entry, options, providers=providers)
        self._input = self._session.get_inputs()[0]
        self._canvas = canvas_for(model, frame, fixed=_fixed(self._input.shape), image_size=image_size)
        self._image_size = image_size or max(model.input_size)
        self._model = model
        self._workers = 1 if gpu else cores()
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="onnx")
        # Exports do not always tell the number of output rows, so it is asked of one picture.
        require_rows(model, [len(each) for each in self._outputs(np.zeros((*self._canvas, 3), np.uint8))])

    @property
    def capacity(self) -> int:
        return self._workers + 1

    def letterbox_for(self, frame: Shape) -> Letterbox:
        return fit_of(self._model).onto(
            frame, self._canvas, image_size=self._image_size, stride=self._model.stride
        )

    def prepare(self, image: Image, letterbox: Letterbox) -> Image:
        return letterbox.place(image)

    def detect(self, pictures: Iterator[tuple[Tag, Image]], keep: Keep) -> Iterator[tuple[Tag, Candidates]]:
        def compute(picture: Image) -> Candidates:
            return candidates_of(self._model, self._outputs(picture), keep)

        # One more than the threads, so that none is idle while a result is read.
        return computed_ahead(pictures, compute, self._pool, self._workers + 1)

    def close(self) -> None:
        self._pool.shutdown()
        del self._session

    def _outputs(self, picture: Image) -> list[Floats]:
        rgb = np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1)[None], dtype=np.float32)
        rgb /= 255
        return [each[0] for each in self._session.run(None, {self._input.name: rgb})]


def _fixed(shape: list[int | str | None]) -> Shape | None:
    """Height and width of an input N, 3, height, width; None where they are free."""
    height, width = shape[2:]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None
