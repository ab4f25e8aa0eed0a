"""What a plan does not allow is refused with the limit and what to do, and under load no more is let through."""

from typing import Any

import pytest
from django.conf import settings as django_settings
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.plans.errors import TooManyAnalyses, VideoTooLong
from backend.plans.limits import require_length
from backend.plans.wording import length, size
from backend.videos import services
from backend.videos.models import Analysis, Video
from contract.plans import LIMITS, SHARES, Plan
from tests.backend.making import make_analysis, make_video
from tests.backend.together import at_once

pytestmark = pytest.mark.django_db

FREE = LIMITS[Plan.FREE]


def request(api: APIClient, video: Video) -> Any:
    return api.post("/api/analyses", {"video": str(video.pk)}, format="json")


def test_file_beyond_the_plan_is_refused_before_it_is_sent(api: APIClient, free: User, media: str):
    answer = api.post("/api/videos", {"filename": "a.mp4", "size_bytes": FREE.file_bytes + 1}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    assert answer.json()["errors"]["size_bytes"] == [
        "It has 1,073,741,825 bytes; your plan allows 1 GiB. Cut or compress it. The plan Starter allows 5 GiB."
    ]
    assert not Video.objects.exists()


def test_largest_file_of_the_plan_is_accepted(api: APIClient, free: User, media: str):
    answer = api.post("/api/videos", {"filename": "a.mp4", "size_bytes": FREE.file_bytes}, format="json")
    assert answer.status_code == 201


def test_video_beyond_the_plan_is_refused_with_the_cheapest_plan_that_would_do(free: User):
    require_length(free, FREE.video_seconds)
    with pytest.raises(VideoTooLong) as caught:
        require_length(free, 2 * 3600 + 60)
    assert caught.value.errors["video"] == [
        "It lasts 2 h 1 min; your plan allows 10 min. Cut it into parts. The plan Pro allows 4 h."
    ]
    with pytest.raises(VideoTooLong) as caught:
        require_length(free, 10**6)
    assert caught.value.errors["video"][0].endswith("Cut it into parts.")


def test_one_analysis_too_many_is_refused_until_one_is_over(api: APIClient, free: User):
    video = make_video(free)
    running = [make_analysis(free, video=video, status=status) for status in ("queued", "running")]
    make_analysis(free, video=video, status="failed")
    answer = request(api, video)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_analyses")
    (said,) = answer.json()["errors"]["analyses"]
    assert (
        said
        == "2 are queued or running; your plan allows 2. Wait for one, or cancel one. The plan Starter allows 4."
    )
    assert Analysis.objects.count() == 3

    Analysis.objects.filter(pk=running[0].pk).update(status="cancelled")
    assert request(api, video).status_code == 202


def test_another_try_counts_as_well(api: APIClient, free: User):
    failed = make_analysis(free, status="failed")
    for _ in range(FREE.concurrent_analyses):
        make_analysis(free)
    assert api.post(f"/api/analyses/{failed.pk}/retry").json()["code"] == "too_many_analyses"


def test_limits_are_each_users_own(api: APIClient, free: User, stranger: User):
    for _ in range(FREE.concurrent_analyses):
        make_analysis(stranger)
    assert request(api, make_video(free)).status_code == 202


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_requests_at_once_get_no_more_places_than_there_are(free: User):
    """Each alone would find the last place free."""
    video = make_video(free)

    def ask() -> object:
        try:
            return services.request_analysis(owner=free, video_id=video.pk, model=None, options={})
        except TooManyAnalyses:
            return None

    refused = at_once(6, ask).count(None)
    assert Analysis.objects.filter(owner=free).count() == FREE.concurrent_analyses
    assert refused == 6 - FREE.concurrent_analyses


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (3601, "1 h 1 s"), (90061, "25 h 1 min")],
)
def test_lengths_are_said_in_two_units_at_most(seconds: float, said: str):
    assert length(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 * 1024**3, "5 GiB")]
)
def test_sizes_are_said_in_one_unit(count: int, said: str):
    assert size(count) == said


def test_the_documentation_says_what_the_contract_says():
    text = (django_settings.BACKEND.parent / "docs" / "plans.md").read_text()
    for plan in Plan:
        share, limits = SHARES[plan], LIMITS[plan]
        row = [
            plan.name.title(),
            f"`{share.identifier}`",
            f"{share.weight_factor:g}",
            str(share.scheduling_priority),
            length(limits.video_seconds),
            size(limits.file_bytes),
            size(limits.stored_bytes),
            "common" if limits.media else "all",
            f"{limits.concurrent_analyses:,}",
            f"{limits.monthly_credits:,}",
        ]
        assert f"| {' | '.join(row)} |" in text
