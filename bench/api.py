"""The API against its bars: `python -m bench.api`, or `make bench-api`; writes bench/out/api.json.

Against a whole local stack: web server, worker, the Lambda's poller, and the stand-ins for SQS and AWS Batch, all
on this machine. One job that sleeps holds all of Batch's processors, so that no analysis takes those on which the
API is measured; on AWS jobs run on machines of their own.
"""

import argparse
import asyncio
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
import uvloop

from bench.lab import OUT, Row, report, say
from bench.live import streams_held
from bench.load import Answers, around, closed_loop, open_loop, request
from client import Client
from demo.video import make_demo_video
from local import aws
from local.ports import HOST, listening_on
from local.services import Service
from local.stack import Stack, StackSettings, running_stack

USERS = 100
POSTS_PER_SECOND, POLLS_PER_SECOND = 50.0, 200.0
PAUSE_SECONDS = 2.0  # between a user's polls while others ask: what Retry-After says of an analysis that waits
CLIENTS = 16  # that ask as fast as they can


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    key: str
    video: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measure")
    parser.add_argument("--streams", type=int, default=2000, help="of live events that one web process is to hold")
    given = parser.parse_args()
    folder = OUT / "api-stack"
    shutil.rmtree(folder, ignore_errors=True)
    with running_stack(StackSettings(folder=folder, port=0), say=say) as stack:
        users = _users(stack, folder)
        _hold_machines(stack)
        rows = list(_measured(stack, users, given.seconds))
    return report("api", rows + streams_held(given.streams))


def _measured(stack: Stack, users: list[User], seconds: float) -> Iterator[Row]:
    port = stack.port
    analyses = [_post_one(stack, user) for user in users]
    polls = [
        request("GET", f"/api/analyses/{analysis}", key=user.key)
        for analysis, user in zip(analyses, users, strict=True)
    ]
    posts = [
        request("POST", "/api/analyses", key=user.key, body=json.dumps({"video": user.video}).encode())
        for user in users
    ]
    uvloop.run(_asked(port, polls, posts, 3.0))  # the first requests find nothing ready
    say(f"{POSTS_PER_SECOND:g} requests for an analysis a second while {USERS} users poll")
    yield from _rows("POST an analysis at 50/s", uvloop.run(_asked(port, polls, posts, seconds)), 202, most_ms=100)
    say(f"{USERS} users poll {POLLS_PER_SECOND:g} times a second")
    loop = open_loop(port, around(polls), rate=POLLS_PER_SECOND, seconds=seconds, users=USERS)
    yield from _rows("status at 200/s", uvloop.run(loop), 200, most_ms=50)
    yield Row(name="load average of the machine", value=round(os.getloadavg()[0], 1), unit="")
    say(f"{CLIENTS} users ask as fast as they can, in turns of the API and of a bare view")
    document = httpx.get(
        f"{stack.url}/api/analyses/{analyses[0]}", headers={"Authorization": f"Api-Key {users[0].key}"}
    ).text
    with _one_process(stack, "one") as (one, one_port), _bare_process(stack, document) as (bare, bare_port):
        nothing = request("GET", "/bare")
        turns = [  # so that what else the machine does meets both
            (
                _as_fast_as_it_goes(one, one_port, lambda n: polls[n], seconds / 6),
                _as_fast_as_it_goes(bare, bare_port, lambda _: nothing, seconds / 6),
            )
            for _ in range(3)
        ]
    (rate, processor), (bare_rate, bare_processor) = (
        tuple(map(median, zip(*turn, strict=True))) for turn in zip(*turns, strict=True)
    )
    yield Row(name="status, as fast as it goes", value=round(rate, 1), unit="/s")
    yield Row(name="a bare view on the same server", value=round(bare_rate, 1), unit="/s")
    yield Row(name="status ÷ bare view", value=round(rate / bare_rate, 3), unit="×", at_least=0.5)
    yield Row(name="server's processor time of a status", value=round(1000 * processor, 2), unit="ms")
    yield Row(name="server's processor time of a bare view", value=round(1000 * bare_processor, 2), unit="ms")


def _as_fast_as_it_goes(
    server: Service, port: int, make: Callable[[int], bytes], seconds: float
) -> tuple[float, float]:
    """Answers in a second, and the server's processor seconds for each; other work on the machine hardly moves
    the second one.
    """
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    before = process.cpu_times()
    rate = uvloop.run(closed_loop(port, make, seconds=seconds, users=CLIENTS))
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return rate, used / (rate * seconds)


