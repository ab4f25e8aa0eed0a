import os
from pathlib import Path
from typing import Any

import pytest

from tests.batch_job.job import Bench
from tests.batch_job.media import marching, write_video
from tests.batch_job.models import manifest_of, save_colour_network

SHARED = Path(__file__).parents[3] / "shared"


def _folder(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable) or SHARED / default)
    if not folder.is_dir():
        reason = f"{variable} names no folder with real {default}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def videos() -> Path:
    """Real clips, which are not part of the project."""
    return _folder("FRAMEBATCH_VIDEOS", "videos")


@pytest.fixture(scope="session")
def models() -> Path:
    """Real weights, which are not part of the project."""
    return _folder("FRAMEBATCH_MODELS", "models")


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest that names the colour network."""
    folder = tmp_path_factory.mktemp("runtime")
    path = folder / "manifest.json"
    path.write_text(manifest_of(save_colour_network(folder / "models")).to_json())
    return path


@pytest.fixture(scope="session")
def march(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 frames of moving squares."""
    return write_video(tmp_path_factory.mktemp("march") / "march.mp4", marching(96))


@pytest.fixture
def bench(database_url: str, media_bucket: str, s3_client: Any, colours: Path, tmp_path: Path) -> Bench:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Bench(database_url=database_url, bucket=media_bucket, s3=s3_client, manifest=colours, scratch=scratch)
