"""An upload in parts: signed, sent in any order, listed, put together, or given up."""

import math
from datetime import timedelta
from typing import Any
from uuid import UUID

import moto.s3.models
import pytest
from django.db.models import F
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.gateways.s3 import MediaBucket
from backend.videos import uploads
from backend.videos.assembling import assemble_once
from backend.videos.expiring import expire_once
from backend.videos.models import Video
from contract.uploads import PARTS_AT_MOST, part_bytes, part_count, part_size
from tests.backend.test_uploads import send, start
from tests.strict_s3 import StrictS3, checksum

pytestmark = pytest.mark.django_db

PART = 4
CONTENT = b"one two three four five six seven"  # nine parts, the last of one byte
PARTS = [CONTENT[at : at + PART] for at in range(0, len(CONTENT), PART)]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 MiB of each would take seconds."""
    monkeypatch.setattr(uploads, "part_bytes", lambda size_bytes: PART)
    monkeypatch.setattr(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", 1)


def begin(api: APIClient, *, algorithm: str = "SHA256", content: bytes = CONTENT) -> dict[str, Any]:
    chosen = {"checksum_algorithm": algorithm} if algorithm else {}
    answer = start(api, size_bytes=len(content), multipart=True, **chosen)
    assert answer.status_code == 201, answer.json()
    video: dict[str, Any] = answer.json()
    return video


def sign(api: APIClient, video: dict[str, Any], *numbers: int, parts: list[bytes] = PARTS) -> Any:
    algorithm = video["parts"]["checksum_algorithm"]
    asked = [
        {"number": number, **({"checksum": checksum(algorithm, parts[number - 1])} if algorithm else {})}
        for number in numbers
    ]
    return api.post(video["links"]["sign"], {"parts": asked}, format="json")


def upload_parts(api: APIClient, video: dict[str, Any], *numbers: int, parts: list[bytes] = PARTS) -> None:
    for signed in sign(api, video, *numbers, parts=parts).json()["parts"]:
        assert send(signed, parts[signed["number"] - 1]).status_code == 200


def finish(api: APIClient, video: dict[str, Any], **body: Any) -> Any:
    return api.post(video["links"]["finish"], body, format="json")


def test_parts_become_the_file(api: APIClient, media: str, s3_client: Any):
    video = begin(api)
    assert video["parts"] == {"size_bytes": PART, "count": 9, "checksum_algorithm": "SHA256"}
    assert "upload" not in video
    upload_parts(api, video, 9, 1, 3, 2, 5, 4, 8, 7, 6)
    finished = finish(api, video, checksum=checksum("SHA256", *PARTS))
    assert (finished.status_code, finished.json()["status"]) == (202, "probing")
    assert assemble_once(MediaBucket(media)) == 1
    assert finished.json()["checksum"] == {"algorithm": "SHA256", "value": checksum("SHA256", *PARTS)}
    row = Video.objects.get()
    stored = s3_client.get_object(Bucket=media, Key=row.key)
    assert (stored["Body"].read(), stored["ETag"]) == (CONTENT, row.etag)


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32", ""])
def test_part_that_changed_on_the_way_is_refused_by_the_storage(api: APIClient, media: str, algorithm: str):
    video = begin(api, algorithm=algorithm)
    (signed,) = sign(api, video, 1).json()["parts"]
    assert send(signed, b"oNe ").status_code == (400 if algorithm else 200)
    assert send(signed, b"one").status_code == 403  # not the signed size
    assert send(signed, PARTS[0]).status_code == 200


def test_finish_tells_which_parts_are_missing_and_goes_on_when_they_are_there(api: APIClient, media: str):
    video = begin(api)
    upload_parts(api, video, 1, 2, 4, 5, 6, 8)
    answer = finish(api, video)
    assert (answer.status_code, answer.json()["code"]) == (400, "upload_incomplete")
    assert answer.json()["errors"] == {"parts": ["These are missing or of the wrong size: 3, 7, 9."]}
    upload_parts(api, video, 3, 7, 9)
    assert finish(api, video).status_code == 202


def test_interrupted_upload_is_taken_up_from_the_list_of_its_parts(api: APIClient, media: str):
    video = begin(api)
    upload_parts(api, video, 2, 3)
    listed = api.get(video["links"]["parts"]).json()
    assert [(part["number"], part["size_bytes"]) for part in listed["results"]] == [(2, 4), (3, 4)]
    assert listed["next"] is None
    upload_parts(api, video, *({*range(1, 10)} - {2, 3}))
    assert finish(api, video).status_code == 202


def test_long_lists_come_in_pages(api: APIClient, media: str, monkeypatch: pytest.MonkeyPatch):
    for module in ("backend.gateways.s3", "backend.videos.upload_apis"):
        monkeypatch.setattr(f"{module}.PARTS_LISTED", 2)
    video = begin(api)
    upload_parts(api, video, *range(1, 10))
    numbers, link = [], video["links"]["parts"]
    while link:
        page = api.get(link).json()
        numbers += [part["number"] for part in page["results"]]
        link = page["next"]
    assert numbers == list(range(1, 10))
    assert finish(api, video).status_code == 202


def test_part_whose_url_expired_is_signed_again(api: APIClient, media: str, strict_s3: StrictS3):
    video = begin(api)
    (signed,) = sign(api, video, 1).json()["parts"]
    strict_s3.later = timedelta(seconds=3601)
    try:
        assert send(signed, PARTS[0]).status_code == 403
    finally:
        strict_s3.later = timedelta()
    upload_parts(api, video, 1)


def test_file_that_changed_between_two_sittings_is_found_out(api: APIClient, media: str, s3_client: Any):
    """Each of its parts is whole, and together they are neither the old file nor the new one."""
    video = begin(api)
    upload_parts(api, video, 1, 2, 3)
    changed = [b"ONE ", *PARTS[1:]]
    upload_parts(api, video, *range(4, 10), parts=changed)
    answer = finish(api, video, checksum=checksum("SHA256", *changed))
    assert (answer.status_code, answer.json()["code"]) == (400, "upload_checksum_mismatch")
    assert Video.objects.get().status == "uploading"  # the list of parts tells which to send again
    upload_parts(api, video, 1, parts=changed)
    assert finish(api, video, checksum=checksum("SHA256", *changed)).status_code == 202
    assert assemble_once(MediaBucket(media)) == 1
    assert s3_client.get_object(Bucket=media, Key=Video.objects.get().key)["Body"].read() == b"".join(changed)


def test_file_that_is_put_together_already_is_finished(api: APIClient, media: str, s3_client: Any):
    """S3 has done it, and whoever asked it to died before they could note that."""
    video = begin(api)
    upload_parts(api, video, *range(1, 10))
    row = Video.objects.get()
    listed = s3_client.list_parts(Bucket=media, Key=row.key, UploadId=row.upload_id)["Parts"]
    parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in listed]
    s3_client.complete_multipart_upload(
        Bucket=media, Key=row.key, UploadId=row.upload_id, MultipartUpload={"Parts": parts}
    )
    assert finish(api, video).status_code == 202
    assert assemble_once(MediaBucket(media)) == 1
    assert Video.objects.get().etag == s3_client.head_object(Bucket=media, Key=row.key)["ETag"]


def test_upload_that_the_bucket_has_ended_says_so(api: APIClient, media: str, s3_client: Any):
    """Its lifecycle rule aborts what is too old."""
    video = begin(api)
    row = Video.objects.get()
    s3_client.abort_multipart_upload(Bucket=media, Key=row.key, UploadId=row.upload_id)
    assert finish(api, video).json()["code"] == "upload_aborted"
    assert Video.objects.get().status == "aborted"


def test_abort_throws_away_what_has_arrived(api: APIClient, media: str, s3_client: Any):
    video = begin(api)
    upload_parts(api, video, 1, 2)
    assert api.post(video["links"]["abort"]).json()["status"] == "aborted"
    assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=media)
    for answer in (sign(api, video, 1), api.get(video["links"]["parts"]), finish(api, video)):
        assert (answer.status_code, answer.json()["code"]) == (409, "upload_aborted")


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        pytest.param([{"number": 0, "checksum": checksum("SHA256", b"")}], "invalid", id="no such part"),
        pytest.param([{"number": 10, "checksum": checksum("SHA256", b"")}], "invalid", id="behind the last"),
        pytest.param([{"number": 1}], "invalid", id="no checksum"),
        pytest.param([{"number": 1, "checksum": checksum("CRC32", b"")}], "invalid", id="another algorithm"),
        pytest.param([{"number": 1, "checksum": "x"}], "invalid", id="no base64"),
        pytest.param(
            [{"number": n, "checksum": checksum("SHA256", b"")} for n in range(1, 102)], "invalid", id="101"
        ),
        pytest.param([], "invalid", id="none"),
    ],
)
def test_faulty_parts_are_refused(api: APIClient, media: str, parts: Any, code: str):
    answer = api.post(begin(api)["links"]["sign"], {"parts": parts}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert any(name.startswith("parts") for name in answer.json()["errors"])


def test_file_in_one_piece_has_no_parts(api: APIClient, media: str):
    video = start(api).json()
    for answer in (
        api.get(video["links"]["parts"]),
        api.post(video["links"]["sign"], {"parts": [{"number": 1}]}, format="json"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "upload_not_in_parts")
    assert finish(api, video, checksum="AAAAAA==").status_code == 400


def test_slip_of_the_client_does_not_cost_it_the_upload(api: APIClient, media: str):
    """Another algorithm's checksum is no sign of a damaged file."""
    video = begin(api)
    upload_parts(api, video, *range(1, 10))
    assert finish(api, video, checksum=checksum("CRC32", *PARTS)).json()["code"] == "invalid"
    assert finish(api, video, checksum=checksum("SHA256", *PARTS)).status_code == 202


