"""Demo videos: H.264 in MP4, with the ground truth beside it.

`python -m demo.video OUT.mp4` writes the demo video.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from demo.scenes import CLASS_NAMES, Scene, TruthBox, render_scene

DEMO_SEED = 20
DEMO_SECONDS = 10.0
DEMO_FPS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoVideo:
    """A written demo video."""

    path: Path
    truth_path: Path
    frame_count: int
    fps: Fraction


def write_video(
    path: Path, frames: Iterable[NDArray[np.uint8]], *, fps: Fraction | int, crf: int = 21, gop: int = 60
) -> int:
    """Encode BGR images of one size, (height, width, 3) uint8, as H.264 in MP4; return their number.

    Frame k is shown at k / fps seconds. Both sides must be even (yuv420p). Equal frames give equal bytes,
    whatever the number of cores. A smaller `crf` means better quality; a key frame comes at least every `gop`
    frames.
    """
    supply = iter(frames)
    first = next(supply, None)
    if first is None:
        raise ValueError("a video needs at least one frame")
    height, width = first.shape[:2]
    if height % 2 or width % 2:
        raise ValueError(f"H.264 in yuv420p needs even sides, not {width}x{height}")
    rate = Fraction(fps)
    # More than one thread would make the bytes depend on the machine.
    options = {"preset": "veryfast", "crf": str(crf), "g": str(gop), "threads": "1"}
    count = 0
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in chain([first], supply):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts, frame.time_base = count, 1 / rate
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    return count


def make_demo_video(
    path: Path, *, seconds: float = DEMO_SECONDS, seed: int = DEMO_SEED, crossings: bool = True
) -> DemoVideo:
    """Write the demo video, 640x360 at 30 frames per second, and its truth as `.truth.json` beside it."""
    scene = Scene(seed=seed, frame_count=max(round(seconds * DEMO_FPS), 1), crossings=crossings)
    truth: list[TruthBox] = []

    def images() -> Iterator[NDArray[np.uint8]]:
        for frame in render_scene(scene):
            truth.extend(frame.truth)
            yield frame.image

    fps = Fraction(DEMO_FPS)
    # Under another name until complete, so that who finds the video may use it.
    draft = path.with_name(f"{path.name}.part")
    frame_count = write_video(draft, images(), fps=fps)
    truth_path = path.with_suffix(".truth.json")
    document = {
        "version": 1,
        "fps": f"{fps.numerator}/{fps.denominator}",
        "scene": asdict(scene),
        "classes": CLASS_NAMES,
        "boxes": [asdict(box) for box in truth],
    }
    truth_path.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")
    draft.replace(path)
    return DemoVideo(path=path, truth_path=truth_path, frame_count=frame_count, fps=fps)


def read_truth(path: Path) -> tuple[TruthBox, ...]:
    """The boxes of a `.truth.json`."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return tuple(TruthBox(**box) for box in document["boxes"])


def main(arguments: list[str]) -> None:
    """Write the demo video to the path given on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.video", description="Write the demo video and its truth."
    )
    parser.add_argument("path", type=Path, help="the MP4 file to write")
    parser.add_argument("--seconds", type=float, default=DEMO_SECONDS)
    parser.add_argument("--seed", type=int, default=DEMO_SEED)
    parser.add_argument("--no-crossings", action="store_true", help="objects never come near each other")
    options = parser.parse_args(arguments)
    video = make_demo_video(
        options.path, seconds=options.seconds, seed=options.seed, crossings=not options.no_crossings
    )
    print(f"{video.path}: {video.frame_count} frames; truth in {video.truth_path}")


if __name__ == "__main__":
    main(sys.argv[1:])
