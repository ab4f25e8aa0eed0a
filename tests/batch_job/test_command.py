"""The command for a person: a video and a model in, a folder out, and plain words when something is wrong."""

import csv
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from batch_job.command import command
from batch_job.video import Video
from contract.errors import FAILURES, ErrorCode
from contract.options import LIMITS
from tests.batch_job.job import ROOT, Bench
from tests.batch_job.media import marching, write_video
from tests.batch_job.models import save_colour_network

METADATA = "task: detect\nnames: {0: red, 1: green, 2: blue}\nimgsz: [96, 160]\nstride: 32\n"
# As in a container that has neither: the command needs no AWS and no database.
WITHOUT = "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(',')));"
RUN = "from batch_job.command import command; sys.exit(command(sys.argv[1:]))"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as ultralytics exports it."""
    folder = tmp_path_factory.mktemp("models") / "colours_openvino_model"
    save_colour_network(folder)
    (folder / "metadata.yaml").write_text(METADATA)
    return folder


@pytest.fixture(scope="module")
def long_march(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("march") / "long.mp4", marching(1500))


def analyse(video: Path, model: Path | str, out: Path, *more: str) -> int:
    return command(["analyse", str(video), "--model", str(model), "--out", str(out), *more])


def process(
    *arguments: object, without: str = "boto3,psycopg", first: str = "", **options: Any
) -> subprocess.Popen[str]:
    """A person's shell: nothing of ours in the environment. `first` is code that runs before."""
    kept = ("PATH", "LD_LIBRARY_PATH", "HOME")
    return subprocess.Popen(
        [sys.executable, "-c", f"{WITHOUT}\n{first}\n{RUN}", without, "analyse", *map(str, arguments)],
        cwd=ROOT,
        env={name: os.environ[name] for name in kept if name in os.environ},
        stdout=subprocess.PIPE,
        text=True,
        **({"stderr": subprocess.PIPE} | options),
    )


def read(out: Path, name: str) -> Any:
    text = (out / name).read_text()
    return [json.loads(line) for line in text.splitlines()] if name.endswith("l") else json.loads(text)


def test_a_video_becomes_a_folder_of_results(export: Path, march: Path, tmp_path: Path) -> None:
    out = tmp_path / "results" / "march"
    with process(march, "--model", export, "--out", out, "--annotated", "--thumbnails", 2) as running:
        said, errors = running.communicate(timeout=120)
    assert (running.returncode, errors) == (0, "")
    assert "96 frames" in said
    assert f"Results: {out}" in said

    assert {path.name for path in out.iterdir()} == {
        *("detections.jsonl", "tracks.json", "seconds.json", "report.json", "summary.json"),
        *("poster.jpg", "annotated.mp4", "thumbnails"),
    }
    summary = read(out, "summary.json")
    assert (summary["video"], summary["model"], summary["frames"]) == ("march.mp4", "colours", 96)
    assert (summary["engine"], summary["precision"]) == ("openvino", "f32")
    assert summary["per_class"]["green"] == {"detections": 96, "tracks": 1}
    assert summary["options"]["annotated_video"]
    assert read(out, "report.json")["decoded_frames"] == 96
    assert [thumbnail["key"] for thumbnail in summary["thumbnails"]] == [
        "thumbnails/000.jpg",
        "thumbnails/001.jpg",
    ]
    for name in (summary["poster"], *(thumbnail["key"] for thumbnail in summary["thumbnails"])):
        picture = cv2.imread(str(out / name))
        assert picture is not None
        assert picture.shape == (96, 160, 3)
    with Video(out / summary["annotated_video"]) as video:
        assert [frame.pts_us for frame in video.all_frames()] == [40_000 * number for number in range(96)]


@pytest.mark.parametrize(
    ("model", "geometry"),
    [("colours", None), ("colours-segment", "polygon"), ("colours-pose", "keypoints"), ("colours-obb", "obb")],
)
def test_the_job_and_the_command_find_the_same(
    bench: Bench, march: Path, tmp_path: Path, model: str, geometry: str | None
) -> None:
    """One engine underneath; only where results go differs. By the model's name in the manifest."""
    request = bench.add_analysis(bench.upload(march), model=model, every_nth=2)
    code, log = bench.run(request)
    assert code == 0, log
    rows = bench.rows(request)
    manifest = ("--manifest", str(bench.manifest))
    assert analyse(march, model, tmp_path / "out", "--every-nth", "2", *manifest) == 0

    detections = read(tmp_path / "out", "detections.jsonl")
    assert len(detections) > 96
    for mine, (*row, shape) in zip(detections, rows["detections"], strict=True):
        del mine["class"]
        ours = None if geometry is None else np.ravel(mine.pop(geometry)).tolist()
        assert ours == pytest.approx(shape)
        assert list(mine.values()) == [pytest.approx(value, abs=1e-3) for value in row]
    for mine, row in zip(read(tmp_path / "out", "tracks.json"), rows["tracks"], strict=True):
        del mine["class"], mine["duration_us"]
        assert list(mine.values()) == [*row[:7], pytest.approx(row[7], abs=1e-6), row[8]]
    seconds = [tuple(row.values()) for row in read(tmp_path / "out", "seconds.json")]
    assert [(*row[:2], *row[3:]) for row in seconds] == rows["seconds"]
    summary, own = bench.analysis(request)["summary"], read(tmp_path / "out", "summary.json")
    assert {name: own[name] for name in ("frames", "detections", "tracks", "per_class")} == {
        name: summary[name] for name in ("frames", "detections", "tracks", "per_class")
    }
    assert read(tmp_path / "out", "report.json") == bench.analysis(request)["decode_report"]


