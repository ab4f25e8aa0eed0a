"""From a video file and a model to stored results: what the Batch job and the command line have in common."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2

from batch_job.analysis import Analysis, Model, Pictures, Results
from batch_job.arriving import ArrivingFile
from batch_job.detector import Detector
from batch_job.errors import RuntimeMismatch
from batch_job.letterbox import Shape
from batch_job.models import TrustedModel
from batch_job.pipeline import Stopwatch
from batch_job.video import Video
from contract.messages import AnalysisRequest
from contract.statuses import Stage


@contextmanager
def opened_analysis(
    file: Path | ArrivingFile,
    *,
    request: AnalysisRequest,
    trusted: TrustedModel,
    precision: str,
    chunk_frames: int,
    results: Results,
    pictures: Pictures,
    scratch: Path,
    watch: Stopwatch,
    halt: Callable[[], None],
) -> Iterator[Analysis]:
    """An analysis that is ready to run. Raises AnalysisError, ClaimLost, or whatever `halt` raises."""
    cv2.setNumThreads(1)  # the network has the cores; OpenCV's own pool would only take turns with it
    with Video(file) as video:
        results.enter(Stage.STARTING)
        with watch.timing("model"):
            picture = video.first_picture()
            detector = _detector(
                trusted,
                frame=(picture.shape[0], picture.shape[1]),
                image_size=request.options.image_size,
                precision=precision,
                scratch=scratch,
            )
        with closing(detector):
            yield Analysis(
                request=request,
                model=Model(task=trusted.model.task, classes=trusted.model.classes, wanted=trusted.wanted_classes),
                video=video,
                detector=detector,
                results=results,
                pictures=pictures,
                watch=watch,
                chunk_frames=chunk_frames,
                scratch=scratch,
                halt=halt,
            )


def _detector(
    trusted: TrustedModel, *, frame: Shape, image_size: int | None, precision: str, scratch: Path
) -> Detector[Any]:
    try:
        if trusted.engine == "torch":
            from batch_job.torch_engine import TorchDetector

            return TorchDetector(trusted.entry, trusted.model, image_size=image_size, scratch_dir=scratch)
        if trusted.engine == "ncnn":
            from batch_job.ncnn_engine import NcnnDetector

            return NcnnDetector(trusted.entry, trusted.model, image_size=image_size, precision=precision)
        from batch_job.openvino_engine import OpenVinoDetector

        return OpenVinoDetector(
            trusted.entry, trusted.model, frame=frame, image_size=image_size, precision=precision
        )
    except ImportError as exc:
        raise RuntimeMismatch(f"{exc.name} cannot be imported") from exc
