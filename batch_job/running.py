"""From a video file and a model to stored results: what the Batch job and the command line have in common."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from batch_job.analysis import Analysis, Pictures, Results
from batch_job.arriving import ArrivingFile
from batch_job.engines import detector_for
from batch_job.models import TrustedModel
from batch_job.pipeline import Stopwatch
from batch_job.stages import Model
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
    decode_on_gpu: bool = False,
    chunk_frames: int,
    results: Results,
    pictures: Pictures,
    scratch: Path,
    watch: Stopwatch,
    halt: Callable[[], None],
) -> Iterator[Analysis]:
    """An analysis that is ready to run. Raises AnalysisError, ClaimLost, or whatever `halt` raises."""
    cv2.setNumThreads(1)  # the network has the cores; OpenCV's own pool would only take turns with it
    with Video(file, on_gpu=decode_on_gpu) as video:
        results.enter(Stage.STARTING)
        with watch.timing("model"):
            detector = detector_for(
                trusted,
                frame=video.shape,
                image_size=request.options.image_size,
                precision=precision,
                chunk_frames=chunk_frames,
                scratch=scratch,
            )
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