async def _asked(port: int, polls: list[bytes], posts: list[bytes], seconds: float) -> Answers:
    posted, _ = await asyncio.gather(
        open_loop(port, around(posts), rate=POSTS_PER_SECOND, seconds=seconds, users=USERS),
        open_loop(port, around(polls), rate=USERS / PAUSE_SECONDS, seconds=seconds, users=USERS),
    )
    return posted


def _rows(name: str, answers: Answers, wanted: int, *, most_ms: float) -> Iterator[Row]:
    others = sum(count for status, count in answers.statuses.items() if status != wanted)
    yield Row(name=f"{name}, p50", value=round(1000 * answers.quantile(0.5), 1), unit="ms")
    yield Row(name=f"{name}, p99", value=round(1000 * answers.quantile(0.99), 1), unit="ms", at_most=most_ms)
    yield Row(name=f"{name}, answers other than {wanted}", value=others, unit="", at_most=0)


def _users(stack: Stack, folder: Path) -> list[User]:
    """Of the plan with the highest limits, each with a video: copies of the row of one that was uploaded."""
    clip = make_demo_video(folder / "clip.mp4", seconds=10, seed=90_004).path
    with Client(stack.url, stack.api_key) as client:
        uploaded = client.upload(clip)["id"]
    made = []
    with psycopg.connect(stack.database_url) as connection:
        columns = [
            name
            for (name,) in connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = 'videos_video'"
                " AND column_name NOT IN ('id', 'owner_id')"
            )
        ]
        listed = ", ".join(columns)
        for number in range(USERS):
            row = connection.execute(
                "INSERT INTO accounts_user (username, password, is_superuser, is_staff, is_active, first_name,"
                " last_name, email, date_joined, plan)"
                " VALUES (%s, '', false, false, true, '', '', '', now(), 'enterprise') RETURNING id",
                [f"bench-{number}"],
            ).fetchone()
            assert row is not None
            prefix, video = secrets.token_hex(6), str(uuid4())
            key = f"fb_{prefix}_{secrets.token_urlsafe(32)}"
            connection.execute(
                "INSERT INTO accounts_apikey (user_id, name, prefix, digest, scopes)"
                " SELECT %s, 'bench', %s, %s, scopes FROM accounts_apikey LIMIT 1",
                [row[0], prefix, hashlib.sha256(key.encode()).hexdigest()],
            )
            copy = f"INSERT INTO videos_video (id, owner_id, {listed}) SELECT %s, %s, {listed} FROM videos_video"
            connection.execute(f"{copy} WHERE id = %s".encode(), [video, row[0], uploaded])
            made.append(User(key=key, video=video))
    return made


def _post_one(stack: Stack, user: User) -> str:
    headers = {"Authorization": f"Api-Key {user.key}"}
    answer = httpx.post(f"{stack.url}/api/analyses", json={"video": user.video}, headers=headers)
    answer.raise_for_status()
    found: str = answer.json()["id"]
    return found


def _hold_machines(stack: Stack) -> None:
    session = aws.session_for(stack.aws_environment)
    batch: Any = session.client("batch", endpoint_url=stack.aws_environment["AWS_ENDPOINT_URL_BATCH"])
    (definition,) = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    batch.submit_job(
        jobName="holds-the-machines",
        jobQueue=aws.ENTERPRISE_QUEUE,
        jobDefinition=definition["jobDefinitionArn"],
        shareIdentifier="enterprise",
        containerOverrides={"command": ["python", "-c", "import time; time.sleep(3600)"]},
    )


def _bare_process(stack: Stack, document: str) -> AbstractContextManager[tuple[Service, int]]:
    return _one_process(stack, "bare", DJANGO_SETTINGS_MODULE="bench.bare_settings", BARE_DOCUMENT=document)


@contextmanager
def _one_process(stack: Stack, name: str, **environment: str) -> Iterator[tuple[Service, int]]:
    """A web process on a port of its own: two that share the cores with PostgreSQL would compare the machines."""
    web = stack.services["web"]
    with listening_on(0) as listening:
        port: int = listening.getsockname()[1]
        service = Service(
            name=name,
            argv=[sys.executable, "-m", "local.web", "--fd", str(listening.fileno())],
            environment={**web.environment, **environment},
            log_folder=web.log_folder,
            sockets=[listening],
        )
        service.start()
        try:
            service.wait_until(lambda: _answers(f"http://{HOST}:{port}/healthz"))
            yield service, port
        finally:
            service.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    sys.exit(main())
