"""Polls that no thread takes part in: nobody sees a difference, and what they may not answer a thread does."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from django.http import HttpResponse
from django.utils import timezone

from backend.accounts import throttling
from backend.accounts.leases import Leases
from backend.accounts.models import ApiKey, User
from backend.accounts.scopes import ALL, Scope
from backend.accounts.services import create_api_key
from backend.config.brief import BriefHandler
from backend.videos import poll_lane
from backend.videos.models import Analysis
from backend.videos.poll_lane import CONNECTIONS, MOST, PollLane
from tests.backend.making import DECODE_REPORT, SUMMARY, make_analysis
from tests.backend.serving import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

AGE = timedelta(days=10_000)  # a window that does not end while a test runs


class Asking:
    """An event loop with a lane, as of a web process, and the threads beside it."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._runner = asyncio.Runner()
        self.handler = BriefHandler(threads=1)
        self.lane = self._runner.run(self._made())

    async def _made(self) -> PollLane:
        return PollLane()

    def scope(self, analysis_id: Any, *, method: str = "GET", **headers: str) -> dict[str, Any]:
        given = {"Host": "localhost", "Authorization": f"Api-Key {self.key}", **headers}
        path = f"/api/analyses/{analysis_id}"
        return {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        }

    def in_lane(self, analysis_id: Any, **given: str) -> HttpResponse | None:
        return self._runner.run(self.lane.answer(self.scope(analysis_id, **given)))

    def many_in_lane(self, analysis_id: Any, number: int) -> list[HttpResponse | None]:
        async def all_at_once() -> list[HttpResponse | None]:
            return await asyncio.gather(*(self.lane.answer(self.scope(analysis_id)) for _ in range(number)))

        return self._runner.run(all_at_once())

    def in_thread(self, analysis_id: Any, **given: str) -> HttpResponse:
        return self._runner.run(self.handler.answer(self.scope(analysis_id, **given)))

    def close(self) -> None:
        for kept in self.lane._idle:
            self._runner.run(kept.close())
        self._runner.close()


@pytest.fixture
def asking(owner: User, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(throttling, "LEASES", Leases())  # of a process that has just started
    monkeypatch.setattr(throttling, "WINDOW", AGE)
    monkeypatch.setattr(poll_lane, "WAIT_SECONDS", 90.0)  # a busy machine may stand still for a while
    made = Asking(create_api_key(user=owner, name="test", scopes=ALL).key)
    yield made
    made.close()


@pytest.fixture
def analysis(owner: User) -> Analysis:
    return make_analysis(owner)


@pytest.fixture
def asked_before(asking: Asking, analysis: Analysis) -> None:
    """The key's use is noted, and the process has requests to hand out."""
    assert asking.in_thread(analysis.pk).status_code == 200


def told(answer: HttpResponse | None) -> tuple[int, bytes, dict[str, str]]:
    """All of an answer but what changes with each request."""
    assert answer is not None
    return answer.status_code, answer.content, {k: v for k, v in answer.items() if k != "RateLimit"}


def lane_connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'framebatch polls'")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "queued"},
        {"status": "submitted", "batch_state": "RUNNABLE", "batch_reason": "CAPACITY:"},
        {"status": "running", "stage": "analysing", "frames_done": 9, "frames_total": 90},
        {"status": "succeeded", "summary": SUMMARY, "decode_report": DECODE_REPORT, "model": "\u2028ü"},
        {"status": "failed", "error_code": "video_unreadable", "error_message": "No.", "error_retryable": False},
    ],
    ids=lambda columns: columns["status"],
)
def test_answer_is_that_of_a_thread(asking: Asking, owner: User, columns: Any):
    before = timezone.now() - timedelta(hours=1)
    analysis = make_analysis(owner, **columns, submitted_at=before, started_at=before, finished_at=before)
    asking.in_thread(analysis.pk)
    assert told(asking.in_lane(analysis.pk)) == told(asking.in_thread(analysis.pk))
    etag = asking.in_thread(analysis.pk)["ETag"]
    unchanged = asking.in_lane(analysis.pk, **{"If-None-Match": etag})
    assert told(unchanged) == told(asking.in_thread(analysis.pk, **{"If-None-Match": etag}))
    assert told(unchanged)[:2] == (304, b"")


