"""The client does what a careful program would: it asks again where that is harmless, and says what went wrong."""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from client import ApiError, Client, StorageRefused, Unreachable, VideoRefused, WaitTimeout
from tools.client_models import PATH, models_of

ROOT = Path(__file__).parents[2]
ID = "85746feb-0676-489c-b7d2-c1e86a75a192"
Handler = Callable[[httpx.Request], httpx.Response]


class Script:
    """Answers one after the other; an exception is raised in place of an answer."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **given: Any) -> Client:
        transport = httpx.MockTransport(self)
        return Client("http://api.test", "fb_key", transport=transport, sleep=self.pauses.append, **given)


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    body = {"status": status, "code": code, "detail": "A sentence.", "errors": {"video": ["Another."]}}
    return httpx.Response(status, json=body, headers=headers)


def state(status: str, **headers: str) -> httpx.Response:
    return httpx.Response(200, json={"id": ID, "status": status}, headers=headers)


def test_key_goes_along_and_a_refusal_says_why():
    script = Script(problem(404, "video_not_found"))
    with script.client() as client, pytest.raises(ApiError) as refusal:
        client.video(ID)
    assert script.requests[0].headers["Authorization"] == "Bearer fb_key"
    assert (refusal.value.status, refusal.value.code) == (404, "video_not_found")
    assert str(refusal.value) == "A sentence. video: Another."
    assert script.pauses == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(problem(503, "database_unavailable", **{"Retry-After": "5"}), id="away"),
        pytest.param(problem(429, "throttled", **{"Retry-After": "5"}), id="too often"),
    ],
)
def test_what_passes_is_waited_for_as_long_as_the_server_says(answer: httpx.Response):
    script = Script(answer, state("queued"))
    assert script.client().analysis(ID)["status"] == "queued"
    assert script.pauses == [5]


def test_limit_of_a_plan_is_not_waited_for():
    """It does not pass by itself."""
    script = Script(problem(429, "too_many_analyses"))
    with pytest.raises(ApiError):
        script.client().request_analysis(ID)


def test_pauses_grow_while_nobody_answers_and_then_it_gives_up():
    script = Script(*[httpx.ConnectError("refused")] * 4)
    with pytest.raises(Unreachable, match="refused"):
        script.client(tries=4).analysis(ID)
    assert len(script.pauses) == 3
    assert all(0.25 * 2**n <= pause <= 0.5 * 2**n for n, pause in enumerate(script.pauses))


def test_request_that_is_sent_again_has_the_same_idempotency_key():
    script = Script(httpx.ReadTimeout("lost"), state("queued"), state("queued"))
    client = script.client()
    client.request_analysis(ID, model="shapes", options={"confidence": 0.4})
    client.request_analysis(ID)
    first, again, another = (request.headers["Idempotency-Key"] for request in script.requests)
    assert first == again != another
    assert json.loads(script.requests[0].content)["options"] == {"confidence": 0.4}


def test_what_was_deleted_by_a_try_without_an_answer_is_deleted():
    Script(httpx.ReadTimeout("lost"), problem(404, "not_found")).client().delete(ID)
    with pytest.raises(ApiError):
        Script(problem(404, "not_found")).client().delete(ID)


def test_waiting_asks_only_for_what_is_new_and_when_it_is_worth_while():
    script = Script(
        state("running", ETag='"a"', **{"Retry-After": "7"}),
        httpx.Response(304, headers={"ETag": '"a"', "Retry-After": "3"}),
        httpx.ConnectError("restarting"),
        state("succeeded", ETag='"b"'),
    )
    seen: list[str] = []
    done = script.client(tries=1).wait(ID, seen=lambda state: seen.append(state["status"]))
    assert done["status"] == "succeeded"
    assert [request.headers.get("If-None-Match") for request in script.requests] == [None, '"a"', '"a"', '"a"']
    assert script.pauses[:2] == [7, 3]
    assert seen[-1] == "succeeded"


def test_waiting_ends():
    with pytest.raises(WaitTimeout, match="is not over after 0 s"):
        Script(*[state("queued")] * 1000).client().wait(ID, seconds=0.01)


def test_lists_are_followed_to_their_end():
    script = Script(
        httpx.Response(200, json={"results": [{"ordinal": 0}], "next": "/api/x?cursor=abc"}),
        httpx.Response(200, json={"results": [{"ordinal": 1}], "next": None}),
    )
    boxes = list(script.client().detections(ID, class_=["car", "bus"], min_confidence=0.5))
    assert [box["ordinal"] for box in boxes] == [0, 1]
    assert script.requests[0].url.params.get_list("class") == ["car", "bus"]
    assert str(script.requests[1].url) == "http://api.test/api/x?cursor=abc"


def test_export_that_breaks_off_leaves_no_file(tmp_path: Path):
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"half"
            raise httpx.ReadError("gone")

    path = tmp_path / "found.csv"
    with pytest.raises(Unreachable):
        Script(httpx.Response(200, stream=Broken())).client().export(ID, "csv", path)
    assert not list(tmp_path.iterdir())
    Script(httpx.Response(200, content=b"whole")).client().export(ID, "csv", path)
    assert path.read_bytes() == b"whole"


class Storage:
    """The API's side of an upload, and a storage that refuses each URL in `faults` once."""

    def __init__(self, *, part_bytes: int, faults: set[str] | None = None, error: Any = None) -> None:
        self.part_bytes, self.faults, self.error = part_bytes, faults or set(), error
        self.bodies: dict[str, Any] = {}
        self.objects: dict[str, bytes] = {}
        self.waits = 2

    def __call__(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        if request.url.host == "storage.test":
            assert "Authorization" not in request.headers
            assert int(request.headers["Content-Length"]) == len(content)
            if request.url.path in self.faults:
                self.faults.remove(request.url.path)
                return httpx.Response(403, text="expired")
            self.objects[request.url.path] = content
            return httpx.Response(200)
        name = request.url.path.rpartition("/")[2]
        body = json.loads(content) if content else None
        self.bodies[name] = body
        return {"videos": self.start, "sign": self.sign, "finish": self.look, ID: self.look}[name](body)

    def start(self, body: Any) -> httpx.Response:
        cut = {"size_bytes": self.part_bytes, "count": -(-body["size_bytes"] // self.part_bytes)}
        more = {"parts": cut} if body["multipart"] else {"parts": None, "upload": signed("/whole")}
        return httpx.Response(201, json={**self.video(), "size_bytes": body["size_bytes"], **more})

    def sign(self, body: Any) -> httpx.Response:
        if not body:
            return httpx.Response(200, json={"upload": signed("/whole")})
        number = body["parts"][0]["number"]
        return httpx.Response(200, json={"parts": [{"number": number, **signed(f"/{number}")}]})

    def look(self, body: Any) -> httpx.Response:
        self.waits -= 1
        return httpx.Response(202 if self.waits else 200, json=self.video())

    def video(self) -> dict[str, Any]:
        links = {
            "self": f"/api/videos/{ID}",
            "sign": f"/api/videos/{ID}/sign",
            "finish": f"/api/videos/{ID}/finish",
        }
        return {"id": ID, "error": self.error, "links": links}

    def client(self) -> Client:
        return Client("http://api.test", "k", transport=httpx.MockTransport(self), sleep=lambda _: None)


def signed(path: str) -> dict[str, Any]:
    return {"method": "PUT", "url": f"http://storage.test{path}", "headers": {"Content-Type": "video/mp4"}}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(range(10)))
    return path


def test_small_file_goes_in_one_piece_with_its_checksum(clip: Path):
    storage, sent = Storage(part_bytes=4, faults={"/whole"}), []
    assert storage.client().upload(clip, sent=sent.append)["id"] == ID
    assert storage.objects == {"/whole": clip.read_bytes()}
    assert storage.bodies["videos"]["checksum"] == digest(clip.read_bytes())
    assert sent == [10]


def test_large_file_goes_in_parts_and_a_part_that_failed_is_signed_and_sent_again(clip: Path):
    storage, sent = Storage(part_bytes=4, faults={"/2"}), []
    storage.client().upload(clip, in_parts=True, sent=sent.append)
    assert storage.objects == {"/1": b"\0\1\2\3", "/2": b"\4\5\6\7", "/3": b"\10\11"}
    parts = b"".join(hashlib.sha256(storage.objects[f"/{n}"]).digest() for n in (1, 2, 3))
    assert storage.bodies["finish"]["checksum"] == digest(parts)
    assert sent == [4, 4, 2]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(httpx.ConnectError("no route"), id="a connection that is gone"),
        pytest.param(httpx.Response(503, text="<Code>SlowDown</Code>"), id="a storage with too much to do"),
        pytest.param(httpx.Response(400, text="<Code>RequestTimeout</Code>"), id="a connection that stood still"),
    ],
)
def test_what_the_storage_does_not_take_at_the_moment_is_waited_for(clip: Path, fault: Any):
    """Hours of uploading must not be lost because the network was away for a few seconds."""
    faults, pauses = [fault] * 4, []

    class Busy(Storage):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            if request.url.host == "storage.test" and request.url.path == "/2" and faults:
                return Script(faults.pop())(request)
            return super().__call__(request)

    storage = Busy(part_bytes=4)
    transport = httpx.MockTransport(storage)
    Client("http://api.test", "k", transport=transport, sleep=pauses.append).upload(clip, in_parts=True)
    assert storage.objects["/2"] == b"\4\5\6\7"
    assert all(0.25 * 2**n <= pause <= 0.5 * 2**n for n, pause in enumerate(pauses[:4]))


