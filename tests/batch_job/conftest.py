import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from batch_job.database import Database
from contract.manifest import TASKS
from contract.messages import AnalysisRequest
from tests.batch_job.job import Bench, add_analysis
from tests.batch_job.media import marching, write_video
from tests.batch_job.models import manifest_of, save_colour_network


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A job that ran in this process wrote its log to what was stderr then; what is logged later is not for it."""
    logger = logging.getLogger("batch_job")
    before = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.level, logger.propagate = before


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest that names the colour networks: `colours`, and `colours-TASK` for the other tasks."""
    folder = tmp_path_factory.mktemp("runtime")
    path = folder / "manifest.json"
    networks = [save_colour_network(folder / "models", task=task) for task in TASKS]
    path.write_text(manifest_of(*networks).to_json())
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


@pytest.fixture
def analysis_id(database_url: str) -> UUID:
    request = AnalysisRequest(analysis_id=uuid4(), video_key="uploads/1/x", model="colours")
    add_analysis(database_url, request)
    return request.analysis_id


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()
