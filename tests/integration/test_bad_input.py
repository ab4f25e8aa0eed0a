"""Rubbish gets one clear sentence, and nobody else's work is touched."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import boto3
import numpy as np
import psycopg
import pytest

from client import ApiError, VideoRefused
from contract.messages import AnalysisRequest
from demo.video import make_demo_video, write_video

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


def text_file(path: Path) -> None:
    path.write_text("Dear diary, this is not a video.\n" * 50)


def header_without_frames(path: Path) -> None:
    """An MP4 whose table of samples stands, but whose samples are all zeros."""
    write_video(path, (np.full((64, 64, 3), 40 * n, np.uint8) for n in range(5)), fps=10)
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    content[start:] = bytes(len(content) - start)
    path.write_bytes(content)


def playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        pytest.param(text_file, "video_unreadable", id="a text named mp4"),
        pytest.param(header_without_frames, "video_without_frames", id="a header but no frames"),
        pytest.param(playlist, "video_unreadable", id="a playlist that points at our files"),
    ],
)
def test_a_file_that_is_no_video_is_refused_before_a_machine_is_asked_for(product, tmp_path, make, code):
    """The user learns at once what is wrong with the file and that trying again is pointless."""
    path = tmp_path / "holiday.mp4"
    make(path)

    with pytest.raises(VideoRefused) as refusal:
        product.client.upload(path)

    assert (refusal.value.code, refusal.value.retryable) == (code, False)
    assert str(refusal.value).endswith(".")


def test_an_empty_file_is_refused_before_anything_is_sent(product, tmp_path):
    path = tmp_path / "holiday.mp4"
    path.touch()

    with pytest.raises(ApiError) as refusal:
        product.client.upload(path)

    assert refusal.value.code == "file_empty"


@pytest.mark.parametrize(
    ("model", "options", "field"),
    [
        pytest.param("yolo-nonsense", {}, "model", id="unknown model"),
        pytest.param("demo-shapes", {"confidence": 7}, "options.confidence", id="option out of range"),
        pytest.param("demo-shapes", {"sharpness": 1}, "options.sharpness", id="unknown option"),
        pytest.param("demo-shapes", {"classes": ["zebra"]}, "options.classes", id="class the model lacks"),
    ],
)
def test_a_faulty_request_is_refused_with_its_field_before_anything_is_queued(
    product, tmp_path, model, options, field
):
    """A person mends a named field; a job that fails minutes later helps nobody."""
    video = make_demo_video(tmp_path / "scene.mp4", seconds=0.2)
    video_id = product.client.upload(video.path)["id"]
    with psycopg.connect(product.stack.database_url) as connection:
        before = queued(connection)

        with pytest.raises(ApiError) as refusal:
            product.client.request_analysis(video_id, model=model, options=options)

        assert refusal.value.status == 400
        assert field in refusal.value.errors
        assert queued(connection) == before


def test_a_foreign_or_unknown_video_is_not_found(product):
    """Whether an id exists is nobody else's business."""
    with pytest.raises(ApiError) as refusal:
        product.client.request_analysis(UNKNOWN_ID, model="demo-shapes")

    assert (refusal.value.status, list(refusal.value.errors)) == (404, ["video"])


def test_a_malformed_message_goes_to_the_dead_letters_alone(product, tmp_path):
    """Its neighbours in the same batch go through, and the worker keeps what it said."""
    sqs = queues(product)
    url = product.stack.account.requests_queue_url
    video = make_demo_video(tmp_path / "scene.mp4", seconds=0.5)
    bad = [json.dumps({"version": 1, "analysis_id": "42"}), "\u2603 not JSON", AnalysisRequest.__name__]

    with received_at_most(sqs, url, 3):
        for body in bad:
            sqs.send_message(QueueUrl=url, MessageBody=body)
        state = product.analyse(video.path)

        assert state["status"] == "succeeded"
        with psycopg.connect(product.stack.database_url, autocommit=True) as connection:
            deadline = time.monotonic() + 120
            while (kept := letters(connection)) != sorted(bad) and time.monotonic() < deadline:
                time.sleep(0.5)
    assert kept == sorted(bad)


@contextmanager
def received_at_most(sqs, url: str, times: int) -> Iterator[None]:
    """Before a message is buried: the stack's own number is for tests that kill the poller."""
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"][
        "RedrivePolicy"
    ]
    changed = json.dumps({**json.loads(before), "maxReceiveCount": times})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": changed})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": before})


def letters(connection: psycopg.Connection) -> list[str]:
    return sorted(body for (body,) in connection.execute("SELECT body FROM videos_deadrequest"))


def queues(product):
    environment = product.stack.aws_environment
    return boto3.client(
        "sqs",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_DEFAULT_REGION"],
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def test_a_damaged_video_is_analysed_as_far_as_it_goes_and_says_so(product, tmp_path):
    """Half a result is worth having, and must never pass for a whole one."""
    video = make_demo_video(tmp_path / "scene.mp4", seconds=2)
    content = bytearray(video.path.read_bytes())
    with av.open(str(video.path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        places = [(packet.pos, packet.size) for packet in packets[20:24]]
    for position, size in places:
        content[position : position + size] = bytes(size)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)

    state = product.analyse(damaged)

    report = state["decode_report"]
    assert state["status"] == "succeeded"
    assert report["declared_frames"] == video.frame_count
    assert 0 < report["decoded_frames"] < video.frame_count
    assert report["skipped"]


def queued(connection: psycopg.Connection) -> tuple[int, int]:
    connection.commit()
    analyses = connection.execute("SELECT count(*) FROM videos_analysis").fetchone()
    messages = connection.execute("SELECT count(*) FROM videos_outboxmessage").fetchone()
    assert analyses is not None
    assert messages is not None
    return analyses[0], messages[0]
