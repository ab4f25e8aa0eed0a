"""Kinds of video and room for them: what a plan does not allow is refused, and a larger plan is enough."""

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.gateways.s3 import MediaBucket
from backend.plans.errors import StorageFull
from backend.plans.limits import stored_bytes
from backend.plans.wording import kinds
from backend.videos import uploads
from backend.videos.deleting import remove_video
from backend.videos.models import Video
from backend.videos.probing import probe_once
from contract.plans import COMMON_MEDIA, LIMITS, Media, Plan
from contract.videos import CONTAINERS
from tests.backend.making import FACTS, make_video
from tests.backend.test_probe import clip
from tests.backend.test_uploads import send, start
from tests.backend.together import at_once

pytestmark = pytest.mark.django_db

FREE = LIMITS[Plan.FREE]
GIB = 1024**3


def asked(api: APIClient, video: Video) -> list[Any]:
    return [api.post(path, {"video": str(video.pk)}, format="json") for path in ("/api/quotes", "/api/analyses")]


@pytest.mark.parametrize("container", COMMON_MEDIA.containers)
@pytest.mark.parametrize("codec", COMMON_MEDIA.codecs)
def test_common_kinds_are_for_everybody(api: APIClient, free: User, container: str, codec: str):
    video = make_video(free, facts={**FACTS, "container": container, "codec": codec})
    quote, _ = asked(api, video)
    assert quote.status_code == 200


@pytest.mark.parametrize(
    ("container", "codec", "named"),
    [
        ("avi", "h264", "It is avi with H.264;"),
        ("mov,mp4,m4a,3gp,3g2,mj2", "prores", "It is MP4 or MOV with prores;"),
        ("mxf", "mpeg2video", "It is mxf with mpeg2video;"),
    ],
)
def test_other_kinds_are_for_larger_plans_and_an_upgrade_is_enough(
    api: APIClient, free: User, container: str, codec: str, named: str
):
    video = make_video(free, facts={**FACTS, "container": container, "codec": codec})
    for answer in asked(api, video):
        assert (answer.status_code, answer.json()["code"]) == (403, "media_not_allowed")
        assert answer.json()["errors"]["video"] == [
            f"{named} your plan allows MP4 or MOV, WebM or Matroska with H.264, H.265, VP8, VP9, AV1 or MPEG-4. "
            "Convert it. The plan Pro allows all that can be decoded."
        ]
    User.objects.filter(pk=free.pk).update(plan="pro")
    assert [answer.status_code for answer in asked(api, video)] == [200, 202]


@pytest.mark.parametrize(
    ("media", "said"),
    [
        (Media(containers=("matroska,webm",), codecs=("h264",)), "WebM or Matroska with H.264"),
        (Media(containers=("avi", "mxf"), codecs=("prores", "h264")), "avi, mxf with prores or H.264"),
    ],
)
def test_whatever_kinds_a_plan_allows_are_said(media: Media, said: str):
    """Somebody may sell fewer, or such as have no name here but FFmpeg's."""
    assert kinds(media) == said


def test_kind_is_what_the_file_holds_and_not_its_name(api: APIClient, free: User, media: str, tmp_path: Path):
    content = clip(tmp_path / "clip.avi", codec="mpeg4")
    told = start(api, filename="clip.mp4", size_bytes=len(content), content_type="video/mp4").json()
    send(told["upload"], content)
    api.post(told["links"]["finish"])
    probe_once(MediaBucket(media))
    video = Video.objects.get()
    assert video.status == "ready"  # it can be analysed, with another plan
    assert {answer.json()["code"] for answer in asked(api, video)} == {"media_not_allowed"}


def test_file_of_which_nothing_is_known_is_not_held_to_kinds(api: APIClient, free: User):
    """Finding it out takes more than a look; its length is not known either."""
    video = make_video(free, facts=None)
    assert asked(api, video)[0].status_code == 200


def test_kinds_of_the_contract_are_ones_that_the_probe_tells():
    assert all(name in CONTAINERS for container in COMMON_MEDIA.containers for name in container.split(","))


def test_upload_beyond_the_room_is_refused_before_it_is_sent(
    api: APIClient, free: User, media: str, s3_client: Any
):
    for _ in range(5):
        make_video(free, size_bytes=GIB - 1)
    answer = start(api, size_bytes=6, multipart=True)
    assert (answer.status_code, answer.json()["code"]) == (403, "storage_full")
    assert answer.json()["errors"]["size_bytes"] == [
        "It has 6 bytes and your other videos 5,368,709,115; your plan allows 5 GiB in all. Delete what you no "
        "longer need: its room is free once it has been removed, mostly within minutes. The plan Starter allows "
        "50 GiB."
    ]
    assert not s3_client.list_multipart_uploads(Bucket=media).get("Uploads")
    assert start(api, size_bytes=5).status_code == 201
    assert stored_bytes(free) == FREE.stored_bytes


@pytest.mark.parametrize("status", ["uploading", "aborted", "probing", "ready", "refused"])
def test_every_upload_counts_until_it_is_removed(api: APIClient, free: User, media: str, status: str):
    """URLs of one that was given up stay good for a while, and what was deleted waits for the worker."""
    videos = [make_video(free, status=status, size_bytes=GIB) for _ in range(5)]
    assert start(api).json()["code"] == "storage_full"
    api.delete(f"/api/videos/{videos[0].pk}")
    assert start(api).json()["code"] == "storage_full"
    remove_video(str(videos[0].pk), bucket=MediaBucket(media))
    assert start(api).status_code == 201


def test_room_is_each_users_own(api: APIClient, free: User, stranger: User, media: str):
    make_video(stranger, size_bytes=FREE.stored_bytes)
    assert start(api).status_code == 201


def test_repeated_start_of_an_upload_that_took_the_last_room_is_answered_as_before(
    api: APIClient, free: User, media: str
):
    make_video(free, size_bytes=FREE.stored_bytes - GIB)
    first = start(api, idempotency_key="k", size_bytes=GIB)
    again = start(api, idempotency_key="k", size_bytes=GIB)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("key", "started"), [(None, 2), ("k", 6)])
def test_uploads_at_the_same_moment_get_no_more_room_than_there_is(
    free: User, media: str, key: str | None, started: int
):
    """Each alone would find enough of it; and the same request, sent again, finds what it has made."""
    make_video(free, size_bytes=FREE.stored_bytes - 2 * GIB)

    def upload() -> object:
        try:
            return uploads.start_upload(
                owner=free, filename="a.mp4", size_bytes=GIB, content_type="video/mp4", idempotency_key=key
            )
        except StorageFull:
            return None

    assert at_once(6, upload).count(None) == 6 - started
    assert stored_bytes(free) == FREE.stored_bytes - (0 if key is None else GIB)


def test_account_tells_room_and_kinds(api: APIClient, free: User, client: Any):
    make_video(free, size_bytes=GIB)
    account = api.get("/api/account").json()
    assert (account["stored_bytes"], account["limits"]["stored_bytes"]) == (GIB, 5 * GIB)
    assert account["limits"]["media"]["codecs"] == ["h264", "hevc", "vp8", "vp9", "av1", "mpeg4"]
    client.force_login(free)
    page = client.get("/account").content.decode()
    assert "5 GiB, 1 GiB in use" in page
    assert "MP4 or MOV, WebM or Matroska with H.264" in page
    User.objects.filter(pk=free.pk).update(plan="pro")
    assert api.get("/api/account").json()["limits"]["media"] is None
    assert "all that can be decoded" in client.get("/account").content.decode()
