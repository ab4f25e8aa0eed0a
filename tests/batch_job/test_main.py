"""The whole job: real PostgreSQL, real HTTP, real video, and a network that needs no training."""

import dataclasses
import errno
import json
import signal
import time
from pathlib import Path

import av.error
import cv2
import numpy as np
import psycopg
import pytest

from batch_job.main import main
from batch_job.video import Video
from contract.exit_codes import EXIT_DONE, EXIT_GIVE_UP, EXIT_TRY_AGAIN
from contract.jobs import SPOT_ATTEMPTS
from contract.manifest import RuntimeManifest
from contract.messages import AnalysisRequest
from tests.batch_job.halting import wait_until_halted
from tests.batch_job.job import Bench, committed_chunks, frame_times
from tests.batch_job.media import marching, write_video

pytestmark = pytest.mark.integration

LONG = 600


@pytest.fixture(scope="module")
def long_march(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to be killed in the middle."""
    return write_video(tmp_path_factory.mktemp("march") / "long.mp4", marching(LONG))


def run_here(bench: Bench, request: AnalysisRequest, **changes: str) -> int:
    """In this process: quicker, and what is imported and measured is the same."""
    return main(bench.environment(request, **changes))


def halting_after(times: int, place: str) -> tuple[str, ...]:
    return "tests.batch_job.halting", place, str(times)


def test_a_video_becomes_detections_tracks_and_thumbnails(bench: Bench, march: Path) -> None:
    """The main road, as a process with nothing but a container's environment."""
    request = bench.add_analysis(bench.upload(march), thumbnails=4)
    code, log = bench.run(request)
    assert code == EXIT_DONE, log

    row = bench.analysis(request)
    assert (row["status"], row["stage"], row["frames_done"], row["frames_total"]) == ("succeeded", "", 96, 96)
    assert row["events"] == [("running", "job"), ("succeeded", "job")]
    assert row["decode_report"]["decoded_frames"] == row["decode_report"]["declared_frames"] == 96
    assert {
        "fetch",
        "model",
        "decode",
        "preprocess",
        "detect",
        "postprocess",
        "track",
        "store",
        "thumbnails",
    } < set(row["stage_seconds"])

    rows = bench.rows(request)
    assert frame_times(rows) == [40_000 * number for number in range(96)]
    green = [detection for detection in rows["detections"] if detection[3] == 1]
    assert [detection[0] for detection in green] == list(range(96))
    assert {detection[4] for detection in green} == {green[0][4]}  # one object, one track
    assert all(detection[6:] == (64.0, 32.0, 96.0, 64.0, None) for detection in green)
    assert row["summary"]["per_class"]["green"] == {"detections": 96, "tracks": 1}
    assert len(rows["tracks"]) == row["summary"]["tracks"]
    assert sum(track[6] for track in rows["tracks"]) == sum(row[4] is not None for row in rows["detections"])

    thumbnails = row["summary"]["thumbnails"]
    assert [thumbnail["frame_index"] for thumbnail in thumbnails] == [12, 36, 60, 84]
    for thumbnail in thumbnails:
        jpeg = bench.s3.get_object(Bucket=bench.bucket, Key=thumbnail["key"])["Body"].read()
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (96, 160, 3)

    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["analysis_id"] for line in lines} == {str(request.analysis_id)}
    assert bench.database_url not in log
    assert list(bench.scratch.iterdir()) == []


@pytest.mark.parametrize("model", ["colours", "colours-segment"])
def test_a_killed_job_ends_as_if_it_had_not_been(bench: Bench, long_march: Path, model: str) -> None:
    """SIGKILL in the middle, then AWS Batch's next attempt: every row is that of an undisturbed run."""
    key = bench.upload(long_march)
    calm = bench.add_analysis(key, model=model, thumbnails=0)
    assert run_here(bench, calm, CHUNK_FRAMES="4") == EXIT_DONE

    killed = bench.add_analysis(key, model=model, thumbnails=0)
    program = halting_after(5, "batch_job.store:Store.write_chunk")
    with bench.start(killed, program=program, CHUNK_FRAMES="4") as process:
        wait_until_halted(process)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    stored = committed_chunks(bench.database_url, killed.analysis_id)
    assert 5 <= stored < LONG // 4
    assert bench.analysis(killed)["status"] == "running"
    before = committed_times(bench, killed)

    assert run_here(bench, killed, CHUNK_FRAMES="4", AWS_BATCH_JOB_ATTEMPT="2") == EXIT_DONE
    assert bench.rows(killed) == bench.rows(calm)
    assert committed_times(bench, killed)[: len(before)] == before  # nothing was done twice
    assert summary_of(bench, killed) == summary_of(bench, calm)
    assert bench.analysis(killed)["decode_report"] == bench.analysis(calm)["decode_report"]