def test_options_are_those_of_the_job(export: Path, march: Path, tmp_path: Path) -> None:
    options = ("--class", "green", "--class", "red", "--no-track", "--confidence", "0.5", "--thumbnails", "0")
    assert analyse(march, export / "colours.xml", tmp_path / "out", *options) == 0
    detections = read(tmp_path / "out", "detections.jsonl")
    assert {row["class"] for row in detections} == {"green", "red"}
    assert {row["track_id"] for row in detections} == {None}
    assert read(tmp_path / "out", "tracks.json") == []
    assert not (tmp_path / "out" / "thumbnails").exists()


def test_what_is_not_tracked_has_no_column_of_tracks(
    export: Path, march: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert analyse(march, export, tmp_path / "out", "--no-track") == 0
    _, heading, *_ = capsys.readouterr().out.splitlines()
    assert heading.split() == ["class", "detections"]


def test_detections_come_in_the_formats_that_are_asked_for(export: Path, march: Path, tmp_path: Path) -> None:
    """The writers are those of the API; which of them was asked for before does not matter."""
    out = tmp_path / "out"
    assert analyse(march, export, out, "--export", "csv", "--export", "coco") == 0
    coco = json.loads((out / "detections.coco.json").read_text())
    assert len(coco["images"]) == 96
    with (out / "detections.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    detections = read(out, "detections.jsonl")
    assert [int(row["frame_index"]) for row in rows] == [row["frame_index"] for row in detections]
    assert len(coco["annotations"]) == len(rows)
    assert analyse(march, export, out, "--overwrite", "--export", "motchallenge") == 0
    assert {path.name for path in out.glob("detections*")} == {"detections.jsonl", "detections.mot.txt"}


def test_a_format_that_cannot_be_written_is_refused_before_the_work(
    export: Path, march: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exports.formats.find_spec", lambda _: None)
    assert analyse(march, export, tmp_path / "out", "--export", "parquet") == 1
    assert capsys.readouterr().err == "Writing Parquet takes pyarrow: .venv/bin/python -m pip install pyarrow.\n"
    assert not (tmp_path / "out").exists()


# Stands still with its first chunk until there is a file "go on", so that it cannot end before the signal comes.
HALTED = """
import pathlib, time
from batch_job.folder import FolderResults
there = pathlib.Path({there!r})
write = FolderResults.write_chunk
def halted(*arguments, **named):
    (there / "begun").touch()
    while not (there / "go on").exists():
        time.sleep(0.01)
    return write(*arguments, **named)
FolderResults.write_chunk = halted
"""


def test_ctrl_c_stops_with_one_line_and_leaves_nothing(export: Path, long_march: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = HALTED.format(there=str(tmp_path))
    with process(long_march, "--model", export, "--out", out, first=first) as running:
        deadline = time.monotonic() + 90
        while not (tmp_path / "begun").exists():
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert list(out.glob(".analysis-*/*/chunks.sqlite3"))
        running.send_signal(signal.SIGINT)
        (tmp_path / "go on").touch()
        said, errors = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, "")
    assert errors == f"Stopped; nothing was written to {out}.\n"
    assert not out.exists()


@pytest.mark.parametrize(
    ("without", "shown"),
    [
        pytest.param("boto3", "analysing", id="a bar"),
        pytest.param("rich,rich.console,rich.progress", "pip install rich", id="how to get one"),
    ],
)
def test_a_terminal_sees_how_far_it_is(
    export: Path, long_march: Path, tmp_path: Path, without: str, shown: str
) -> None:
    ours, theirs = pty.openpty()
    with process(
        long_march, "--model", export, "--out", tmp_path / "out", "--annotated", without=without, stderr=theirs
    ) as running:
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            seen += piece
        running.communicate(timeout=60)
    os.close(ours)
    assert running.returncode == 0, seen
    assert shown in seen.decode()
    drawing = [line for line in seen.decode().splitlines() if "drawing" in line]
    assert not any("1500/1500" in line for line in drawing)  # it has only begun, and nobody counts it
    assert any("1500/?" in line for line in drawing) == (shown == "analysing")


def test_results_are_not_mixed_with_what_is_there(
    export: Path, march: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a person's own files stay whatever is said."""
    (tmp_path / "notes.txt").write_text("mine")
    assert analyse(march, export, tmp_path) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert analyse(march, export, tmp_path, "--overwrite", "--annotated") == 0
    assert analyse(march, export, tmp_path, "--overwrite", "--thumbnails", "0") == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "annotated.mp4").exists()
    assert not (tmp_path / "thumbnails").exists()


def test_what_is_no_result_is_not_replaced(
    export: Path, march: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the video itself, nor files that only happen to have our names."""
    (tmp_path / "annotated.mp4").write_bytes(march.read_bytes())
    assert analyse(tmp_path / "annotated.mp4", export, tmp_path, "--overwrite") == 1
    assert "itself would be replaced" in capsys.readouterr().err
    assert analyse(march, export, tmp_path, "--overwrite") == 1
    assert "annotated.mp4, and they are no results" in capsys.readouterr().err
    assert (tmp_path / "annotated.mp4").read_bytes() == march.read_bytes()


def test_a_persons_own_pictures_among_the_thumbnails_stay(export: Path, march: Path, tmp_path: Path) -> None:
    assert analyse(march, export, tmp_path / "out") == 0
    (tmp_path / "out" / "thumbnails" / "holiday.jpg").write_bytes(b"mine")
    assert analyse(march, export, tmp_path / "out", "--overwrite", "--thumbnails", "1") == 0
    names = {path.name for path in (tmp_path / "out" / "thumbnails").iterdir()}
    assert names == {"000.jpg", "holiday.jpg"}


def test_damage_is_told(export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = write_video(tmp_path / "whole.mkv", marching(200))
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    assert analyse(tmp_path / "cut.mkv", export, tmp_path / "out") == 0
    assert "The video is damaged (the file ends at" in capsys.readouterr().out


def test_a_failure_leaves_earlier_results(export: Path, march: Path, tmp_path: Path) -> None:
    assert analyse(march, export, tmp_path / "out") == 0
    before = (tmp_path / "out" / "summary.json").read_text()
    (tmp_path / "text.mp4").write_text("not a video")
    assert analyse(tmp_path / "text.mp4", export, tmp_path / "out", "--overwrite") == 1
    assert (tmp_path / "out" / "summary.json").read_text() == before


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"not a video " * 100, ErrorCode.VIDEO_UNREADABLE, id="text"),
        pytest.param(b"", ErrorCode.VIDEO_EMPTY, id="empty"),
    ],
)
def test_a_file_that_is_no_video_gets_the_sentence_users_get(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, code: ErrorCode
) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    assert analyse(tmp_path / "clip.mp4", export, tmp_path / "out") == 1
    said = capsys.readouterr()
    assert said.err.startswith(FAILURES[code].sentence.rstrip("."))
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["gone.mp4", "--model", "EXPORT", "--out", "OUT"], "gone.mp4 is not a file.", id="no video"),
        pytest.param(["MARCH", "--model", "x.pt", "--out", "OUT"], "There is no x.pt.", id="no checkpoint"),
        pytest.param(["MARCH", "--model", "MARCH", "--out", "OUT"], "neither a .pt checkpoint", id="no model"),
        pytest.param(
            ["MARCH", "--model", "x", "--manifest", "gone.json", "--out", "OUT"],
            "does not exist",
            id="no manifest",
        ),
        pytest.param(
            ["MARCH", "--model", "x", "--manifest", "MANIFEST", "--out", "OUT"], "knows colours", id="unknown name"
        ),
        pytest.param(
            ["MARCH", "--model", "EXPORT", "--out", "MARCH"], "is not a folder", id="a file for a folder"
        ),
        pytest.param(
            ["MARCH", "--model", "EXPORT", "--class", "pink", "--out", "OUT"],
            "does not know the classes pink; it knows red, green, blue",
            id="unknown class",
        ),
        pytest.param(
            ["MARCH", "--model", "EXPORT", "--engine", "torch", "--out", "OUT"], "found ['openvino']", id="engine"
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    export: Path,
    march: Path,
    colours: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    known = {"EXPORT": export, "MARCH": march, "MANIFEST": colours, "OUT": tmp_path / "out"}
    assert command(["analyse", *(str(known.get(word, word)) for word in arguments)]) == 1
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_options_outside_their_limits_are_all_named_by_their_flags(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ("--confidence", "2", "--thumbnails", "99", "--every-nth", "2", "--frames-per-second", "1")
    with pytest.raises(SystemExit) as refused:
        command(["analyse", "x.mp4", "--model", "m", "--out", "o", *wrong])
    assert refused.value.code == 2
    errors = capsys.readouterr().err
    assert "--confidence must be a number from 0.01 to 1" in errors
    assert "--thumbnails must be" in errors
    assert "--frames-per-second cannot be combined with" in errors


def test_help_tells_both_ways_and_every_option_with_its_limits() -> None:
    """Without arguments it stays the Batch job, which says what it lacks."""
    helped = subprocess.run(
        [sys.executable, "-m", "batch_job", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "ANALYSIS_REQUEST" in helped.stdout
    assert "analyse" in helped.stdout
    more = subprocess.run(
        [sys.executable, "-m", "batch_job", "analyse", "--help"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("confidence", "iou", "image_size", "every_nth", "frames_per_second", "thumbnails"):
        assert f"{LIMITS[name]} (default: " in more.stdout
    for flag in ("--class", "--no-track", "--annotated", "--engine", "--precision", "--manifest", "--overwrite"):
        assert flag in more.stdout
