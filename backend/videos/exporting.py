"""A finished analysis as a file, made while it is sent.

Rows are read some at a time, each time by a query of its own, and between queries no connection is held. A
server-side cursor would keep a transaction and one of the pool's few connections for as long as a client takes to
read: twenty slow clients would stop the API for everybody. The rows of a finished analysis do not change; that
none were deleted meanwhile is checked against its summary at the end.
"""

import logging
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

from django.db import connection
from django.db.models import QuerySet

from backend.videos.errors import TooManyExports
from backend.videos.models import Analysis, Chunk, Detection
from contract.manifest import TRACKED_TASKS
from contract.options import AnalysisOptions
from exports.formats import ExportFormat
from exports.values import AnalysedFrame, AnalysisDescription, DetectionRow

logger = logging.getLogger(__name__)

ROWS_AT_A_TIME = 2000
CHUNKS_AT_A_TIME = 20
# Under way in one process: each holds a thread and its rows for as long as its client takes to read.
MOST_PER_OWNER = 32

_UNSAFE_IN_FILE_NAMES = re.compile(r"[^\w.() -]|^\.+")


class ExportIncomplete(Exception):
    """Rows of the analysis were deleted while it was exported."""


def exported(analysis: Analysis, form: ExportFormat) -> Iterator[bytes]:
    """The file, piece by piece. Raises TooManyExports, ExportIncomplete, and Django's database errors."""
    identities = {"analysis_id": analysis.pk, "format": form.name}
    with _place_of(analysis.owner_id):
        try:
            yield from form.write(_description(analysis), frames_of(analysis), rows_of(analysis))
        except GeneratorExit:
            logger.info("export abandoned", extra=identities)
            raise
        except Exception:
            logger.warning("export broke off", extra=identities)
            raise


_under_way: Counter[int] = Counter()  # by owner
_counting = threading.RLock()  # what nobody reads any more may be ended by whoever has it


@contextmanager
def _place_of(owner_id: int) -> Iterator[None]:
    """Raises TooManyExports."""
    with _counting:
        if _under_way[owner_id] >= MOST_PER_OWNER:
            raise TooManyExports
        _under_way[owner_id] += 1
    try:
        yield
    finally:
        with _counting:
            _under_way[owner_id] -= 1
            if not _under_way[owner_id]:
                del _under_way[owner_id]


def file_name(analysis: Analysis, form: ExportFormat) -> str:
    """After the video, with the start of the analysis' id: a video may be analysed more than once."""
    stem = _UNSAFE_IN_FILE_NAMES.sub("_", PurePath(analysis.video.filename).stem)[:100]
    return f"{stem}-{analysis.pk.hex[:8]}{form.suffix}"


def rows_of(analysis: Analysis) -> Iterator[DetectionRow]:
    """Every detection in order. Raises ExportIncomplete."""
    in_order = Detection.objects.of(analysis).order_by("frame_index", "ordinal")
    found, after = 0, (-1, -1)
    while rows := _read(
        in_order.filter(pk__gt=(analysis.pk, *after)).values_list(*DetectionRow._fields)[:ROWS_AT_A_TIME]
    ):
        for row in rows:
            yield DetectionRow(*row)
        found, after = found + len(rows), rows[-1][:2]
    _require(found == analysis.summary["detections"])


def frames_of(analysis: Analysis) -> Iterator[AnalysedFrame]:
    """Every analysed frame in order, those without detections too. Raises ExportIncomplete."""
    in_order = Chunk.objects.of(analysis).order_by("number")
    columns = ("number", "first_frame", "pts_us")
    found, after = 0, -1
    while chunks := _read(in_order.filter(number__gt=after).values_list(*columns)[:CHUNKS_AT_A_TIME]):
        for _, first, times in chunks:
            yield from (AnalysedFrame(index, pts_us) for index, pts_us in enumerate(times, start=first))
            found += len(times)
        after = chunks[-1][0]
    _require(found == analysis.summary["frames"])


def _read(rows: QuerySet) -> list[tuple]:
    try:
        return list(rows)
    finally:
        if not connection.in_atomic_block:  # a caller's transaction would be lost with its connection
            connection.close()  # back to the pool


def _require(complete: bool) -> None:
    if not complete:
        raise ExportIncomplete


def _description(analysis: Analysis) -> AnalysisDescription:
    report = analysis.decode_report
    return AnalysisDescription(
        video=analysis.video.filename,
        width=report["width"],
        height=report["height"],
        time_base=report["time_base"],
        model=analysis.model,
        task=analysis.task,
        classes=tuple(analysis.class_names),
        tracked=AnalysisOptions.from_dict(analysis.options).track and analysis.task in TRACKED_TASKS,
    )
