"""Statuses and reasons in plain words, for users who have never heard of AWS Batch."""

from collections.abc import Mapping
from typing import Any

from backend.videos.models import Analysis, Video, VideoStatus
from contract.errors import FAILURES, ErrorCode
from contract.statuses import AnalysisStatus, Stage

_STAGES = {
    Stage.STARTING: "Loading the model",
    Stage.FETCHING: "Fetching the video",
    Stage.ANALYSING: "Analysing the frames",
    Stage.FINISHING: "Putting the results together",
    Stage.DRAWING: "Drawing the annotated video",
}

_STATUSES = {
    AnalysisStatus.QUEUED: "Waiting to be handed to the compute service",
    AnalysisStatus.SUBMITTED: "Waiting for a machine",
    AnalysisStatus.RUNNING: "Running",
    AnalysisStatus.SUCCEEDED: "Finished",
    AnalysisStatus.FAILED: "Failed",
    AnalysisStatus.CANCELLED: "Cancelled",
}

# By what AWS Batch's status reason starts with, while a job is RUNNABLE.
_BLOCKED = {
    "MISCONFIGURATION": "No machine is set up that fits this analysis; we are on it.",
    "UNDETERMINED": "It is held up, and the compute service does not say by what; we are looking into it.",
    "CAPACITY": "All machines of the right kind are taken at the moment; it starts as soon as one is free.",
}


def status_sentence(analysis: Analysis) -> str:
    if analysis.status == AnalysisStatus.RUNNING:
        return _STAGES.get(analysis.stage, _STATUSES[AnalysisStatus.RUNNING])  # type: ignore[call-overload]
    return _STATUSES[AnalysisStatus(analysis.status)]


def waiting_reason(analysis: Analysis) -> str | None:
    """Why nothing is happening; None while something is, and when it is over."""
    if analysis.status == AnalysisStatus.QUEUED:
        return "The request is on its way to the compute service."
    if analysis.on_demand and analysis.status == AnalysisStatus.SUBMITTED and analysis.batch_state != "RUNNING":
        return "Machines at a reduced price did not last or did not come; one of the regular kind is on its way."
    retried = analysis.batch_attempts > 0
    if analysis.status == AnalysisStatus.RUNNING and retried and analysis.batch_state in ("RUNNABLE", "STARTING"):
        return "The last attempt stopped early; another one is on its way and goes on where that one was."
    if analysis.status != AnalysisStatus.SUBMITTED:
        return None
    match analysis.batch_state:
        case "RUNNABLE" | "PENDING":  # the second is an array's
            blocked = (text for start, text in _BLOCKED.items() if analysis.batch_reason.startswith(start))
            return next(
                blocked, "Waiting for a machine to try again." if retried else "Waiting for a free machine."
            )
        case "STARTING":
            return "A machine was found and is being prepared."
        case "RUNNING":
            return "The machine is ready; the analysis is about to start."
    return "The compute service has accepted the request."


def video_sentence(video: Video) -> str:
    """What is the matter with it; empty once it can be analysed."""
    match video.status:
        case VideoStatus.UPLOADING:
            return "The upload is not finished; choose the same file again to go on."
        case VideoStatus.ABORTED:
            return "The upload was aborted."
        case VideoStatus.PROBING:
            return "The file is being put together, or looked at."
        case VideoStatus.REFUSED:
            return FAILURES[ErrorCode(video.refusal_code)].sentence
    return ""


def described(facts: Mapping[str, Any]) -> str:
    """A video in half a line."""
    size = f"{facts['codec']}, {facts['width']} × {facts['height']}"
    if facts["duration_us"] is None:
        return size
    about = "about " if facts["estimated"] else ""
    seconds = facts["duration_us"] / 1_000_000
    if seconds < 60:
        return f"{size}, {about}{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{size}, {about}{minutes} min {rest} s"


def decode_sentences(report: Mapping[str, Any]) -> list[str]:
    """A decode report as a user would want to be told it."""
    turned = f", turned by {report['rotation_degrees']}°" if report["rotation_degrees"] else ""
    mirrored = ", mirrored" if report["mirrored"] else ""
    sentences = [
        f"{report['codec']} video of {report['width']} × {report['height']} pixels{turned}{mirrored}.",
        _frames(report),
    ]
    seconds = (report["last_pts_us"] - report["first_pts_us"]) / 1_000_000
    sentences.append(f"The first and the last frame are {seconds:.2f} seconds apart.")
    for skipped in report["skipped"]:
        after = skipped["after_pts_us"]
        where = "at the start" if after is None else f"after {after / 1_000_000:.2f} s"
        sentences.append(f"Damaged {where}: {skipped['reason']}.")
    return sentences


def _frames(report: Mapping[str, Any]) -> str:
    decoded, declared, analysed = (
        report["decoded_frames"],
        report["declared_frames"],
        report["analysed_frames"],
    )
    text = f"{decoded:,} frames were decoded"
    if declared is not None and declared != decoded:
        text += f" although the file declares {declared:,}"
    return f"{text}; {'all of them' if analysed == decoded else f'{analysed:,} of them'} were analysed."
