"""Large files and long videos, from the client's disk to the result."""

import time
from fractions import Fraction
from itertools import islice
from pathlib import Path

import boto3
import httpx
import psycopg

from contract.uploads import PART_BYTES_AT_LEAST
from demo.scenes import Scene, render_scene
from demo.video import make_demo_video, write_video


def large(path: Path) -> Path:
    """An MP4 with as much room in it as makes three parts."""
    content = make_demo_video(path, seconds=1).path.read_bytes()
    path.write_bytes(filled(content, len(content) + 2 * PART_BYTES_AT_LEAST))
    return path


def filled(content: bytes, size: int) -> bytes:
    """So many bytes, with a box at the end that players skip."""
    room = size - len(content)
    return content + room.to_bytes(4, "big") + b"free" + bytes(room - 8)


def test_large_file_is_sent_in_parts_and_analysed(product, tmp_path):
    """By real HTTP; each part and the whole are checked on the way."""
    video_id = product.client.upload(large(tmp_path / "large.mp4"), in_parts=True)["id"]
    state = product.wait(product.client.request_analysis(video_id, model="demo-shapes")["id"])

    video = asked(product, f"/api/videos/{video_id}")
    assert (video["parts"]["count"], video["checksum"]["algorithm"]) == (3, "SHA256")
    assert (video["facts"]["duration_us"], video["facts"]["frames"]) == (1_000_000, 30)
    assert (state["status"], state["summary"]["frames"]) == ("succeeded", 30)


def test_long_video_is_shared_out_among_an_array_of_jobs(product, tmp_path):
    """The probe's length travels with the request; the Lambda asks for a job for each 20 minutes."""
    pictures = (frame.image for frame in islice(render_scene(Scene(seed=90_004, frame_count=50)), 50))
    path = tmp_path / "long.mp4"
    write_video(path, pictures, fps=Fraction(1, 60), gop=8)

    analysis_id = product.request(path)
    state = product.wait(analysis_id)

    assert (state["status"], state["summary"]["frames"]) == ("succeeded", 50)
    batch = boto3.client(
        "batch",
        endpoint_url=product.stack.aws_environment["AWS_ENDPOINT_URL_BATCH"],
        region_name=product.stack.aws_environment["AWS_DEFAULT_REGION"],
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    with psycopg.connect(product.stack.database_url) as connection:
        known = connection.execute("SELECT batch_job_id FROM videos_analysis WHERE id = %s", [analysis_id])
        (job_id,) = known.fetchone()
    (job,) = batch.describe_jobs(jobs=[job_id.partition(":")[0]])["jobs"]
    assert job["arrayProperties"]["size"] == 3


def test_file_that_is_replaced_after_the_look_is_not_analysed(product, tmp_path):
    """The URL is good for an hour; what was checked must be what is analysed."""
    first = make_demo_video(tmp_path / "first.mp4", seconds=0.5).path.read_bytes()
    second = make_demo_video(tmp_path / "second.mp4", seconds=0.5, seed=21).path.read_bytes()
    size = max(len(first), len(second)) + 8
    first, second = (filled(film, size) for film in (first, second))
    started = asked(product, "/api/videos", {"filename": "film.mp4", "size_bytes": size})
    send(started, first)
    asked(product, started["links"]["finish"], {})
    while asked(product, started["links"]["self"])["status"] == "probing":
        time.sleep(0.1)
    send(started, second)

    state = product.wait(product.client.request_analysis(started["id"], model="demo-shapes")["id"])

    assert (state["status"], state["error"]["code"]) == ("failed", "video_changed")


def asked(product, path, body=None):
    headers = {"Authorization": f"Api-Key {product.stack.api_key}"}
    method = "GET" if body is None else "POST"
    answer = httpx.request(
        method, product.stack.url + path, headers=headers, json=body, trust_env=False, timeout=90
    )
    assert answer.is_success, answer.text
    return answer.json()


def send(started, content):
    upload = started["upload"]
    answer = httpx.put(upload["url"], headers=upload["headers"], content=content, trust_env=False, timeout=90)
    answer.raise_for_status()
