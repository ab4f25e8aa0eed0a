"""The pages say what is going on, in words, and load nothing from elsewhere."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError
from django.test import Client, RequestFactory

from backend.accounts.models import User
from backend.config import errors
from backend.videos.wording import decode_sentences, described
from contract.options import AnalysisOptions
from tests.backend.making import DECODE_REPORT, FACTS, SUMMARY, make_analysis, make_track, make_video

pytestmark = pytest.mark.django_db

TEMPLATES = sorted((django_settings.BACKEND / "templates").rglob("*.html"))
STATIC = sorted((django_settings.BACKEND / "static" / "framebatch").iterdir())


@pytest.fixture
def browser(owner: User, media: str) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_empty_home_says_what_to_do(browser: Client):
    page = text(browser, "/")
    assert "No videos yet" in page
    assert 'type="file"' in page


def test_home_lists_videos_with_their_latest_analyses(browser: Client, owner: User):
    video = make_video(owner, filename="<b>street</b>.mp4")
    for status in ("failed", "running", "succeeded", "queued"):
        make_analysis(owner, video=video, status=status, summary=SUMMARY if status == "succeeded" else None)
    make_video(owner, filename="half.mp4", status="uploading")
    page = text(browser, "/")
    assert "&lt;b&gt;street&lt;/b&gt;.mp4" in page
    assert "250 detections, 3 tracks" in page
    assert "The upload is not finished" in page
    assert page.count('class="badge') == 3  # of four


def test_home_takes_few_queries_however_many_videos(
    browser: Client, owner: User, django_assert_max_num_queries: Any
):
    for _ in range(10):
        make_analysis(owner)
    browser.get("/")  # grants the month's credits
    with django_assert_max_num_queries(6):  # session, user, videos, analyses, the month's grant, the balance
        browser.get("/")


def test_video_page_offers_the_models(browser: Client, owner: User):
    page = text(browser, f"/videos/{make_video(owner).pk}")
    assert '<option value="shapes">' in page
    assert '<option value="poses">poses (pose, 1 class)' in page
    assert 'value="0.25"' in page


def test_page_of_a_broken_off_upload_says_so(browser: Client, owner: User):
    video = make_video(owner, status="uploading")
    assert "The upload is not finished" in text(browser, f"/videos/{video.pk}")


def test_running_analysis_is_followed(browser: Client, owner: User):
    analysis = make_analysis(
        owner, status="running", stage="analysing", frames_done=1, frames_total=4, batch_state="RUNNING"
    )
    page = text(browser, f"/analyses/{analysis.pk}")
    assert "Analysing the frames" in page
    assert f'data-poll="/api/analyses/{analysis.pk}"' in page
    assert f'data-live="/api/analyses/{analysis.pk}/live"' in page
    assert 'value="25"' in page
    assert "progress.js" in page


@pytest.mark.parametrize("of_video", [False, True], ids=["home", "video"])
def test_lists_of_analyses_are_followed(browser: Client, owner: User, of_video: bool):
    analysis = make_analysis(owner, status="running")
    page = text(browser, f"/videos/{analysis.video_id}" if of_video else "/")
    assert 'data-live="/api/analyses/live"' in page
    assert f'data-analysis="{analysis.pk}"' in page
    assert "lines.js" in page


def test_waiting_analysis_says_why(browser: Client, owner: User):
    analysis = make_analysis(owner, status="submitted", batch_state="RUNNABLE")
    assert "Waiting for a free machine." in text(browser, f"/analyses/{analysis.pk}")


def test_finished_analysis_shows_its_result(browser: Client, owner: User, media: str):
    analysis = make_analysis(
        owner,
        status="succeeded",
        summary=SUMMARY,
        decode_report=DECODE_REPORT,
        stage_seconds={"decode": 1.25},
    )
    make_track(analysis, 7, class_id=3, last_pts_us=2_500_000)
    page = text(browser, f"/analyses/{analysis.pk}")
    assert "progress.js" not in page
    assert "100 frames, 250 detections, 3 tracks" in page
    assert page.index("circle") < page.index(">star<")  # most detections first
    assert "turned by 90°" in page
    assert "1.25" in page
    assert f"{media}/analyses/x/thumbnails/000.jpg" in page
    assert 'alt="Frame 10 with the detected boxes"' in page
    assert f"{media}/analyses/x/poster.jpg" in page
    assert "<video" not in page
    assert '<th scope="row">7</th><td>star</td><td class="number">2.50</td>' in page


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(9.97, "10.0 s"), (59.9, "59.9 s"), (60, "1 min 0 s"), (119.7, "2 min 0 s"), (3725, "62 min 5 s")],
)
def test_length_of_a_video_is_told_in_minutes_and_seconds(seconds: float, told: str):
    facts = {**FACTS, "duration_us": round(seconds * 1_000_000)}
    assert described(facts) == f"h264, 640 × 384, {told}"


def test_annotated_video_is_played_on_the_page(browser: Client, owner: User, media: str):
    """The poster is what it shows before."""
    summary = {**SUMMARY, "annotated_video": "analyses/x/annotated.mp4"}
    options = AnalysisOptions(annotated_video=True).to_dict()
    analysis = make_analysis(owner, status="succeeded", summary=summary, options=options)
    page = text(browser, f"/analyses/{analysis.pk}")
    assert "annotated video yes" in page
    (video,) = re.findall(r"<video[^>]*>", page)
    assert f"/{media}/analyses/x/annotated.mp4" in video
    assert f"/{media}/analyses/x/poster.jpg" in video
    assert page.count("poster.jpg") == 1


def test_longest_tracks_come_first(browser: Client, owner: User):
    analysis = make_analysis(owner, status="succeeded", summary=SUMMARY)
    for track_id in range(1, 14):
        make_track(analysis, track_id, last_pts_us=1_000_000 * (track_id % 13))
    page = text(browser, f"/analyses/{analysis.pk}")
    assert [int(number) for number in re.findall(r'<th scope="row">(\d+)</th>', page)] == [*range(12, 2, -1)]


def test_seconds_are_listed_in_the_order_of_the_work(browser: Client, owner: User):
    """The job's keys, spelt out: the backend does not import the job, and the page shows them as they are."""
    stages = [
        *("fetch", "model", "decode", "preprocess", "detect", "postprocess", "track", "store", "thumbnails"),
        *("annotated video", "total"),
    ]
    seconds = dict.fromkeys(reversed(stages), 1.25)
    analysis = make_analysis(owner, status="succeeded", summary=SUMMARY, stage_seconds=seconds)
    page = text(browser, f"/analyses/{analysis.pk}")
    assert re.findall(r'<tr><th scope="row">([\w ]+)</th><td class="number">1\.25</td>', page) == stages


