"""What the command line understands."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from batch_job.settings import ENGINES, MANIFEST_PATH, PRECISIONS
from contract.options import LIMITS, AnalysisOptions
from exports.formats import FORMATS

_DEFAULTS = AnalysisOptions()
_FLAGS = {  # option -> flag, type, what it does
    "confidence": ("--confidence", float, "keep boxes of at least this confidence"),
    "iou": ("--iou", float, "drop boxes that overlap a better one by more"),
    "image_size": ("--image-size", int, "longer side of the network's input in pixels"),
    "every_nth": ("--every-nth", int, "analyse every nth frame"),
    "frames_per_second": ("--frames-per-second", float, "analyse at most so many frames per second of video"),
    "thumbnails": ("--thumbnails", int, "annotated pictures, evenly spaced"),
}
_SWITCHES = {"classes": "--class", "track": "--no-track", "annotated_video": "--annotated"}


def options_of(given: argparse.Namespace) -> AnalysisOptions:
    """Raises OptionsInvalid."""
    return AnalysisOptions(
        **{name: getattr(given, name) for name in _FLAGS},
        classes=tuple(dict.fromkeys(given.classes)) if given.classes else None,
        track=given.track,
        annotated_video=given.annotated_video,
    )


def command_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m batch_job",
        description="Without arguments: one attempt at the analysis that the environment names (ANALYSIS_REQUEST "
        "and others), as AWS Batch runs it. With `analyse`: a video of yours into a folder, without AWS or a "
        "database.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    analyse = commands.add_parser(
        "analyse",
        help="detect and track what is in a video, into a folder",
        description="Detects and tracks what is in a video. The folder gets detections.jsonl, tracks.json, "
        "seconds.json, summary.json, report.json, poster.jpg, thumbnails/ and, if asked for, annotated.mp4.",
    )
    analyse.add_argument("video", type=Path, metavar="VIDEO", help="a video file")
    analyse.add_argument(
        "--model",
        required=True,
        help="a .pt checkpoint (which is code, and runs: name only files you trust), a folder or .xml exported to "
        "OpenVINO, an .onnx file, or a name in the runtime manifest",
    )
    analyse.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the results go")
    analyse.add_argument("--overwrite", action="store_true", help="replace the results that are in the folder")
    analyse.add_argument(
        "--manifest",
        type=Path,
        default=Path(os.environ.get("RUNTIME_MANIFEST") or MANIFEST_PATH),
        help="the runtime manifest that names models (default: %(default)s)",
    )
    analyse.add_argument("--engine", choices=ENGINES, help="default: the first of them that fits the model")
    analyse.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="native may be bfloat16, faster and less exact (default: %(default)s)",
    )
    for name, (flag, kind, does) in _FLAGS.items():
        default = getattr(_DEFAULTS, name)
        said = "no limit" if name == "frames_per_second" else "the model's own" if default is None else default
        analyse.add_argument(
            flag,
            dest=name,
            type=kind,
            default=default,
            metavar="N" if kind is int else "X",
            help=f"{does}: {LIMITS[name]} (default: {said})",
        )
    analyse.add_argument(
        "--class",
        dest="classes",
        action="append",
        metavar="NAME",
        help="keep only this class; may be repeated (default: all classes)",
    )
    analyse.add_argument("--no-track", dest="track", action="store_false", help="do not follow objects")
    analyse.add_argument(
        "--annotated",
        dest="annotated_video",
        action="store_true",
        help="also make a video with the boxes drawn in",
    )
    analyse.add_argument(
        "--export",
        dest="exports",
        action="append",
        choices=sorted(FORMATS),
        default=[],
        help="detections in another format beside JSON Lines; may be repeated",
    )
    return parser


def flags_of(faults: Mapping[str, str]) -> str:
    """Faults of options, by what the person typed."""
    flags = {name: flag for name, (flag, *_) in _FLAGS.items()} | _SWITCHES
    return "; ".join(f"{flags[name]} {fault}" for name, fault in faults.items())
