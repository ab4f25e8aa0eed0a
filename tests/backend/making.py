"""Rows and messages for the backend's tests, made with as little as each test says."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from backend.accounts.models import User
from backend.videos.models import Analysis, Chunk, Detection, Second, Track, Video, VideoStatus
from contract.jobs import job_name
from contract.options import AnalysisOptions

SHAPES = ["circle", "square", "triangle", "star"]
STARTED, STOPPED = 1_767_225_600_000, 1_767_225_660_000  # AWS Batch gives milliseconds


FACTS = {
    "container": "mov,mp4,m4a,3gp,3g2,mj2",
    "codec": "h264",
    "width": 640,
    "height": 384,
    "rotation_degrees": 0,
    "duration_us": 10_000_000,
    "frames": 300,
    "estimated": False,
}


def make_video(owner: User, *, status: str = "ready", **columns: Any) -> Video:
    defaults = {"filename": "a.mp4", "size_bytes": 5, "content_type": "video/mp4"}
    facts = FACTS if status == VideoStatus.READY else None
    return Video.objects.create(**{**defaults, "owner": owner, "status": status, "facts": facts, **columns})


def make_analysis(owner: User, **columns: Any) -> Analysis:
    video = columns.pop("video", None) or make_video(owner)
    defaults = {"model": "shapes", "class_names": SHAPES, "options": AnalysisOptions().to_dict()}
    analysis = Analysis.objects.create(owner=owner, video=video, **{**defaults, **columns})
    analysis.refresh_from_db()
    return analysis


def make_detection(analysis: Analysis, frame_index: int, ordinal: int = 0, **columns: Any) -> Detection:
    values = {
        "pts_us": frame_index * 40_000,
        "class_id": 0,
        "track_id": 1,
        "confidence": 0.75,
        "x1": 1.5,
        "y1": 2.5,
        "x2": 30.25,
        "y2": 40.75,
        **columns,
    }
    return Detection.objects.create(analysis=analysis, frame_index=frame_index, ordinal=ordinal, **values)


def make_finished(owner: User, frames: Sequence[int], **columns: Any) -> Analysis:
    """A succeeded analysis with so many detections in each frame, all of track 1, in chunks of two frames."""
    summary = {**SUMMARY, "frames": len(frames), "detections": sum(frames)}
    report = {**DECODE_REPORT, "analysed_frames": len(frames)}
    defaults = {"status": "succeeded", "summary": summary, "decode_report": report}
    analysis = make_analysis(owner, **{**defaults, **columns})
    for number, first in enumerate(range(0, len(frames), 2)):
        times = [frame * 40_000 for frame in range(first, min(first + 2, len(frames)))]
        Chunk.objects.create(analysis=analysis, number=number, first_frame=first, pts_us=times)
    for frame, count in enumerate(frames):
        for ordinal in range(count):
            make_detection(analysis, frame, ordinal)
    return analysis


def make_track(analysis: Analysis, track_id: int, **columns: Any) -> Track:
    values = {
        "class_id": 0,
        "first_frame": 0,
        "last_frame": 9,
        "first_pts_us": 0,
        "last_pts_us": 360_000,
        "detections": 10,
        "confidence": 0.5,
        "path": [[0, 10.5, 20.25], [360_000, 12, 20.25]],
        **columns,
    }
    return Track.objects.create(analysis=analysis, track_id=track_id, **values)


def make_second(analysis: Analysis, second: int, **columns: Any) -> Second:
    values = {"class_id": 0, "detections": 30, "most": 2, "tracks": 1, **columns}
    return Second.objects.create(analysis=analysis, second=second, **values)


SUMMARY = {
    "frames": 100,
    "detections": 250,
    "tracks": 3,
    "per_class": {
        "circle": {"detections": 150, "tracks": 2},
        "star": {"detections": 100, "tracks": 1},
    },
    "thumbnails": [{"key": "analyses/x/thumbnails/000.jpg", "frame_index": 10, "pts_us": 400_000}],
    "poster": "analyses/x/poster.jpg",
    "annotated_video": None,
}

DECODE_REPORT = {
    "container": "mov,mp4,m4a,3gp,3g2,mj2",
    "codec": "h264",
    "width": 640,
    "height": 384,
    "rotation_degrees": 90,
    "mirrored": False,
    "time_base": "1/15360",
    "declared_frames": 120,
    "decoded_frames": 100,
    "analysed_frames": 100,
    "skipped": [{"after_pts_us": 3_960_000, "reason": "the packet is damaged"}],
    "first_pts_us": 0,
    "last_pts_us": 3_960_000,
}


def attempt(*, exit_code: int | None = None, reason: str = "", status_reason: str = "") -> dict[str, Any]:
    """One ended attempt, as AWS Batch lists it."""
    container: dict[str, Any] = {} if exit_code is None else {"exitCode": exit_code}
    if reason:
        container["reason"] = reason
    return {
        "container": container,
        "startedAt": STARTED,
        "stoppedAt": STOPPED,
        "statusReason": status_reason or "Essential container in task exited",
    }


def job_event(
    analysis_id: UUID,
    status: str,
    *,
    job_id: str = "job-1",
    attempts: list[dict[str, Any]] | None = None,
    status_reason: str | None = None,
    on_demand: bool = False,
    **event: Any,
) -> str:
    """An EventBridge event of AWS Batch, with the fields AWS puts in."""
    detail: dict[str, Any] = {
        "jobArn": f"arn:aws:batch:eu-central-1:123456789012:job/{job_id}",
        "jobName": job_name(analysis_id, on_demand=on_demand),
        "jobId": job_id,
        "jobQueue": "arn:aws:batch:eu-central-1:123456789012:job-queue/framebatch",
        "status": status,
        "attempts": attempts or [],
        "createdAt": STARTED,
        "container": (attempts or [{"container": {}}])[-1]["container"],
    }
    if status_reason is not None:
        detail["statusReason"] = status_reason
    return json.dumps(
        {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": "Batch Job State Change",
            "source": "aws.batch",
            "account": "123456789012",
            "time": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
            "region": "eu-central-1",
            "resources": [detail["jobArn"]],
            "detail": detail,
            **event,
        }
    )