@pytest.mark.usefixtures("asked_before")
def test_times_are_those_of_a_thread_whatever_the_servers_zone(asking: Asking, analysis: Analysis):
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET timezone TO 'Asia/Kolkata'")
    try:
        assert told(asking.in_lane(analysis.pk)) == told(asking.in_thread(analysis.pk))
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} RESET timezone")


@pytest.mark.usefixtures("asked_before")
def test_each_poll_counts_once_wherever_it_is_answered(asking: Asking, analysis: Analysis):
    answers = [asking.in_lane(analysis.pk), asking.in_thread(analysis.pk), asking.in_lane(analysis.pk)]
    lefts = [int(answer["RateLimit"].partition("r=")[2].partition(";")[0]) for answer in answers if answer]
    assert lefts == [lefts[0], lefts[0] - 1, lefts[0] - 2]


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"last_used_at": None}, id="whose use is to be noted"),
        pytest.param({"revoked_at": timezone.now()}, id="revoked"),
        pytest.param({"expires_at": timezone.now() - timedelta(seconds=1)}, id="expired"),
        pytest.param({"digest": "0" * 64}, id="another with the prefix"),
        pytest.param({"scopes": [scope for scope in ALL if scope != Scope.ANALYSES_READ]}, id="without the scope"),
    ],
)
@pytest.mark.usefixtures("asked_before")
def test_key_that_more_is_to_be_done_about_is_left_to_a_thread(asking: Asking, analysis: Analysis, columns: Any):
    assert asking.in_lane(analysis.pk) is not None
    ApiKey.objects.update(**columns)
    assert asking.in_lane(analysis.pk) is None


@pytest.mark.usefixtures("asked_before")
def test_use_of_a_key_is_noted_once_a_minute(asking: Asking, analysis: Analysis):
    long_ago = timezone.now() - timedelta(minutes=2)
    ApiKey.objects.update(last_used_at=long_ago)
    assert asking.in_lane(analysis.pk) is None
    asking.in_thread(analysis.pk)
    assert ApiKey.objects.get().last_used_at > long_ago
    assert asking.in_lane(analysis.pk) is not None


def test_count_that_is_used_up_is_left_to_a_thread(
    asking: Asking, analysis: Analysis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(throttling, "BLOCKS", 60_000)  # each request takes one from the database
    asking.in_thread(analysis.pk)
    assert asking.in_lane(analysis.pk) is None
    assert asking.in_thread(analysis.pk).status_code == 200


@pytest.mark.usefixtures("asked_before")
@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"Accept": "text/html"}, id="another form"),
        pytest.param({"method": "HEAD"}, id="another method"),
        pytest.param({"Authorization": ""}, id="no key"),
        pytest.param({"Authorization": "Api-Key fb_ü"}, id="what is no key"),
        pytest.param({"Authorization": f"Api-Key fb_{'0' * 12}_{'a' * 43}"}, id="an unknown key"),
    ],
)
def test_other_requests_are_left_to_a_thread(asking: Asking, analysis: Analysis, given: Any):
    assert asking.in_lane(analysis.pk, **given) is None


@pytest.mark.usefixtures("asked_before")
@pytest.mark.parametrize("path", ["{}/", "{}/events", "{}\n", "x{}", "{}%00", ""])
def test_other_addresses_are_left_to_a_thread(asking: Asking, analysis: Analysis, path: str):
    assert asking.in_lane(path.format(analysis.pk)) is None


