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


def test_swagger_ui_sends_the_csrf_token_to_us_alone(scripts: Path):
    urls = ["/api/videos", "https://framebatch.test/api/videos", "https://elsewhere.test/api/videos"]
    happened = happened_on("docs", scripts, urls=urls)
    ours = {"X-CSRFToken": "of-now"}
    assert happened == {"url": "/api/schema", "headers": [ours, ours, {}]}