def test_failed_analysis_says_why_and_whether_to_try_again(browser: Client, owner: User):
    lost = make_analysis(
        owner, status="failed", error_code="job_lost", error_message="It stopped.", error_retryable=True
    )
    page = text(browser, f"/analyses/{lost.pk}")
    assert "It stopped." in page
    assert f'data-ask="/api/analyses/{lost.pk}/retry"' in page
    empty = make_analysis(
        owner, status="failed", error_code="video_empty", error_message="It is empty.", error_retryable=False
    )
    page = text(browser, f"/analyses/{empty.pk}")
    assert "It is empty." in page
    assert "/retry" not in page


@pytest.mark.parametrize(
    ("status", "buttons"),
    [
        ("queued", ["/cancel"]),
        ("submitted", ["/cancel"]),
        ("running", ["/cancel"]),
        ("succeeded", [""]),
        ("failed", ["/retry", ""]),
        ("cancelled", ["/retry", ""]),
    ],
)
def test_page_offers_what_can_be_done(browser: Client, owner: User, status: str, buttons: list[str]):
    analysis = make_analysis(owner, status=status, summary=SUMMARY if status == "succeeded" else None)
    page = text(browser, f"/analyses/{analysis.pk}")
    links = [f"/api/analyses/{analysis.pk}{button}" for button in buttons]
    assert re.findall(r'data-ask="([^"]*)"', page) == links


@pytest.mark.parametrize("kind", ["home", "video", "analysis"])
def test_csrf_token_of_scripts_is_in_the_cookie_and_never_in_an_address(browser: Client, owner: User, kind: str):
    """Where a script does not load, its form is sent as an address, which servers write down."""
    analysis = make_analysis(owner)
    path = {"home": "/", "video": f"/videos/{analysis.video_id}", "analysis": f"/analyses/{analysis.pk}"}[kind]
    page = text(browser, path)
    assert browser.cookies["csrftoken"].value
    assert not browser.cookies["csrftoken"]["httponly"]
    forms = re.findall(r"<form[^>]*>.*?</form>", page, re.DOTALL)
    assert len(forms) == {"home": 2, "video": 2, "analysis": 1}[kind]
    assert ["csrfmiddlewaretoken" in form for form in forms] == ['method="post"' in form for form in forms]