@pytest.mark.usefixtures("asked_before")
def test_fault_of_ours_is_left_to_a_thread_and_told(
    asking: Asking, analysis: Analysis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(request: Any) -> Any:
        raise ValueError("broken")

    monkeypatch.setattr(asking.lane, "_respond", broken)
    assert asking.in_lane(analysis.pk) is None
    assert "broken" in caplog.text


@pytest.mark.usefixtures("asked_before")
def test_connection_is_waited_for_no_longer_than_a_while(
    asking: Asking, analysis: Analysis, monkeypatch: pytest.MonkeyPatch
):
    """As where each poll takes the database long."""
    monkeypatch.setattr(poll_lane, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(asking.lane, "_free", asyncio.Semaphore(0))
    assert asking.many_in_lane(analysis.pk, 5) == [None] * 5


@pytest.mark.usefixtures("asked_before")
def test_foreign_and_deleted_analyses_are_left_to_a_thread(asking: Asking, analysis: Analysis):
    foreign = make_analysis(User.objects.create(username="stranger"))
    assert asking.in_lane(foreign.pk) is asking.in_lane(uuid4()) is None
    Analysis.objects.filter(pk=analysis.pk).update(deleted_at=timezone.now())
    assert asking.in_lane(analysis.pk) is None


@pytest.mark.usefixtures("asked_before")
def test_host_that_is_not_ours_is_left_to_a_thread(asking: Asking, analysis: Analysis):
    assert asking.in_lane(analysis.pk, Host="evil.example") is None
    assert asking.in_thread(analysis.pk, Host="evil.example").status_code == 400


@pytest.mark.usefixtures("asked_before")
def test_any_number_of_polls_shares_a_few_connections(asking: Asking, analysis: Analysis):
    answers = asking.many_in_lane(analysis.pk, MOST)
    assert [answer.status_code for answer in answers if answer] == [200] * MOST
    assert 1 <= lane_connections() <= CONNECTIONS
    beyond = asking.many_in_lane(analysis.pk, MOST + 5)
    assert beyond.count(None) == 5


@pytest.mark.usefixtures("asked_before")
def test_connection_that_the_server_ends_is_made_anew(asking: Asking, analysis: Analysis):
    assert asking.in_lane(analysis.pk) is not None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
            " WHERE application_name = 'framebatch polls'"
        )
    assert asking.in_lane(analysis.pk) is not None


@pytest.mark.usefixtures("asked_before")
def test_poll_is_left_to_a_thread_while_the_database_is_away(
    asking: Asking, analysis: Analysis, monkeypatch: pytest.MonkeyPatch
):
    async def away() -> Any:
        raise psycopg.OperationalError("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(poll_lane, "_connected", away)
        assert asking.many_in_lane(analysis.pk, 3 * CONNECTIONS) == [None] * (3 * CONNECTIONS)
    wait_until(lambda: asking.in_lane(analysis.pk) is not None)


@pytest.mark.usefixtures("asked_before")
def test_database_that_does_not_answer_is_waited_for_once(
    asking: Asking, analysis: Analysis, monkeypatch: pytest.MonkeyPatch
):
    tries = []

    async def silence() -> Any:
        tries.append(time.monotonic())
        await asyncio.sleep(0.2)
        raise psycopg.errors.ConnectionTimeout("nothing came")

    monkeypatch.setattr(poll_lane, "_connected", silence)
    assert asking.many_in_lane(analysis.pk, MOST) == [None] * MOST
    assert len(tries) == CONNECTIONS


@pytest.mark.usefixtures("asked_before")
def test_statement_that_fails_costs_its_connection_and_no_poll(asking: Asking, analysis: Analysis):
    """As after a migration, when PostgreSQL refuses the plan that a connection keeps."""
    assert asking.in_lane(analysis.pk) is not None
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE videos_analysis ALTER COLUMN model TYPE varchar(99)")
    try:
        assert asking.in_lane(analysis.pk) is None
        assert asking.in_thread(analysis.pk).status_code == 200
        assert asking.in_lane(analysis.pk) is not None
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE videos_analysis ALTER COLUMN model TYPE text")
