"""The analyser against what a user would pick instead: ultralytics' own `predict(stream=True)` on the same frames.

Every round measures every contender once, each in a process of its own, so that a busy machine troubles all of
them; the ratios are of the medians. Start-up (imports, compiling the network) counts for nobody. Ours is the whole
job into PostgreSQL, without its fetch and its thumbnails. Needs FRAMEBATCH_VIDEOS and FRAMEBATCH_MODELS, as tests
do; writes bench/out/analyser.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import av
import psycopg

from contract.jobs import REQUEST_VARIABLE
from contract.manifest import ModelEntry
from contract.messages import AnalysisRequest
from demo.client import Client
from local.ports import free_port
from local.runtime import REPOSITORY
from local.stack import Stack, StackSettings, running_stack

OUT = REPOSITORY / "bench" / "out"
SIZES = {"720p": (1280, 720), "as it is": None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    name: str
    ours: str
    theirs: tuple[str, ...]  # the slowest of them
    bar: float | None


RATIOS = (
    Ratio(name="f32 ÷ predict on torch", ours="job f32", theirs=("predict torch",), bar=4.0),
    Ratio(name="f32 ÷ predict on OpenVINO f32", ours="job f32", theirs=("predict openvino f32",), bar=1.3),
    Ratio(name="f32 ÷ predict on OpenVINO", ours="job f32", theirs=("predict openvino",), bar=None),
    Ratio(name="f32 ÷ min(decode, model)", ours="job f32", theirs=("decode", "model ncnn f32"), bar=0.9),
    Ratio(name="native ÷ predict on torch", ours="job native", theirs=("predict torch",), bar=None),
    Ratio(name="native ÷ predict on OpenVINO", ours="job native", theirs=("predict openvino",), bar=None),
    Ratio(
        name="native ÷ min(decode, model)", ours="job native", theirs=("decode", "model openvino native"), bar=None
    ),
    Ratio(
        name="openvino f32 ÷ min(decode, model)",
        ours="job openvino f32",
        theirs=("decode", "model openvino f32"),
        bar=None,
    ),
    Ratio(name="torch ÷ predict on torch", ours="job torch", theirs=("predict torch",), bar=1.4),
)
JOBS = {
    "job f32": {"PRECISION": "f32"},
    "job native": {"ENGINE": "openvino", "PRECISION": "native"},
    "job openvino f32": {"ENGINE": "openvino"},
    "job torch": {"ENGINE": "torch"},
}
OTHERS = (
    "predict torch",
    "predict openvino",
    "predict openvino f32",
    "decode",
    "model ncnn f32",
    "model openvino f32",
    "model openvino native",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=240)
    options = parser.parse_args()
    videos, models = (Path(os.environ[f"FRAMEBATCH_{name}"]) for name in ("VIDEOS", "MODELS"))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        # The export is kept between runs; everything else of this stack is not.
        settings = StackSettings(
            folder=OUT / "stack", port=free_port(), own_model=models / "yolov8n_coco.pt", job_vcpus=1
        )
        with running_stack(settings, say=_say) as stack, Client(stack.url, stack.api_key) as client:
            assert stack.own_model is not None
            for label, size in SIZES.items():
                clip = Path(scratch) / f"{label}.mp4"
                _cut(videos / "bottle-detection.mp4", clip, frames=options.frames, size=size)
                video_id = client.upload(clip)
                speeds = _rounds(stack, stack.own_model, clip, video_id, options.rounds)
                rows += _rows(label, speeds)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "analyser.json").write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for row in rows:
        bar = "" if row["bar"] is None else f"   bar {row['bar']}   {'ok' if row['ok'] else 'MISSED'}"
        print(f"{row['name']:<62}{row['value']:>9.2f} {row['unit']}{bar}")
    return 0 if all(row["ok"] for row in rows) else 1


def _rounds(stack: Stack, model: ModelEntry, clip: Path, video_id: str, rounds: int) -> Mapping[str, list[float]]:
    speeds: dict[str, list[float]] = {name: [] for name in (*JOBS, *OTHERS)}
    for number in range(rounds):
        _say(f"{clip.stem}: round {number + 1} of {rounds}")
        for name in OTHERS:
            arguments = [sys.executable, "-m", "bench.contenders", name, str(clip), model.root]
            done = subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, check=True)
            speeds[name].append(float(done.stdout.split()[-1]))
        for name, environment in JOBS.items():
            speeds[name].append(_job(stack, model.name, video_id, environment))
    return speeds


def _job(stack: Stack, model: str, video_id: str, environment: Mapping[str, str]) -> float:
    """Frames per second of one whole job, run as Batch would run it, from its own account of its time."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        key = f"uploads/1/{video_id}"
        request = AnalysisRequest(analysis_id=uuid4(), video_key=key, model=model)
        connection.execute(
            "INSERT INTO videos_analysis (id, owner_id, video_id, model, class_names, options, status)"
            " SELECT %s, owner_id, id, %s, '[]', '{}', 'submitted' FROM videos_video WHERE id = %s",
            [request.analysis_id, model, video_id],
        )
        variables = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **stack.job_environment,
            **environment,
            # The mount of /opt/runtime is the Batch stand-in's, which has no part in this.
            "RUNTIME_MANIFEST": str(OUT / "stack" / "opt" / "runtime" / "manifest.json"),
            "DATABASE_URL": stack.database_url,
            REQUEST_VARIABLE: request.to_json(),
            "AWS_BATCH_JOB_ID": str(uuid4()),
            "AWS_BATCH_JOB_ATTEMPT": "1",
        }
        subprocess.run(
            [sys.executable, "-m", "batch_job"], cwd=REPOSITORY, env=variables, capture_output=True, check=True
        )
        query = "SELECT frames_done, stage_seconds FROM videos_analysis WHERE id = %s AND status = 'succeeded'"
        row = connection.execute(query, [request.analysis_id]).fetchone()
    assert row is not None
    frames, seconds = row
    return float(frames / (seconds["total"] - seconds["thumbnails"]))


def _rows(label: str, speeds: Mapping[str, list[float]]) -> Iterator[dict[str, Any]]:
    """The bars stand for 720p; the clip as it is is shown beside."""
    median = {name: statistics.median(values) for name, values in speeds.items()}
    for ratio in RATIOS:
        value = median[ratio.ours] / min(median[name] for name in ratio.theirs)
        bar = ratio.bar if label == "720p" else None
        yield {
            "name": f"{label}: {ratio.name}",
            "value": round(value, 3),
            "bar": bar,
            "ok": bar is None or value >= bar,
            "unit": "×",
        }
    for name, value in median.items():
        yield {"name": f"{label}: {name}", "value": round(value, 1), "bar": None, "ok": True, "unit": "frames/s"}


def _cut(source: Path, target: Path, *, frames: int, size: tuple[int, int] | None) -> None:
    """The first frames of a clip as H.264, scaled where a size is given."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        stream = reader.streams.video[0]
        rate = Fraction(stream.average_rate or 30)
        width, height = size or (stream.width, stream.height)
        out = writer.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20"})
        out.width, out.height, out.pix_fmt = width, height, "yuv420p"
        for number, frame in enumerate(islice(reader.decode(stream), frames)):
            scaled = frame.reformat(width=width, height=height, format="yuv420p")
            scaled.pts, scaled.time_base = number, 1 / rate
            writer.mux(out.encode(scaled))
        writer.mux(out.encode(None))


def _say(line: str) -> None:
    print(f"· {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
