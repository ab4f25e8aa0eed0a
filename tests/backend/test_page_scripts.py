"""What the pages' scripts do and say, in Node, with as little of a browser as they use."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

PAGES = Path(__file__).parent / "page"
WEBHOOK = "/api/webhooks/1"
SURE = "Delete it?"
VIDEO = {
    "status": "uploading",
    "error": None,
    "upload": {"method": "PUT", "url": "https://storage.test/clip", "headers": {"Content-Type": "video/mp4"}},
    "links": {"self": "/api/videos/1", "finish": "/api/videos/1/finish", "page": "/videos/1"},
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that Node takes for modules, as browsers are told in the page."""
    if shutil.which("node") is None:
        said = "node is not installed"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    folder = tmp_path_factory.mktemp("scripts") / "framebatch"
    shutil.copytree(settings.BACKEND / "static" / "framebatch", folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def happened_on(page: str, scripts: Path, *answers: tuple[int, Any], **told: Any) -> Any:
    """What happens on a page of tests/backend/page when the API answers so, one request after the other."""
    arguments = [PAGES / f"{page}.mjs", scripts, json.dumps(answers), json.dumps(told)]
    ran = subprocess.run(["node", *arguments], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(ran.stdout)


def upload(scripts: Path, *answers: tuple[int, Any]) -> Any:
    return happened_on("upload", scripts, *answers)


def refusal(code: str, detail: str, **errors: list[str]) -> tuple[int, Any]:
    return 400, {"code": code, "detail": detail, "errors": errors}


def test_page_of_an_uploaded_video_opens_without_a_question(scripts: Path):
    """A browser asks whether to leave, as long as something is being sent."""
    happened = upload(scripts, (201, VIDEO), (200, {**VIDEO, "status": "ready"}))
    assert happened == {
        "asked": [
            "POST /api/videos with of-now",  # the token of the cookie, which signing in anew elsewhere replaces
            "PUT https://storage.test/clip",
            "POST /api/videos/1/finish with of-now",
        ],
        "left": "/videos/1#analyse",
        "warned": False,
        "error": "",
    }


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(
            refusal("file_too_large", "The file is too large.", size_bytes=["Your plan allows 2 GiB."]),
            "The file is too large. Your plan allows 2 GiB.",
            id="refused",
        ),
        pytest.param(
            refusal("video_not_found", "There is no such video.", video=["There is no such video."]),
            "There is no such video.",
            id="the same twice",
        ),
        pytest.param(
            refusal("invalid", "Faulty: content_type.", content_type=["It must be a media type."]),
            "content type: It must be a media type.",
            id="a faulty field",
        ),
        pytest.param(
            refusal("not_authenticated", "Authentication credentials were not provided."),
            "You are not signed in any more. Please load this page again and sign in.",
            id="signed out in another tab",
        ),
        pytest.param(
            refusal("csrf_failed", "CSRF Failed: CSRF token missing."),
            "This page is out of date. Please load it again.",
            id="no token any more",
        ),
        pytest.param(refusal("upload_aborted", "It was aborted."), "It was aborted.", id="no field"),
    ],
)
def test_refusal_is_told_in_sentences(scripts: Path, answer: tuple[int, Any], said: str):
    happened = upload(scripts, answer)
    assert (happened["error"], happened["left"], len(happened["asked"])) == (said, None, 1)


@pytest.mark.parametrize(
    ("data", "answer", "asked", "sent", "left"),
    [
        pytest.param(
            {"ask": f"{WEBHOOK}/ping", "then": "/webhooks/1"},
            (202, {"id": "2"}),
            f"POST {WEBHOOK}/ping with of-now",
            {},
            "/webhooks/1",
            id="a test",
        ),
        pytest.param(
            {"ask": WEBHOOK, "method": "PATCH", "body": '{"enabled": false}', "then": "/webhooks/1"},
            (200, {"enabled": False}),
            f"PATCH {WEBHOOK} with of-now",
            {"enabled": False},
            "/webhooks/1",
            id="disabled",
        ),
        pytest.param(
            {"ask": WEBHOOK, "method": "DELETE", "sure": SURE, "then": "/webhooks"},
            (204, None),
            f"DELETE {WEBHOOK} with of-now",
            {},
            "/webhooks",
            id="deleted",
        ),
        pytest.param(
            {"ask": "/api/analyses/1/retry"},
            (202, {"links": {"page": "/analyses/2"}}),
            "POST /api/analyses/1/retry with of-now",
            {},
            "/analyses/2",
            id="where the answer leads",
        ),
    ],
)
def test_button_asks_for_what_it_names(scripts: Path, data: Any, answer: Any, asked: str, sent: Any, left: str):
    happened = happened_on("button", scripts, answer, data=data, sure=True)
    assert (happened["asked"], happened["left"], happened["error"]) == ([asked], left, "")
    assert json.loads(happened["sent"][0]) == sent
    assert happened.get("question") == data.get("sure")


def test_button_does_nothing_for_who_is_not_sure(scripts: Path):
    data = {"ask": WEBHOOK, "method": "DELETE", "sure": SURE, "then": "/webhooks"}
    happened = happened_on("button", scripts, data=data, sure=False)
    assert (happened["asked"], happened["left"], happened["question"]) == ([], None, SURE)


def test_refusal_of_a_button_is_told_on_its_page(scripts: Path):
    said = "The webhook is disabled; enable it first."
    refused = (409, {"code": "webhook_disabled", "detail": said, "errors": {}})
    happened = happened_on("button", scripts, refused, data={"ask": f"{WEBHOOK}/ping", "then": "/webhooks/1"})
    assert (happened["left"], happened["error"]) == (None, said)


def pending(**attempts: int) -> tuple[int, Any]:
    """Deliveries that are pending, with so many attempts each."""
    return 200, {
        "results": [{"id": key, "attempts": [{}] * count} for key, count in attempts.items()],
        "next": None,
    }


@pytest.mark.parametrize(
    "then",
    [
        pytest.param(pending(a=1), id="delivered or given up"),
        pytest.param(pending(a=1, b=1), id="tried in vain"),
    ],
)
def test_page_of_a_webhook_is_loaded_again_when_something_came_of_a_delivery(scripts: Path, then: Any):
    soon = [{"delivery": "a", "attempts": "1"}, {"delivery": "b", "attempts": "0"}]
    happened = happened_on("deliveries", scripts, pending(b=0, a=1), pending(b=0, a=1), then, soon=soon)
    assert happened["asked"][:3] == ["GET /pending"] * 3
    assert (happened["left"], happened["error"]) == ("the same page", "")


def test_page_of_a_webhook_asks_no_more_after_a_refusal(scripts: Path):
    refused = (401, {"code": "not_authenticated", "detail": "", "errors": {}})
    happened = happened_on("deliveries", scripts, refused, soon=[{"delivery": "a", "attempts": "0"}])
    assert (happened["asked"], happened["left"]) == (["GET /pending"], None)
    assert happened["error"].startswith("You are not signed in any more.")


def test_page_of_a_webhook_asks_nothing_where_nothing_is_about_to_be_sent(scripts: Path):
    assert happened_on("deliveries", scripts, soon=[])["asked"] == []


def test_swagger_ui_sends_the_csrf_token_to_us_alone(scripts: Path):
    urls = ["/api/videos", "https://framebatch.test/api/videos", "https://elsewhere.test/api/videos"]
    happened = happened_on("docs", scripts, urls=urls)
    ours = {"X-CSRFToken": "of-now"}
    assert happened == {"url": "/api/schema", "headers": [ours, ours, {}]}