def test_upload_that_nobody_goes_on_with_ends_and_leaves_nothing(api: APIClient, media: str, s3_client: Any):
    bucket = MediaBucket(media)
    old, new, done = begin(api), begin(api), begin(api)
    upload_parts(api, old, 1)
    upload_parts(api, done, *range(1, 10))
    finish(api, done)
    assert assemble_once(bucket) == 1
    later(hours=25)
    upload_parts(api, new, 1)  # a URL was handed out just now
    while expire_once(bucket):
        pass
    assert {str(pk) for pk in Video.objects.values_list("pk", flat=True)} == {new["id"], done["id"]}
    (left,) = s3_client.list_multipart_uploads(Bucket=media)["Uploads"]
    assert left["UploadId"] == Video.objects.get(pk=new["id"]).upload_id
    assert s3_client.list_objects_v2(Bucket=media)["KeyCount"] == 1


def test_what_comes_by_an_old_url_after_the_abort_is_removed_as_well(api: APIClient, media: str, s3_client: Any):
    bucket, video = MediaBucket(media), start(api).json()
    api.post(video["links"]["abort"])
    assert expire_once(bucket) == 0  # the URL is still good
    assert send(video["upload"], b"12345").status_code == 200
    later(hours=1.5)
    assert expire_once(bucket) == 1
    assert s3_client.list_objects_v2(Bucket=media)["KeyCount"] == 0
    assert api.get(video["links"]["self"]).status_code == 404


