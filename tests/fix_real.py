"""Real clips and weights, which are not part of the project, and libraries that a quick check may go without.

Where they are missing a test is skipped with the reason; with CI=true it fails instead.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def videos() -> Path:
    """The folder that FRAMEBATCH_VIDEOS names."""
    return _folder("FRAMEBATCH_VIDEOS")


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder that FRAMEBATCH_MODELS names."""
    return _folder("FRAMEBATCH_MODELS")


@pytest.fixture(scope="session")
def checkpoint(models: Path, ultralytics_installed: None) -> Path:
    """YOLOv8n with COCO weights, as ultralytics saves it."""
    return models / "yolov8n_coco.pt"


@pytest.fixture(scope="session")
def ultralytics_installed() -> None:
    for name in ("torch", "ultralytics"):
        if importlib.util.find_spec(name) is None:
            _missing(f"{name} is not installed; `make test` installs it")


@pytest.fixture(scope="session")
def gpu(ultralytics_installed: None) -> Any:
    """The GPU as torch names it. FRAMEBATCH_EXPECT_GPU=1 says that there must be one."""
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    if os.environ.get("FRAMEBATCH_EXPECT_GPU") == "1":
        pytest.fail("FRAMEBATCH_EXPECT_GPU=1, and torch finds no GPU")
    pytest.skip("torch finds no GPU")


def _folder(variable: str) -> Path:
    folder = Path(os.environ.get(variable, ""))
    if not os.environ.get(variable) or not folder.is_dir():
        _missing(f"{variable} names no folder")
    return folder


def _missing(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
