"""A TensorRT engine file as ultralytics exports it, built on the machine image. The only import of tensorrt.

Written against the Python API of TensorRT 10 (named tensors, `execute_async_v3`), which 11 keeps.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from batch_job.errors import ModelUntrusted, OutOfMemory, RuntimeMismatch
from batch_job.gpu_memory import require_room
from batch_job.letterbox import Shape
from contract.manifest import ModelEntry


def read_engine(entry: Path, model: ModelEntry) -> bytes:
    """The serialised engine, without the header that ultralytics writes before it.

    The header is the length of a JSON document in four bytes, little-endian, and the document (`engine_header` in
    ultralytics/nn/backends/base.py). Raises ModelUntrusted where it is not about the manifest's model.
    """
    content = entry.read_bytes()
    length = int.from_bytes(content[:4], "little")
    try:
        header = json.loads(content[4 : 4 + length])
    except ValueError as exc:
        raise ModelUntrusted(f"{entry.name} of model {model.name} has no header of ultralytics") from exc
    names = header.get("names") if isinstance(header, Mapping) else None
    if not isinstance(names, Mapping) or tuple(names.values()) != model.classes:
        raise ModelUntrusted(f"{model.name} knows other classes than the manifest says")
    return content[4 + length :]


class TensorRtNetwork:
    """In the precision and of the shapes that the file was built with; outputs in the order of their names."""

    def __init__(self, entry: Path, model: ModelEntry, *, device: Any) -> None:
        """Raises ModelUntrusted, RuntimeMismatch or OutOfMemory."""
        import tensorrt

        serialised = read_engine(entry, model)
        require_room(model, weights=entry, free=torch.cuda.mem_get_info(device)[0])
        self.device = device
        with torch.cuda.device(device):
            self._runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.WARNING))
            self._engine = self._runtime.deserialize_cuda_engine(serialised)
            if self._engine is None:
                raise RuntimeMismatch(
                    f"TensorRT {tensorrt.__version__} cannot open the engine of model {model.name}, "
                    "which was built for another GPU or version"
                )
            self._context = self._engine.create_execution_context()
        if self._context is None:
            raise OutOfMemory(f"the TensorRT engine of model {model.name} does not fit on the GPU")
        tensors = [self._engine.get_tensor_name(number) for number in range(self._engine.num_io_tensors)]
        inputs = [n for n in tensors if self._engine.get_tensor_mode(n) == tensorrt.TensorIOMode.INPUT]
        outputs = [name for name in tensors if name not in inputs]
        if len(inputs) != 1:
            raise ModelUntrusted(f"{model.name} has {len(inputs)} inputs, not one")
        self._input, self._outputs = inputs[0], sorted(outputs)
        types = {tensorrt.DataType.FLOAT: torch.float32, tensorrt.DataType.HALF: torch.float16}
        self.dtype = types[self._engine.get_tensor_dtype(self._input)]
        self._types = [types[self._engine.get_tensor_dtype(name)] for name in self._outputs]
        least, _, most = self._engine.get_tensor_profile_shape(self._input, 0)
        self.least, self.most = int(least[0]), int(most[0])
        shape = tuple(self._engine.get_tensor_shape(self._input))
        self.fixed: Shape | None = None if -1 in shape[2:] else (shape[2], shape[3])

    def __call__(self, pixels: Tensor) -> list[Tensor]:
        pixels = pixels.contiguous()
        if not self._context.set_input_shape(self._input, tuple(pixels.shape)):
            raise RuntimeMismatch(f"the TensorRT engine takes no input of shape {tuple(pixels.shape)}")
        self._context.set_tensor_address(self._input, pixels.data_ptr())
        found = []
        for name, dtype in zip(self._outputs, self._types, strict=True):
            shape = tuple(self._context.get_tensor_shape(name))
            found.append(torch.empty(shape, dtype=dtype, device=self.device))
            self._context.set_tensor_address(name, found[-1].data_ptr())
        # On the stream on which torch frees and reuses the memory of all tensors.
        if not self._context.execute_async_v3(torch.cuda.current_stream(self.device).cuda_stream):
            raise RuntimeError("TensorRT refused to run the network")
        return found
