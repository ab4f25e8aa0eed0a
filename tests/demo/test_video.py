"""Demo videos: what was written is what a decoder gives back, and the truth lies beside it."""

from fractions import Fraction

import av
import numpy as np
import pytest

from demo.scenes import Scene, render_scene
from demo.video import make_demo_video, read_truth, write_video


def decoded(path):
    """Times in seconds and images of all frames."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            (frame.pts * stream.time_base, frame.to_ndarray(format="bgr24")) for frame in container.decode(stream)
        ]


@pytest.mark.parametrize(
    "fps", [pytest.param(25, id="25"), pytest.param(Fraction(30_000, 1001), id="NTSC"), pytest.param(12, id="12")]
)
def test_every_frame_has_its_own_time(tmp_path, fps):
    """Readers take time from the stream, so the stream must carry it exactly."""
    frames = [frame.image for frame in render_scene(Scene(seed=1, width=320, height=180, frame_count=20))]
    assert write_video(tmp_path / "v.mp4", iter(frames), fps=fps) == 20
    times = [time for time, _ in decoded(tmp_path / "v.mp4")]
    assert times == [index / Fraction(fps) for index in range(20)]


def test_images_survive_the_codec(tmp_path):
    """Truth measured on drawn frames must hold for decoded ones."""
    frames = [frame.image for frame in render_scene(Scene(seed=1, width=320, height=180, frame_count=5))]
    write_video(tmp_path / "v.mp4", frames, fps=30)
    for drawn, (_, seen) in zip(frames, decoded(tmp_path / "v.mp4"), strict=True):
        assert np.abs(drawn.astype(int) - seen).mean() < 6


def test_equal_frames_give_equal_bytes(tmp_path):
    """Uploads are recognised by content, and figures refer to one video."""
    for name in ("a.mp4", "b.mp4"):
        make_demo_video(tmp_path / name, seconds=0.5)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_the_demo_video_has_its_truth_beside_it(tmp_path):
    """Whoever runs the demo can check the result."""
    video = make_demo_video(tmp_path / "demo.mp4", seconds=1, seed=3)
    truth = read_truth(video.truth_path)
    drawn = [box for frame in render_scene(Scene(seed=3, frame_count=30)) for box in frame.truth]
    assert video.truth_path == tmp_path / "demo.truth.json"
    assert video.frame_count == len(decoded(video.path)) == 30
    assert list(truth) == drawn
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.mp4", "demo.truth.json"]


def test_a_video_without_frames_is_refused(tmp_path):
    """A file that no player opens is worse than an error."""
    with pytest.raises(ValueError, match="at least one frame"):
        write_video(tmp_path / "v.mp4", [], fps=30)


def test_odd_sides_are_refused(tmp_path):
    """yuv420p halves both sides; a silent crop would shift the truth."""
    with pytest.raises(ValueError, match="321x180"):
        write_video(tmp_path / "v.mp4", [np.zeros((180, 321, 3), np.uint8)], fps=30)
