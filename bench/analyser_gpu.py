"""The analyser on a GPU against its bars: `make bench-analyser-gpu` on a machine with a GPU of NVIDIA.

Ours is the whole job into PostgreSQL, without the loading of its network and its thumbnails; of the
others the first ten frames do not count. Every round measures every contender once, each in a process of its own;
the ratios are of the medians. TensorRT takes part where it is installed (its engine is built first, which takes
minutes). Needs FRAMEBATCH_VIDEOS and FRAMEBATCH_MODELS, as tests do; writes
bench/out/analyser_gpu.json.
"""

import argparse
import dataclasses
import hashlib
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from contract.manifest import ModelFormat, RuntimeManifest
from local.runtime import REPOSITORY

if TYPE_CHECKING:
    from bench.lab import Lab, Row

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
PREDICT_BAR, LIMIT_BAR = 5.0, 0.8
_EXPORT = """
import sys
from ultralytics import YOLO
YOLO(sys.argv[1]).export(format="engine", quantize=16, batch=16, imgsz=[384, 640], device=0)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=5000)
    options = parser.parse_args()
    if not _gpu_at_hand():
        sys.exit("No GPU is at hand: this measures on a GPU of NVIDIA that torch can use.")
    from bench.lab import OUT, open_lab

    with (
        tempfile.TemporaryDirectory() as scratch,
        open_lab(Path(scratch), rounds=options.rounds, frames=options.frames) as lab,
    ):
        rows = list(_measured(lab))
    document = json.dumps([row.to_dict() for row in rows], indent=2, ensure_ascii=False)
    (OUT / "analyser_gpu.json").write_text(document + "\n", encoding="utf-8")
    for row in rows:
        verdict = "" if row.bar is None else f"   bar {row.bar:g}   {'ok' if row.ok else 'MISSED'}"
        print(f"{row.name:<62}{row.value:>12,} {row.unit}{verdict}")
    return 0 if all(row.ok for row in rows) else 1


def _gpu_at_hand() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def _measured(lab: "Lab") -> Iterator["Row"]:
    from bench.clips import cut
    from bench.lab import OUT, Row, say

    jobs = {
        "job torch half": {"ENGINE": "torch", "PRECISION": "native"},
        "job torch f32": {"ENGINE": "torch", "PRECISION": "f32"},
        "job torch half, decoded on the GPU": {"ENGINE": "torch", "PRECISION": "native", "DECODER": "gpu"},
    }
    others = ["predict", "predict half", "decode", "decode on the GPU", "model torch half"]
    engine = _tensorrt_manifest(lab, OUT / "stack" / "opt" / "runtime" / "manifest.json")
    if engine is not None:
        jobs["job tensorrt"] = {"ENGINE": "tensorrt", "PRECISION": "native", "RUNTIME_MANIFEST": str(engine)}
        others.append("model tensorrt")
    for label, size in SIZES.items():
        once = cut(lab.videos / "bottle-detection.mp4", lab.scratch / "once.mp4", frames=1000, size=size)
        clip = _repeated(once, lab.scratch / f"{label}.mp4", times=max(lab.frames // 1000, 1))
        video_id = lab.client.upload(clip)["id"]
        speeds: dict[str, list[float]] = {name: [] for name in (*jobs, *others)}
        for number in range(lab.rounds):
            say(f"{label}: round {number + 1} of {lab.rounds}")
            for name in others:
                speeds[name].append(float(_contender(name, clip, lab.model.root)))
            for name, environment in jobs.items():
                speeds[name].append(_job(lab, video_id, environment))
        yield from _rows(label, speeds)
        confidence, pixels = _contender("half against f32", clip, lab.model.root).split()
        yield Row(
            name=f"{label}: half against f32, confidence at most", value=round(float(confidence), 5), unit=""
        )
        yield Row(name=f"{label}: half against f32, a side at most", value=round(float(pixels), 3), unit="px")


def _rows(label: str, speeds: Mapping[str, list[float]]) -> Iterator["Row"]:
    from bench.lab import Row

    median = {name: statistics.median(values) for name, values in speeds.items()}
    bars = label == "720p"
    for engine in ("torch half", "tensorrt"):
        if f"job {engine}" not in median:
            continue
        ours = median[f"job {engine}"]
        limit = min(median["decode"], median[f"model {engine}"])
        for name, theirs, bar in (
            ("predict", median["predict"], PREDICT_BAR),
            ("predict half", median["predict half"], None),
            ("min(decode, model)", limit, LIMIT_BAR),
        ):
            ratio = round(ours / theirs, 3)
            yield Row(name=f"{label}: {engine} ÷ {name}", value=ratio, unit="×", at_least=bar if bars else None)
    for name, value in median.items():
        yield Row(name=f"{label}: {name}", value=round(value, 1), unit="frames/s")


def _contender(name: str, clip: Path, root: str) -> str:
    arguments = [sys.executable, "-m", "bench.contenders_gpu", name, str(clip), root]
    done = subprocess.run(arguments, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()[-1]


def _job(lab: "Lab", video_id: str, environment: Mapping[str, str]) -> float:
    job = lab.job(video_id, environment=environment)
    job.run()
    frames, seconds = job.analysis("frames_done, stage_seconds")
    return float(frames / (seconds["total"] - seconds["model"] - seconds["thumbnails"]))


def _tensorrt_manifest(lab: "Lab", manifest: Path) -> Path | None:
    """A manifest that offers the model's TensorRT engine too; None where TensorRT is not installed."""
    if importlib.util.find_spec("tensorrt") is None:
        return None
    root = Path(lab.model.root)
    weights = next(root.glob("*.pt"))
    engine = weights.with_suffix(".engine")
    if not engine.exists():
        subprocess.run([sys.executable, "-c", _EXPORT, str(weights)], cwd=root, check=True, stdout=sys.stderr)
    digest = hashlib.sha256(engine.read_bytes()).hexdigest()
    form = ModelFormat(entry=engine.name, files={engine.name: digest})
    before = RuntimeManifest.from_json(manifest.read_text(encoding="utf-8"))
    models = tuple(
        dataclasses.replace(model, formats={**model.formats, "tensorrt": form})
        if model.name == lab.model.name
        else model
        for model in before.models
    )
    path = lab.scratch / "manifest.json"
    after = dataclasses.replace(before, engines=(*before.engines, "tensorrt"), models=models)
    path.write_text(after.to_json(), encoding="utf-8")
    return path


def _repeated(clip: Path, target: Path, *, times: int) -> Path:
    """The clip several times, one after the other, without encoding it again."""
    shift = 0
    with av.open(str(target), "w") as writer:
        stream: Any = None
        for _ in range(times):
            with av.open(str(clip)) as reader:
                source = reader.streams.video[0]
                stream = stream or writer.add_stream_from_template(source)
                for packet in reader.demux(source):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    writer.mux(packet)
                shift += source.duration or 0
    return target


if __name__ == "__main__":
    sys.exit(main())