def summary_of(bench: Bench, request: AnalysisRequest) -> dict[str, object]:
    """Without what names the analysis in the keys of pictures."""
    text = json.dumps(bench.analysis(request)["summary"])
    return dict(json.loads(text.replace(str(request.analysis_id), "")))


def annotated_video(bench: Bench, request: AnalysisRequest) -> bytes:
    key = bench.analysis(request)["summary"]["annotated_video"]
    content: bytes = bench.s3.get_object(Bucket=bench.bucket, Key=key)["Body"].read()
    return content


def test_an_annotated_video_has_every_frame_at_its_time(bench: Bench, march: Path, tmp_path: Path) -> None:
    request = bench.add_analysis(bench.upload(march), annotated_video=True, every_nth=3)
    assert run_here(bench, request) == EXIT_DONE
    (tmp_path / "annotated.mp4").write_bytes(annotated_video(bench, request))
    with Video(tmp_path / "annotated.mp4") as video:
        times = [frame.pts_us for frame in video.all_frames()]
    assert times == [40_000 * number for number in range(96)]
    assert list(bench.scratch.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_dies_while_it_draws_ends_as_if_it_had_not(
    bench: Bench, long_march: Path, number: signal.Signals
) -> None:
    """Nothing is analysed again, and the video is the same, byte for byte."""
    key = bench.upload(long_march)
    calm = bench.add_analysis(key, annotated_video=True)
    assert run_here(bench, calm) == EXIT_DONE

    killed = bench.add_analysis(key, annotated_video=True)
    program = halting_after(LONG // 2, "batch_job.annotated_video:_encodable")
    with bench.start(killed, program=program) as process:
        wait_until_halted(process)
        assert bench.analysis(killed)["stage"] == "drawing"
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGKILL, EXIT_TRY_AGAIN)
    assert (bench.analysis(killed)["status"], bench.analysis(killed)["summary"]) == ("running", None)

    assert run_here(bench, killed, AWS_BATCH_JOB_ATTEMPT="2") == EXIT_DONE
    assert bench.rows(killed) == bench.rows(calm)
    assert summary_of(bench, killed) == summary_of(bench, calm)
    assert annotated_video(bench, killed) == annotated_video(bench, calm)


def committed_times(bench: Bench, request: AnalysisRequest) -> list[object]:
    with psycopg.connect(bench.database_url) as connection:
        query = "SELECT committed_at FROM videos_chunk WHERE analysis_id = %s ORDER BY number"
        return [at for (at,) in connection.execute(query, (request.analysis_id,))]


@pytest.mark.parametrize("attempt", [1, SPOT_ATTEMPTS])
def test_sigterm_ends_the_job_quickly_and_leaves_the_verdict_to_batch(
    bench: Bench, long_march: Path, attempt: int
) -> None:
    """Spot, the time limit or TerminateJob: only Batch knows, and tells. What is committed stays."""
    request = bench.add_analysis(bench.upload(long_march), thumbnails=0)
    program = halting_after(3, "batch_job.store:Store.write_chunk")
    with bench.start(request, program=program, CHUNK_FRAMES="2", AWS_BATCH_JOB_ATTEMPT=str(attempt)) as process:
        wait_until_halted(process)
        process.terminate()
        process.send_signal(signal.SIGCONT)
        asked = time.monotonic()
        process.communicate(timeout=20)
    assert process.returncode == EXIT_TRY_AGAIN
    assert time.monotonic() - asked < 20
    row = bench.analysis(request)
    assert (row["status"], row["error_code"]) == ("running", "")
    assert 3 <= committed_chunks(bench.database_url, request.analysis_id) < LONG // 2


def test_a_second_container_does_no_work(bench: Bench, march: Path) -> None:
    """SQS delivered twice, and two jobs were submitted."""
    request = bench.add_analysis(bench.upload(march))
    assert run_here(bench, request) == EXIT_DONE
    before = bench.analysis(request), bench.rows(request)
    assert run_here(bench, request, AWS_BATCH_JOB_ID="job-2") == EXIT_DONE
    assert (bench.analysis(request), bench.rows(request)) == before


def test_a_container_that_fails_does_not_touch_what_another_has(bench: Bench) -> None:
    """A broken machine must not end an analysis that runs elsewhere."""
    request = bench.add_analysis("uploads/1/x")
    with psycopg.connect(bench.database_url) as connection:
        connection.execute(
            "UPDATE videos_analysis SET status = 'running', claim_job_id = 'other', claim_attempt = 1"
        )
    assert run_here(bench, request, MEDIA_BUCKET="") == EXIT_DONE
    assert bench.analysis(request)["status"] == "running"


def only_a_header(march: Path, folder: Path) -> Path:
    path = folder / "header.mp4"
    whole = write_video(path, marching(10), movflags="+faststart").read_bytes()
    path.write_bytes(whole[: whole.index(b"mdat") + 4])
    return path


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"not a video " * 100, "video_unreadable", id="text"),
        pytest.param(b"", "video_empty", id="empty"),
        pytest.param(None, "video_missing", id="missing"),
        pytest.param("header", "video_without_frames", id="header without frames"),
    ],
)
def test_a_bad_upload_is_told_to_the_user(
    bench: Bench, march: Path, tmp_path: Path, content: bytes | str | None, code: str
) -> None:
    """With a stable code and a sentence; running it again would change nothing."""
    path = tmp_path / "upload"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "header":
        path = only_a_header(march, tmp_path)
    key = "uploads/1/gone" if content is None else bench.upload(path)
    request = bench.add_analysis(key)
    assert run_here(bench, request) == EXIT_GIVE_UP
    row = bench.analysis(request)
    assert (row["status"], row["error_code"], row["error_retryable"]) == ("failed", code, False)
    assert row["error_message"]
    assert row["finished_at"] is not None
    assert row["events"] == [("running", "job"), ("failed", "job")]


