"""What other parts read of a machine image: two parameters in Systems Manager for each ABI and family of machines.

`/framebatch/runtime/<abi>/<family>/image-id` and `.../manifest`. Code of an ABI for which there are none cannot be
deployed. The family is the image's own tag, so that an image of one takes no other's place.
"""

import json
from typing import Any

from contract.manifest import RuntimeManifest
from packer.packer_py_wrapper.errors import PackerError
from packer.packer_py_wrapper.images import Image

PREFIX = "/framebatch/runtime"
_BYTES_AT_MOST = 8192  # of an advanced parameter


def parameters_of(image: Image, manifest: RuntimeManifest) -> dict[str, str]:
    """Names and values, in the order in which they are written: the image's id last, as readers start from it.

    Raises PackerError.
    """
    text = json.dumps(json.loads(manifest.to_json()), separators=(",", ":"))
    if len(text.encode()) > _BYTES_AT_MOST:
        raise PackerError(
            f"The manifest takes {len(text.encode())} bytes, and a parameter holds {_BYTES_AT_MOST}; "
            "an image with fewer models fits."
        )
    return {f"{_path(image)}/manifest": text, f"{_path(image)}/image-id": image.id}


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