def later(*, hours: float) -> None:
    Video.objects.update(signed_at=F("signed_at") - timedelta(hours=hours))


@pytest.mark.parametrize("size", [1, 2**24 - 1, 2**24, 2**24 + 1, 10_000 * 2**24, 10_000 * 2**24 + 1, 5 * 1024**4])
def test_parts_cover_the_file_within_the_limits_of_s3(size: int):
    """At least 5 MiB each but the last, at most 5 GiB, at most 10,000 of them."""
    each = part_bytes(size)
    count = part_count(size, each)
    assert 5 * 1024**2 <= each <= 5 * 1024**3
    assert count == math.ceil(size / each) <= PARTS_AT_MOST
    assert (count - 1) * each + part_size(size, each, count) == size
    assert 1 <= part_size(size, each, count) <= each


class AnyOrder(RuleBasedStateMachine):
    """A client that repeats, forgets, and goes on elsewhere: what is finished is always the whole file."""

    api: APIClient
    owner: User
    bucket: str
    s3: Any

    @initialize(algorithm=st.sampled_from(["SHA256", "CRC32", ""]))
    def begin(self, algorithm: str) -> None:
        self.video = begin(self.api, algorithm=algorithm)
        self.arrived: dict[int, bytes] = {}
        self.signed: dict[int, dict[str, Any]] = {}
        self.over = ""  # then aborted or finished
        self.one = False  # of the parts, one object was made

    @rule(numbers=st.sets(st.integers(1, 9), min_size=1))
    def sign(self, numbers: set[int]) -> None:
        answer = sign(self.api, self.video, *numbers)
        if self.over:
            assert answer.status_code == 409
        else:
            self.signed |= {part["number"]: part for part in answer.json()["parts"]}

    @precondition(lambda self: self.signed and not self.over)
    @rule(data=st.data())
    def put(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.signed)))
        assert send(self.signed[number], PARTS[number - 1]).status_code == 200
        self.arrived[number] = PARTS[number - 1]

    @precondition(lambda self: self.signed and not self.over and self.video["parts"]["checksum_algorithm"])
    @rule(data=st.data())
    def put_rubbish(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.signed)))
        assert send(self.signed[number], b"?" * len(PARTS[number - 1])).status_code == 400

    @rule()
    def list(self) -> None:
        answer = self.api.get(self.video["links"]["parts"])
        if self.over:
            assert answer.status_code == 409
        else:
            numbers = [part["number"] for part in answer.json()["results"]]
            assert numbers == sorted(self.arrived)

    @rule(stated=st.booleans())
    def finish(self, stated: bool) -> None:
        algorithm = self.video["parts"]["checksum_algorithm"]
        body = {"checksum": checksum(algorithm, *PARTS)} if stated and algorithm else {}
        answer = finish(self.api, self.video, **body)
        if self.over == "aborted":
            assert answer.json()["code"] == "upload_aborted"
        elif self.over or len(self.arrived) == len(PARTS):
            assert (answer.status_code, answer.json()["status"]) == (202, "probing")
            self.over = "finished"
        else:
            assert answer.json()["code"] == "upload_incomplete"

    @rule()
    def fill_and_finish(self) -> None:
        """Otherwise few runs would come to an end."""
        missing = [number for number in range(1, 10) if number not in self.arrived]
        if missing and not self.over:
            upload_parts(self.api, self.video, *missing)
            self.arrived |= {number: PARTS[number - 1] for number in missing}
        self.finish(stated=True)
        self.assemble()

    @rule()
    def assemble(self) -> None:
        """The worker comes, late or often."""
        due = self.over == "finished" and not self.one
        assert assemble_once(MediaBucket(self.bucket)) == due
        self.one |= due

    @rule()
    def abort(self) -> None:
        answer = self.api.post(self.video["links"]["abort"])
        if self.over == "finished":
            assert answer.json()["code"] == "upload_over"
        else:
            assert answer.json()["status"] == "aborted"
            self.over = "aborted"

    @invariant()
    def object_is_there_if_and_only_if_it_was_put_together(self) -> None:
        if not hasattr(self, "video"):
            return
        key = f"uploads/{self.owner.pk}/{UUID(self.video['id'])}"
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=key)["KeyCount"]
        assert found == self.one
        if found:
            assert self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() == CONTENT


def test_calls_in_any_order_and_number_give_the_whole_file_or_none(
    api: APIClient, owner: User, media: str, s3_client: Any
):
    machine = type("Machine", (AnyOrder,), {"api": api, "owner": owner, "bucket": media, "s3": s3_client})
    case = machine.TestCase
    case.settings = hypothesis_settings(max_examples=15, stateful_step_count=12)
    case().runTest()
