"""Memory of the job: whether it grows with the length of the video, and its peak with YOLOv8n.

For the growth the network is the colour network of the tests, which costs next to nothing, so that a video of two
hours takes minutes; decoder, stages, tracker and store are the real ones, and what they would leak they leak per
frame. The resident set is read twice a second beside the number of stored frames; the slope is that of a straight
line through all readings after the first tenth, in which caches fill.
"""

import time
from collections.abc import Iterator

import numpy as np
import psutil

from bench.clips import cut, long_march
from bench.lab import Job, Lab, Row, say
from contract.manifest import RuntimeManifest
from tests.batch_job.models import manifest_of, save_colour_network

FRAMES = 100_000
PEAK_ENGINES = ("ncnn", "openvino")
MIB = 1024 * 1024


def measure(lab: Lab) -> Iterator[Row]:
    say(f"memory: a video of {FRAMES:,} frames")
    video_id = lab.client.upload(long_march(lab.scratch / "long.mp4", frames=FRAMES))["id"]
    manifest: RuntimeManifest = manifest_of(save_colour_network(lab.scratch / "colours"))
    path = lab.scratch / "manifest.json"
    path.write_text(manifest.to_json(), encoding="utf-8")
    job = lab.job(video_id, model="colours", environment={"RUNTIME_MANIFEST": str(path)})
    readings = _watched(job)
    frames, rss = readings[readings[:, 0] > FRAMES / 10].T
    slope = float(np.polyfit(frames, rss, 1)[0]) * 10_000 / MIB
    (total,) = job.analysis("frames_done")
    if total != FRAMES:
        raise RuntimeError(f"{total} frames were analysed")
    yield Row(name="growth of the resident set", value=round(slope, 3), unit="MiB per 10,000 frames", at_most=1)
    yield Row(name="growth was measured over", value=FRAMES, unit="frames")
    clip = cut(lab.videos / "bottle-detection.mp4", lab.scratch / "peak.mp4", frames=240, size=(1280, 720))
    video_id = lab.client.upload(clip)["id"]
    for engine in PEAK_ENGINES:
        say(f"memory: YOLOv8n with {engine}")
        peak = lab.job(video_id, environment={"ENGINE": engine}).run().ru_maxrss * 1024  # told in KiB
        yield Row(name=f"peak with YOLOv8n at 720p, {engine}", value=round(peak / MIB), unit="MiB", at_most=1_200)


def _watched(job: Job) -> np.ndarray:
    """Rows of frames stored and bytes resident, until the job ends."""
    readings = []
    with job.start() as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            (frames,) = job.analysis("frames_done")
            try:
                readings.append((frames, watched.memory_info().rss))
            except psutil.NoSuchProcess:
                break
            time.sleep(0.5)
    return np.array(readings, float)
