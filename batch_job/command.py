"""The command for a person: the job's own analysis of a file, into a folder, without AWS or a database."""

import argparse
import json
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from batch_job.arguments import command_parser, flags_of, options_of
from batch_job.draft import REPORT, would_lose
from batch_job.engines import has_gpu, preference
from batch_job.errors import AnalysisError, Interrupted, named
from batch_job.models import TrustedModel, read_manifest, trusted_model
from batch_job.progress import Tell, progress_bar
from batch_job.settings import ENGINES
from batch_job.stopping import StopSignal
from contract.manifest import RUNTIME_ABI, RuntimeManifest
from contract.messages import AnalysisRequest
from contract.options import AnalysisOptions, OptionsInvalid
from contract.results import Summary
from exports.formats import FORMATS

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells say it

_CHUNK_FRAMES = 128


class Refused(Exception):
    """What was asked for cannot be done; the message is a sentence for the person who asked."""


def command(argv: Sequence[str]) -> int:
    """Returns the exit code."""
    parser = command_parser()
    given = parser.parse_args(argv)
    try:
        options = options_of(given)
    except OptionsInvalid as exc:
        parser.error(flags_of(exc.faults))
    stop = StopSignal(exit_code=EXIT_INTERRUPTED)
    began = time.monotonic()
    try:
        with stop.listening(), progress_bar() as tell:
            summary = _analyse(given, options, stop, tell)
    except Interrupted:
        print(f"Stopped; nothing was written to {given.out}.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (MemoryError, OSError, sqlite3.Error) as exc:
        error = named(exc)
        if type(error) is not AnalysisError:
            return _failed(error.sentence)
        if isinstance(exc, OSError) and exc.filename:
            return _failed(f"{exc.filename}: {exc.strerror}.")
        raise
    except AnalysisError as exc:
        told = not exc.detail or exc.detail in exc.sentence
        return _failed(exc.sentence if told else f"{exc.sentence.rstrip('.')} ({exc.detail}).")
    except Refused as exc:
        return _failed(str(exc))
    print(_report(given, summary, time.monotonic() - began))
    if places := json.loads((given.out / REPORT).read_text(encoding="utf-8"))["skipped"]:
        print(f"The video is damaged ({places[0]['reason']}); {REPORT} lists {len(places)} such places.")
    return 0


def _analyse(given: argparse.Namespace, options: AnalysisOptions, stop: StopSignal, tell: Tell) -> Summary:
    from batch_job.draft import filled
    from batch_job.folder import FolderResults
    from batch_job.pipeline import Stopwatch
    from batch_job.running import opened_analysis

    if not given.video.is_file():
        raise Refused(f"{given.video} is not a file.")
    if given.out.exists() and not given.out.is_dir():
        raise Refused(f"{given.out} is not a folder.")
    if given.out.is_dir() and any(given.out.iterdir()) and not given.overwrite:
        raise Refused(f"{given.out} is not empty; --overwrite replaces the results that are in it.")
    if reason := would_lose(given.out, given.video):
        raise Refused(reason)
    for form in (FORMATS[name] for name in given.exports):
        if not form.available:
            raise Refused(
                f"Writing {form.title} takes {form.needs}: .venv/bin/python -m pip install {form.needs}."
            )
    trusted = _model(given, options)
    request = AnalysisRequest(
        analysis_id=uuid4(), video_key=given.video.name, model=trusted.model.name, options=options
    )
    with filled(given.out) as draft, TemporaryDirectory(dir=draft) as scratch:
        results = FolderResults(
            draft,
            scratch=Path(scratch),
            request=request,
            trusted=trusted,
            precision=given.precision,
            exports=[FORMATS[name] for name in dict.fromkeys(("jsonl", *given.exports))],
            tell=tell,
        )
        with (
            closing(results),
            opened_analysis(
                given.video,
                request=request,
                trusted=trusted,
                precision=given.precision,
                chunk_frames=_CHUNK_FRAMES,
                results=results,
                pictures=results,
                scratch=Path(scratch),
                watch=Stopwatch(),
                halt=stop.check,
            ) as analysis,
        ):
            return analysis.run()


def _model(given: argparse.Namespace, options: AnalysisOptions) -> TrustedModel:
    """A file is what it is; any other word is a name in the manifest."""
    from batch_job.model_files import ModelUnusable, describe

    order = preference(gpu=has_gpu(), precision=given.precision)
    path = Path(given.model)
    if path.exists():
        try:
            entry = describe(path)
        except ModelUnusable as exc:
            raise Refused(str(exc)) from exc
        manifest = RuntimeManifest(
            abi=RUNTIME_ABI,
            python=platform.python_version(),
            torch=None,
            cuda=None,
            driver_floor=None,
            engines=ENGINES,
            models=(entry,),
        )
        return trusted_model(manifest, entry.name, options, engine=given.engine, preference=order)
    if os.sep in given.model or path.suffix in (".pt", ".onnx", ".xml"):
        raise Refused(f"There is no {given.model}.")
    if not given.manifest.is_file():
        raise Refused(f"{given.model} is no file, and {given.manifest}, which would name models, does not exist.")
    manifest = read_manifest(given.manifest)
    if manifest.model(given.model) is None:
        known = ", ".join(model.name for model in manifest.models) or "none"
        raise Refused(f"{given.model} is no file, and no model in {given.manifest}; there it knows {known}.")
    return trusted_model(manifest, given.model, options, engine=given.engine, preference=order)


def _failed(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return EXIT_FAILED


def _report(given: argparse.Namespace, summary: Summary, seconds: float) -> str:
    rows = [("class", "detections", "tracks")]
    counts = sorted(summary.per_class.items(), key=lambda item: (-item[1].detections, item[0]))
    rows += [(name, f"{count.detections:,}", f"{count.tracks:,}") for name, count in counts]
    rows.append(("all", f"{summary.detections:,}", f"{summary.tracks:,}"))
    numbers = range(1, 3 if given.track else 2)
    widths = [max(len(row[column]) for row in rows) for column in (0, *numbers)]
    table = "\n".join(
        "  ".join(("", row[0].ljust(widths[0]), *(row[column].rjust(widths[column]) for column in numbers)))
        for row in rows
    )
    rate = summary.frames / seconds
    return f"{summary.frames:,} frames in {seconds:.1f} s ({rate:.0f} per second)\n{table}\nResults: {given.out}"
