import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from filelock import FileLock

from batch_job.database import Database
from contract.manifest import TASKS
from contract.messages import AnalysisRequest
from tests.batch_job.job import ROOT, Bench, add_analysis
from tests.batch_job.media import marching, write_video
from tests.batch_job.models import manifest_of, save_colour_network
from tests.fix_postgres import RUN_FOLDER_VARIABLE


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


@pytest.fixture(scope="session")
def ncnn_export(checkpoint: Path) -> Path:
    """The folder of the checkpoint as it is exported for a machine image; once for all workers of a run."""
    root = Path(os.environ[RUN_FOLDER_VARIABLE]) / "ncnn"
    with FileLock(root.with_suffix(".lock")):
        if not root.exists():
            part = root.with_suffix(".part")
            command = [sys.executable, "-m", "batch_job.ncnn_export", str(checkpoint), str(part)]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            part.rename(root)
    return root


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
