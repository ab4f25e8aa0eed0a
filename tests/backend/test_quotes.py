"""A quote says what an analysis costs at most, and binds for a day; a receipt says what it did cost."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.plans import estimating
from backend.plans.credits import reserve
from backend.plans.estimating import Footage, estimate, speeds, timeout_seconds
from backend.plans.models import LedgerEntry
from backend.plans.receipts import Receipt
from backend.videos.catalogue import catalogue
from backend.videos.models import Analysis, Run, Video
from contract.options import AnalysisOptions
from contract.prices import prices
from tests.backend.making import make_analysis, make_video

HOUR = Footage(size_bytes=10**9, seconds=3600, frames=108_000, width=1920, height=1080)
FACTS = {
    "container": "mov,mp4,m4a,3gp,3g2,mj2",
    "codec": "h264",
    "width": 1280,
    "height": 720,
    "rotation_degrees": 0,
    "duration_us": 60_000_000,
    "frames": 1800,
    "estimated": False,
}


def quoted(footage: Footage = HOUR, *, model: str = "shapes", **options: Any) -> estimating.Estimate:
    entry = catalogue().model(model)
    assert entry is not None
    return estimate(footage, entry, AnalysisOptions(**options), longest_seconds=600)


@pytest.fixture
def minute(owner: User) -> Video:
    """60 seconds of 720p at 30 frames per second."""
    video = make_video(owner, size_bytes=8_000_000)
    Video.objects.filter(pk=video.pk).update(facts=FACTS)
    return video


def ask(api: APIClient, path: str, video: Video, **body: Any) -> Any:
    return api.post(path, {"video": str(video.pk), **body}, format="json")


def test_slowest_stage_sets_the_time_of_those_that_overlap():
    """An hour of 1080p with a small network: decoding takes longest."""
    known = speeds()
    found = quoted(thumbnails=0)
    decode = 108_000 * 1.92 * 1.08 * known["decode_ms_per_megapixel"] / 1000
    assert found.stages["decode"] == pytest.approx(decode, abs=0.01) == max(found.stages.values())
    assert found.seconds == pytest.approx(decode + known["start_seconds"], abs=0.01)
    assert found.credits - 1 < found.seconds <= found.credits


def test_model_of_an_unknown_scale_counts_as_the_largest():
    assert quoted(model="coco").stages["detect"] > 9 * quoted(model="shapes").stages["detect"]


def test_drawing_comes_on_top():
    drawn = quoted(annotated_video=True)
    assert drawn.seconds == pytest.approx(quoted().seconds + drawn.stages["annotated video"], abs=0.02)


@given(st.integers(2, 100))
def test_fewer_analysed_frames_cost_less_of_everything_but_decoding(nth: int):
    every, some = quoted(), quoted(every_nth=nth)
    assert some.stages["detect"] == pytest.approx(every.stages["detect"] / nth, abs=0.02)
    assert some.stages["decode"] == every.stages["decode"]
    assert some.credits <= every.credits


def test_sampling_by_time_counts_by_time():
    assert quoted(frames_per_second=1.0).stages == quoted(every_nth=30).stages
    assert quoted(frames_per_second=240.0).stages == quoted().stages


@given(st.sampled_from([320, 640, 1280, 2048]), st.sampled_from([(1920, 1080), (1080, 1920), (640, 640)]))
def test_network_is_counted_by_the_pixels_it_gets(side: int, shape: tuple[int, int]):
    footage = Footage(size_bytes=1, seconds=100, frames=3000, width=shape[0], height=shape[1])
    shorter = -(-side * min(shape) // max(shape) // 32) * 32
    expected = 3000 * speeds()["network_ms"]["n"] / 1000 * side * min(shorter, side) / 640**2
    assert quoted(footage, image_size=side).stages["detect"] == pytest.approx(expected, rel=0.04, abs=0.01)


def test_unknown_length_is_quoted_as_the_longest_that_it_may_be():
    small, large = quoted(Footage(size_bytes=25_000)), quoted(Footage(size_bytes=10**9))
    assert small.assumed == large.assumed == ("length", "size")
    assert small.stages["detect"] == pytest.approx(quoted(Footage(size_bytes=1, seconds=1)).stages["detect"])
    assert large.stages["detect"] == quoted(Footage(size_bytes=1, seconds=600)).stages["detect"]


def test_every_speed_says_where_it_comes_from():
    known = speeds()
    of = {"network_ms": "network", "task_factor": "task", "host_ms": "host", "start_seconds": "start"}
    of |= {"decode_ms_per_megapixel": "decode", "annotated_ms_per_megapixel": "annotated"}
    of |= {"fetch_mb_per_second": "fetch", "picture_seconds": "picture"}
    assert all(known[name] and known[f"{source}_source"] for name, source in of.items())
    assert known["machine"] in prices().instances


def test_time_limit_leaves_room_for_slow_machines_and_none_for_ones_that_hang():
    assert timeout_seconds(0, slowest_machine=10) == 1800
    assert timeout_seconds(100.1, slowest_machine=10) == 1800 + 1001


@pytest.mark.django_db
def test_quote_binds_although_prices_have_changed(
    api: APIClient, owner: User, minute: Video, monkeypatch: pytest.MonkeyPatch
):
    quote = ask(api, "/api/quotes", minute).json()
    assert quote["basis"] == {"machine": "g4dn.xlarge", "assumed": []}
    assert quote["stages"]["decode"] == pytest.approx(1800 * 0.9216 * 3.5 / 1000, abs=0.01)
    dearer = {**speeds(), "start_seconds": 1000}
    monkeypatch.setattr(estimating, "speeds", lambda: dearer)
    assert ask(api, "/api/quotes", minute).json()["credits"] > quote["credits"]
    assert ask(api, "/api/analyses", minute, quote=quote["quote"]).status_code == 202
    assert LedgerEntry.objects.get(kind="reservation").credits == -quote["credits"]


@pytest.mark.django_db
def test_asking_for_a_quote_reserves_nothing(api: APIClient, minute: Video):
    first, again = ask(api, "/api/quotes", minute).json(), ask(api, "/api/quotes", minute).json()
    assert first["balance"] == again["balance"]
    assert not LedgerEntry.objects.filter(kind="reservation").exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"model": "coco"}, "model"),
        ({"options": {"every_nth": 2}}, "options"),
        ({"options": {"track": False}}, "options"),
    ],
)
def test_quote_is_for_what_it_was_given_for(api: APIClient, minute: Video, changed: Any, named: str):
    token = ask(api, "/api/quotes", minute).json()["quote"]
    answer = ask(api, "/api/analyses", minute, quote=token, **changed)
    assert (answer.status_code, answer.json()["code"]) == (409, "quote_mismatch")
    assert named in answer.json()["errors"]["quote"][0]
    assert not Analysis.objects.exists()


@pytest.mark.django_db
def test_quote_belongs_to_its_user_and_video(
    api: APIClient, stranger_api: APIClient, stranger: User, minute: Video
):
    token = ask(api, "/api/quotes", minute).json()["quote"]
    answer = ask(stranger_api, "/api/analyses", make_video(stranger), quote=token)
    assert answer.json()["errors"]["quote"] == ["It was given for another owner and video; ask for a new one."]


@pytest.mark.django_db
def test_forged_and_old_quotes_are_refused(api: APIClient, minute: Video, monkeypatch: pytest.MonkeyPatch):
    forged = signing.dumps({"credits": 1, "seconds": 1, "for": {}}, salt="another")
    for token in ("rubbish", forged, "é", "a:b:c"):
        assert ask(api, "/api/analyses", minute, quote=token).json()["code"] == "quote_invalid"
    token = ask(api, "/api/quotes", minute).json()["quote"]
    now = signing.time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now + 24 * 3600 + 1)
    answer = ask(api, "/api/analyses", minute, quote=token)
    assert (answer.status_code, answer.json()["code"]) == (409, "quote_expired")


@pytest.mark.django_db
def test_video_beyond_the_plan_is_neither_quoted_nor_analysed(api: APIClient, owner: User, minute: Video):
    User.objects.filter(pk=owner.pk).update(plan="free")
    Video.objects.filter(pk=minute.pk).update(facts={**FACTS, "duration_us": 601_000_000})
    for path in ("/api/quotes", "/api/analyses"):
        answer = ask(api, path, minute)
        assert (answer.status_code, answer.json()["code"]) == (403, "video_too_long")
        assert "your plan allows 10 min" in answer.json()["errors"]["video"][0]
    Video.objects.update(facts={**FACTS, "duration_us": 601_000_000, "estimated": True})
    assert ask(api, "/api/quotes", minute).json()["basis"]["assumed"] == ["length"]


def run(analysis: Analysis, seconds: float, attempt: int = 1, **columns: Any) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    known = {"gpu": True, "instance_type": "g4dn.xlarge", "market": "spot", "zone": "us-east-1a", **columns}
    times = {"started_at": began, "seen_at": began + timedelta(seconds=seconds)}
    Run.objects.create(analysis=analysis, job_id="job-1", attempt=attempt, **known, **times)


def finished(owner: User, *, status: str = "succeeded", credits: int = 40) -> Analysis:
    analysis = make_analysis(
        owner,
        status="running",
        submitted_at=datetime(2026, 1, 1, tzinfo=UTC),
        started_at=datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC),
        stage_seconds={"decode": 9.5},
    )
    reserve(owner, analysis.pk, credits)
    return analysis


def end(analysis: Analysis, status: str) -> None:
    Analysis.objects.filter(pk=analysis.pk).update(status=status)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")


@pytest.mark.django_db
def test_receipt_tells_machines_prices_and_credits(api: APIClient, owner: User):
    analysis = finished(owner)
    run(analysis, 18)
    run(analysis, 3.6, attempt=2, market="on-demand")
    path = f"/api/analyses/{analysis.pk}/receipt"
    assert api.get(path).json()["credits"] == {"quoted": 40, "charged": None, "refunded": None}
    end(analysis, "succeeded")
    receipt = api.get(path).json()
    assert receipt["credits"] == {"quoted": 40, "charged": 22, "refunded": 18}
    assert receipt["gpu_seconds"] == receipt["machine_seconds"] == 21.6
    assert receipt["start_up_seconds"] == 90
    assert receipt["stage_seconds"] == {"decode": 9.5}
    price = prices().instance("g4dn.xlarge")
    assert [machine["usd_per_hour"] for machine in receipt["machines"]] == [price.spot, price.on_demand]
    assert receipt["machines"][0]["price_date"] == price.date
    assert receipt["cost_usd"] == pytest.approx((18 * price.spot + 3.6 * price.on_demand) / 3600, abs=1e-6)


@pytest.mark.django_db
def test_receipt_does_not_read_the_whole_ledger(owner: User):
    """It is in every page of an analysis, and the ledger is never shortened."""
    analysis = finished(owner)
    with CaptureQueriesContext(connection) as asked_for:
        Receipt.of(analysis)
    (query,) = (one["sql"] for one in asked_for if LedgerEntry._meta.db_table in one["sql"])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # which is quickest in a table as small as this one
        cursor.execute(f"EXPLAIN {query}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "plans_ledger_reserved_once" in plan
    assert "plans_ledger_closed_once" in plan
    assert "Seq Scan" not in plan


@pytest.mark.django_db
def test_receipt_of_a_machine_that_tells_nothing_guesses_nothing(api: APIClient, owner: User):
    analysis = finished(owner)
    run(analysis, 5)
    run(analysis, 5, attempt=2, gpu=False, instance_type=None, market=None, zone=None)
    end(analysis, "failed")
    receipt = api.get(f"/api/analyses/{analysis.pk}/receipt").json()
    assert receipt["credits"] == {"quoted": 40, "charged": 0, "refunded": 40}
    assert (receipt["gpu_seconds"], receipt["machine_seconds"]) == (5, 10)
    assert receipt["machines"][1]["cost_usd"] is None
    assert receipt["cost_usd"] is None


@pytest.mark.django_db
def test_receipt_from_before_there_were_credits_is_empty(api: APIClient, owner: User):
    receipt = api.get(f"/api/analyses/{make_analysis(owner, status='succeeded').pk}/receipt").json()
    assert receipt["credits"] == {"quoted": None, "charged": None, "refunded": None}
    assert receipt["machines"] == []
    assert receipt["cost_usd"] is None


@pytest.mark.django_db
def test_pages_show_balance_quote_and_receipt(owner: User, minute: Video, media: str):
    client = Client()
    client.force_login(owner)
    User.objects.filter(pk=owner.pk).update(plan="free")
    assert "600 credits</a>" in client.get("/").content.decode()
    assert 'data-quote="/api/quotes"' in client.get(f"/videos/{minute.pk}").content.decode()
    analysis = finished(owner)
    run(analysis, 10)
    end(analysis, "failed")
    page = client.get(f"/analyses/{analysis.pk}").content.decode()
    assert "g4dn.xlarge, spot" in page
    assert "Given back" in page
    account = client.get("/account").content.decode()
    assert "Plan Free" in account
    assert "2, 0 under way" in account
    assert f'<a href="/analyses/{analysis.pk}">Refund</a>' in account
    Analysis.objects.filter(pk=analysis.pk).update(deleted_at=datetime.now(UTC))
    assert f"/analyses/{analysis.pk}" not in client.get("/account").content.decode()