def test_another_try_names_the_one_before(browser: Client, owner: User):
    first = make_analysis(owner, status="failed")
    again = make_analysis(owner, video=first.video, retry_of=first)
    assert f'another try of <a href="/analyses/{first.pk}">' in text(browser, f"/analyses/{again.pk}")


def test_result_without_detections_says_so(browser: Client, owner: User):
    nothing = {"frames": 9, "detections": 0, "tracks": 0, "per_class": {}, "thumbnails": []}
    analysis = make_analysis(owner, status="succeeded", summary=nothing)
    assert "Nothing was found" in text(browser, f"/analyses/{analysis.pk}")


def test_decode_report_in_words():
    assert decode_sentences(DECODE_REPORT) == [
        "h264 video of 640 × 384 pixels, turned by 90°.",
        "100 frames were decoded although the file declares 120; all of them were analysed.",
        "The first and the last frame are 3.96 seconds apart.",
        "Damaged after 3.96 s: the packet is damaged.",
    ]


@pytest.mark.parametrize("path", ["/", "/login", "/sign-up", "/api-keys", "/webhooks", "/nothing-here"])
def test_policy_allows_our_own_files_and_the_bucket_only(browser: Client, aws_endpoint: str, path: str):
    answer = (Client() if path in ("/login", "/sign-up") else browser).get(path)
    policy = dict(part.split(" ", 1) for part in answer["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["connect-src"] == f"'self' {aws_endpoint}"
    assert policy["media-src"] == f"'self' {aws_endpoint}"
    assert policy["img-src"] == f"'self' data: {aws_endpoint}"
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_media_origin_can_be_given(browser: Client, settings: Any):
    """Browsers may reach the bucket under another name than the backend does."""
    settings.MEDIA_ORIGIN = "https://media.example"
    assert "connect-src 'self' https://media.example;" in browser.get("/")["Content-Security-Policy"]


SORRY = {
    400: errors.bad_request,
    403: errors.csrf_failure,
    404: errors.not_found,
    500: errors.server_error,
    503: lambda request: errors.service_unavailable(request, OperationalError("gone")),
}


@pytest.mark.parametrize("status", SORRY)
def test_pages_of_errors_lead_on_without_asking_the_database(
    status: int, rf: RequestFactory, settings: Any, django_assert_num_queries: Any
):
    """Whoever brings a session finds the navigation, whether or not the database can tell who it is."""
    settings.SOURCE_URL = "https://source.test/"
    request = rf.get("/nothing-here")
    with django_assert_num_queries(0):
        stranger = SORRY[status](request)
        request.COOKIES[settings.SESSION_COOKIE_NAME] = "a session"
        visitor = SORRY[status](request)
    assert {stranger.status_code, visitor.status_code} == {status}
    links = re.findall(r'<a href="([^"]*)">', visitor.content.decode())
    navigation = ["/", "/account", "/api-keys", "/webhooks", "/api/docs", "/password"]
    assert links == [*navigation, "/", "https://source.test/"]
    assert re.findall(r'<a href="([^"]*)">', stranger.content.decode()) == ["/", "https://source.test/"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_nothing_the_policy_forbids(template: Path):
    source = template.read_text()
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", source)
    assert not re.search(r"https?://|//cdn", source)


@pytest.mark.parametrize("path", [path.name for path in STATIC])
def test_static_files_are_served_and_call_nobody_else(path: str):
    answer = Client().get(f"/static/framebatch/{path}")
    assert answer.status_code == 200
    body = answer.content.decode()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", body)


def test_admin_is_there_for_staff_only(browser: Client, owner: User):
    assert browser.get("/admin/").status_code == 302
    User.objects.filter(pk=owner.pk).update(is_staff=True, is_superuser=True)
    analysis = make_analysis(owner)
    analysis.events.create(status="queued", source="backend")
    for path in (
        "videos/video/",
        "videos/analysis/",
        f"videos/analysis/{analysis.pk}/change/",
        "accounts/apikey/",
    ):
        assert browser.get(f"/admin/{path}").status_code == 200