@pytest.mark.parametrize("status", [307, 503])
def test_file_that_the_storage_never_took_is_not_finished(clip: Path, status: int):
    class Elsewhere(Storage):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(status) if request.url.host == "storage.test" else super().__call__(request)

    storage = Elsewhere(part_bytes=4)
    with pytest.raises(StorageRefused, match=str(status)):
        storage.client().upload(clip)
    assert "finish" not in storage.bodies


def test_what_the_storage_refuses_for_good_is_not_sent_again(clip: Path):
    class Refusing(Storage):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            if request.url.host == "storage.test":
                return httpx.Response(400, text="BadDigest")
            return super().__call__(request)

    with pytest.raises(StorageRefused, match="BadDigest"):
        Refusing(part_bytes=4).client().upload(clip)


def test_file_that_is_no_video_is_an_error_with_a_code(clip: Path):
    error = {"code": "video_unreadable", "message": "It is no video.", "retryable": False}
    with pytest.raises(VideoRefused, match=r"It is no video\.") as refusal:
        Storage(part_bytes=4, error=error).client().upload(clip)
    assert refusal.value.code == "video_unreadable"


def digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def test_types_are_those_of_the_description():
    description = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    assert PATH.read_text() == models_of(description), "run `make openapi` and commit client/models.py"


def test_it_can_be_installed_alone(tmp_path: Path):
    """With nothing of ours beside it."""
    source = tmp_path / "client"
    shutil.copytree(ROOT / "client", source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--wheel-dir", tmp_path, source], check=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    assert "framebatch_client/py.typed" in zipfile.ZipFile(wheel).namelist()
    use = "import framebatch_client as f; f.Client('http://localhost', 'k').close()"
    subprocess.run(
        [sys.executable, "-W", "error", "-c", use], cwd=tmp_path, env={"PYTHONPATH": str(wheel)}, check=True
    )
