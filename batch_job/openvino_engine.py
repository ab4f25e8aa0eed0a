"""The engine for CPUs: OpenVINO, with several pictures in flight. The only import of openvino."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino.preprocess import ColorFormat, PrePostProcessor

from batch_job.candidates import Candidates, Keep
from batch_job.detector import Tag
from batch_job.errors import ModelUntrusted, OptionUnsuitable
from batch_job.letterbox import Letterbox, Shape
from batch_job.tasks import candidates_of, fit_of, require_rows
from batch_job.values import Image
from contract.manifest import ModelEntry


class OpenVinoDetector:
    """A detection network in OpenVINO's format (`.xml` and `.bin`), compiled for one input shape."""

    def __init__(
        self, entry: Path, model: ModelEntry, *, frame: Shape, image_size: int | None, precision: str
    ) -> None:
        """`frame` is the shape most frames will have: a network with a free input shape is compiled to fit it.

        `precision` "f32" gives the same numbers on every CPU; "native" leaves the choice to OpenVINO, which takes
        bfloat16 where the CPU has it. Raises ModelUntrusted or OptionUnsuitable.
        """
        core = openvino.Core()
        try:
            network = core.read_model(entry)
        except RuntimeError as exc:
            raise ModelUntrusted(f"{model.name} cannot be opened by OpenVINO") from exc
        self._model = model
        self._fit = fit_of(model)
        self._frame = frame
        self._image_size = image_size or max(model.input_size)
        self._canvas = self._canvas_of(network, asked=image_size)
        options: dict[str, Any] = {"PERFORMANCE_HINT": "THROUGHPUT"}
        if precision == "f32":
            options["INFERENCE_PRECISION_HINT"] = "f32"
        compiled = core.compile_model(_taking_pictures(network, self._canvas), "CPU", options)
        rows = [output.partial_shape[1] for output in compiled.outputs]
        require_rows(model, [row.get_length() if row.is_static else -1 for row in rows])
        # One more than the streams, so that none is idle while this process reads a result.
        in_flight = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")) + 1
        self._requests = [compiled.create_infer_request() for _ in range(in_flight)]

    @property
    def capacity(self) -> int:
        return len(self._requests)

    def letterbox_for(self, frame: Shape) -> Letterbox:
        if frame == self._frame:
            rectangle = self._fit.rectangle(frame, image_size=self._image_size, stride=self._model.stride)
            if rectangle.canvas == self._canvas:
                return rectangle
        return self._fit.inside(frame, self._canvas)

    def prepare(self, image: Image, letterbox: Letterbox) -> Image:
        return letterbox.place(image)

    def detect(self, pictures: Iterator[tuple[Tag, Image]], keep: Keep) -> Iterator[tuple[Tag, Candidates]]:
        idle = deque(self._requests)
        running: deque[tuple[Tag, Any, Image]] = deque()
        try:
            for tag, picture in pictures:
                request = idle.popleft()
                # Shared, not copied, and the tensor does not keep the picture's memory alive: `running` does.
                request.set_input_tensor(openvino.Tensor(picture[np.newaxis], shared_memory=True))
                request.start_async()
                running.append((tag, request, picture))
                if not idle:
                    yield self._oldest(running, idle, keep)
            while running:
                yield self._oldest(running, idle, keep)
        finally:
            for _, request, _ in running:
                request.wait()

    def close(self) -> None:
        self._requests.clear()

    def _oldest(
        self, running: deque[tuple[Tag, Any, Image]], idle: deque[Any], keep: Keep
    ) -> tuple[Tag, Candidates]:
        tag, request, _picture = running.popleft()
        request.wait()
        found = candidates_of(self._model, [output.data[0] for output in request.output_tensors], keep)
        idle.append(request)
        return tag, found

    def _canvas_of(self, network: Any, *, asked: int | None) -> Shape:
        shape = network.input(0).partial_shape  # N, 3, height, width
        if shape[2].is_static and shape[3].is_static:
            own = shape[2].get_length(), shape[3].get_length()
            if asked is not None and asked != max(own):
                raise OptionUnsuitable(f"image_size {asked} is asked for, and the model only works at {max(own)}")
            return own
        return self._fit.rectangle(self._frame, image_size=self._image_size, stride=self._model.stride).canvas


def _taking_pictures(network: Any, canvas: Shape) -> Any:
    """The network with conversion to float, division by 255, BGR to RGB and the transposition built into it."""
    steps = PrePostProcessor(network)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC")).set_color_format(
        ColorFormat.BGR
    )
    steps.input().preprocess().convert_element_type(openvino.Type.f32).convert_color(ColorFormat.RGB).scale(255.0)
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    built = steps.build()
    built.reshape([1, *canvas, 3])
    return built
