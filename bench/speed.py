"""Speed, against what a user would pick instead: ultralytics' own `predict(stream=True)` on the same frames.

Every round measures every contender once, each in a process of its own, so that a busy machine troubles all of
them; the ratios are of the medians. Of the others the first ten frames do not count, and with them what happens
once (loading, compiling). Ours is the whole job into PostgreSQL without its thumbnails: it also pays for its fetch
and for loading the network, the more so the fewer frames there are.
"""

import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.clips import cut
from bench.lab import Lab, Row, say
from local.runtime import REPOSITORY

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


def measure(lab: Lab) -> Iterator[Row]:
    for label, size in SIZES.items():
        clip = cut(lab.videos / "bottle-detection.mp4", lab.scratch / f"{label}.mp4", frames=lab.frames, size=size)
        video_id = lab.client.upload(clip)["id"]
        speeds: dict[str, list[float]] = {name: [] for name in (*JOBS, *OTHERS)}
        for number in range(lab.rounds):
            say(f"speed, {label}: round {number + 1} of {lab.rounds}")
            for name in OTHERS:
                arguments = [sys.executable, "-m", "bench.contenders", name, str(clip), lab.model.root]
                done = subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, check=True)
                speeds[name].append(float(done.stdout.split()[-1]))
            for name, environment in JOBS.items():
                speeds[name].append(_job(lab, video_id, environment))
        yield from _rows(label, speeds)


def _job(lab: Lab, video_id: str, environment: Mapping[str, str]) -> float:
    """Frames per second of one whole job, from its own account of its time."""
    job = lab.job(video_id, environment=environment)
    job.run()
    frames, seconds = job.analysis("frames_done, stage_seconds")
    return float(frames / (seconds["total"] - seconds["thumbnails"]))


def _rows(label: str, speeds: Mapping[str, list[float]]) -> Iterator[Row]:
    """The bars stand for 720p; the clip as it is is shown beside."""
    median = {name: statistics.median(values) for name, values in speeds.items()}
    for ratio in RATIOS:
        value = median[ratio.ours] / min(median[name] for name in ratio.theirs)
        at_least = ratio.bar if label == "720p" else None
        yield Row(name=f"{label}: {ratio.name}", value=round(value, 3), unit="×", at_least=at_least)
    for name, value in median.items():
        yield Row(name=f"{label}: {name}", value=round(value, 1), unit="frames/s")
