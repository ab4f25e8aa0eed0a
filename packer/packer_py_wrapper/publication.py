"""What other parts read of a machine image: two parameters in Systems Manager for each ABI and family of machines.

`/framebatch/runtime/<abi>/<family>/image-id` and `.../manifest`. Code of an ABI for which there are none cannot be
deployed. The family is the image's own tag, so that an image of one takes no other's place.
"""

import dataclasses
import json
from typing import Any

from contract import model_lock
from contract.manifest import FORMATS, RUNTIME_ABI, ModelFormat, RuntimeManifest
from packer.packer_py_wrapper.errors import PackerError
from packer.packer_py_wrapper.images import Image

PREFIX = "/framebatch/runtime"
_BYTES_AT_MOST = 8192  # of an advanced parameter


def parameters_of(image: Image, manifest: RuntimeManifest) -> dict[str, str]:
    """Names and values, in the order in which they are written: the image's id last, as readers start from it.

    Raises PackerError.
    """
    return {f"{_path(image)}/manifest": _value(manifest), f"{_path(image)}/image-id": image.id}


def require_room(lock: str) -> None:
    """Raises PackerError where a manifest of the models of this lock may not fit, which is known before a bake.

    As a bake adds them, each model that comes as ONNX is taken to have a TensorRT engine.
    """
    models = model_lock.locked_models(lock, {name: f"/opt/models/{name}" for name in model_lock.sources(lock)})
    engine = ModelFormat(entry="model.engine", files={"model.engine": "0" * 64}, compute_capability="10.0")
    with_engines = (
        dataclasses.replace(model, formats={**model.formats, "tensorrt": engine})
        if "onnx" in model.formats
        else model
        for model in models
    )
    manifest = RuntimeManifest(
        abi=RUNTIME_ABI,
        python="3.11.11",
        torch="2.13.0+cu130",
        cuda="13.0",
        driver_floor="580.65.06",
        engines=FORMATS,
        models=tuple(with_engines),
    )
    _value(manifest)


def _value(manifest: RuntimeManifest) -> str:
    """Such as people can read, where there is room for it."""
    text = json.dumps(json.loads(manifest.to_json()), separators=(",", ":"))
    if len(text.encode()) > _BYTES_AT_MOST:
        text = manifest.packed()
    if len(text) > _BYTES_AT_MOST:
        raise PackerError(
            f"The manifest takes {len(text)} bytes, packed, and a parameter holds {_BYTES_AT_MOST}; "
            "an image with fewer models fits."
        )
    return text


def is_published(image: Image, parameters: dict[str, str]) -> bool:
    return parameters.get(f"{_path(image)}/image-id") == image.id


def published(ssm: Any) -> dict[str, str]:
    """All parameters of ours, by name."""
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=PREFIX, Recursive=True)
    return {each["Name"]: each["Value"] for page in pages for each in page["Parameters"]}


def published_images(parameters: dict[str, str]) -> set[str]:
    return {value for name, value in parameters.items() if name.endswith("/image-id")}


def write(ssm: Any, name: str, value: str) -> None:
    ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True, Tier="Intelligent-Tiering")


def _path(image: Image) -> str:
    return f"{PREFIX}/{image.abi}/{image.family}"