@pytest.mark.parametrize(
    ("changes", "options", "code"),
    [
        pytest.param({"MEDIA_BUCKET": "", "CHUNK_FRAMES": "0"}, {}, "settings_invalid", id="settings"),
        pytest.param({"RUNTIME_MANIFEST": "/no/such/file"}, {}, "runtime_mismatch", id="no manifest"),
        pytest.param({"ENGINE": "torch"}, {}, "runtime_mismatch", id="engine without files"),
        pytest.param({}, {"model": "other"}, "model_unknown", id="unknown model"),
        pytest.param({}, {"classes": ("pink",)}, "options_invalid", id="unknown class"),
        pytest.param({}, {"image_size": 320}, "options_invalid", id="image size"),
    ],
)
def test_what_does_not_fit_is_told_although_nothing_was_begun(
    bench: Bench, march: Path, changes: dict[str, str], options: dict[str, object], code: str
) -> None:
    """A failure before the claim must reach the user too."""
    request = bench.add_analysis(bench.upload(march), **options)  # type: ignore[arg-type]
    assert run_here(bench, request, **changes) == EXIT_GIVE_UP
    row = bench.analysis(request)
    assert (row["status"], row["error_code"], row["claim_job_id"]) == ("failed", code, "job-1")


def test_a_changed_model_file_is_not_opened(bench: Bench, march: Path, tmp_path: Path) -> None:
    manifest = RuntimeManifest.from_json(bench.manifest.read_text())
    model, *_ = manifest.models
    form = model.formats["openvino"]
    files = dict.fromkeys(form.files, "0" * 64)
    forged = dataclasses.replace(model, formats={"openvino": dataclasses.replace(form, files=files)})
    path = tmp_path / "manifest.json"
    path.write_text(dataclasses.replace(manifest, models=(forged,)).to_json())
    request = bench.add_analysis(bench.upload(march))
    assert run_here(bench, request, RUNTIME_MANIFEST=str(path)) == EXIT_GIVE_UP
    assert bench.analysis(request)["error_code"] == "model_untrusted"


def test_a_passing_fault_is_left_to_the_next_attempt_and_the_last_one_tells(bench: Bench) -> None:
    """The storage is away: the attempts on Spot leave it to the one on On-Demand, which fails the analysis."""
    request = bench.add_analysis("uploads/1/x")
    nowhere = {"MEDIA_BUCKET": "no-such-bucket"}
    for attempt in range(1, SPOT_ATTEMPTS + 1):
        assert run_here(bench, request, **nowhere, AWS_BATCH_JOB_ATTEMPT=str(attempt)) == EXIT_TRY_AGAIN
    assert bench.analysis(request)["status"] == "running"
    last = bench.move_to_on_demand(request)
    assert run_here(bench, last, **nowhere, AWS_BATCH_JOB_ID="job-2") == EXIT_GIVE_UP
    row = bench.analysis(request)
    assert (row["status"], row["error_code"], row["error_retryable"]) == ("failed", "storage_unavailable", True)


def test_an_unexpected_fault_is_told_and_logged_with_its_cause(
    bench: Bench, march: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user hears of it at once, and an operator finds the line of code."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("batch_job.letterbox.Letterbox.place", broken)
    request = bench.add_analysis(bench.upload(march))
    assert run_here(bench, request) == EXIT_GIVE_UP
    assert bench.analysis(request)["error_code"] == "internal"
    assert "a mistake of ours" not in bench.analysis(request)["error_message"]
    assert "ZeroDivisionError: a mistake of ours" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "error", "code"),
    [
        pytest.param("batch_job.letterbox.Letterbox.place", MemoryError(), "out_of_memory", id="our memory"),
        pytest.param(
            "batch_job.container.av.open",
            av.error.MemoryError(errno.ENOMEM, "no memory"),
            "out_of_memory",
            id="FFmpeg's memory",
        ),
        pytest.param(
            "batch_job.arriving.ArrivingFile.add",
            OSError(errno.ENOSPC, "No space left on device"),
            "out_of_space",
            id="the disk, while the video comes",
        ),
    ],
)
def test_a_lack_of_memory_or_room_is_worth_another_attempt(
    bench: Bench,
    march: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: str,
    error: Exception,
    code: str,
) -> None:
    """FFmpeg tells it like any damage, but the next machine may have more."""

    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(place, broken)
    request = bench.add_analysis(bench.upload(march))
    assert run_here(bench, request) == EXIT_TRY_AGAIN
    assert bench.analysis(request)["status"] == "running"
    assert f'"code": "{code}"' in capsys.readouterr().err


def test_without_an_identity_the_exit_code_tells(capsys: pytest.CaptureFixture[str]) -> None:
    assert main({"DATABASE_URL": "postgresql://x:secret@y/z"}) == EXIT_GIVE_UP
    log = capsys.readouterr().err
    assert "ANALYSIS_REQUEST is missing" in log
    assert "secret" not in log


def test_a_damaged_video_gives_what_is_in_it(bench: Bench, march: Path, tmp_path: Path) -> None:
    """Skip, count, go on: and the user sees that it was so."""
    content = bytearray(march.read_bytes())
    middle = content.index(b"mdat") + (len(content) - content.index(b"mdat")) // 3
    content[middle : middle + 400] = np.random.default_rng(6).bytes(400)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(bytes(content))
    request = bench.add_analysis(bench.upload(path))
    assert run_here(bench, request) == EXIT_DONE
    report = bench.analysis(request)["decode_report"]
    assert report["decoded_frames"] == len(frame_times(bench.rows(request)))


def test_a_database_url_nobody_understands_is_given_up_and_not_repeated_in_the_log(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """It will not be another one next time, nobody but the log can be told, and it holds a password."""
    request = bench.add_analysis("uploads/1/x")
    assert run_here(bench, request, DATABASE_URL="postgresql://somebody:secret@[half") == EXIT_GIVE_UP
    log = capsys.readouterr().err
    assert "settings_invalid" in log
    assert "DATABASE_URL is not understood" in log
    assert "secret" not in log


def test_a_decoder_that_the_machine_does_not_have_is_refused_before_the_video_is_fetched(
    bench: Bench, march: Path
) -> None:
    """It would run, slowly, on a machine that somebody pays for its GPU."""
    request = bench.add_analysis(bench.upload(march))
    code, log = bench.run(request, DECODER="gpu")
    assert code == EXIT_GIVE_UP
    assert "DECODER=gpu is asked for on a machine without a GPU" in log
    assert bench.analysis(request)["error_code"] == "runtime_mismatch"
