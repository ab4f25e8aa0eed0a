"""MOTChallenge: ten values a line, https://motchallenge.net/instructions/

    <frame>, <id>, <bb_left>, <bb_top>, <bb_width>, <bb_height>, <conf>, <x>, <y>, <z>

"All frame numbers, target IDs and bounding boxes are 1-based": the outer corner of the first pixel is (1, 1), and
py-motmetrics takes 1 from both on reading. World coordinates are -1 where there are none, and so is the id in a
file of detections. TrackEval refuses a file of tracks in which an id, -1 too, stands twice in one frame
(`_check_unique_ids`); so detections outside every track are left out where the tracker ran.
"""

from collections.abc import Iterable, Iterator

from exports.text import pieces, short
from exports.values import AnalysedFrame, AnalysisDescription, DetectionRow

_DECIMALS = 4  # of a pixel


def write(
    description: AnalysisDescription, frames: Iterable[AnalysedFrame], detections: Iterable[DetectionRow]
) -> Iterator[bytes]:
    return pieces(_line(row) for row in detections if row.track_id is not None or not description.tracked)


def _line(row: DetectionRow) -> str:
    box = (row.x1 + 1, row.y1 + 1, row.x2 - row.x1, row.y2 - row.y1)
    values = (
        row.frame_index + 1,
        -1 if row.track_id is None else row.track_id,
        *(round(value, _DECIMALS) for value in box),
        short(row.confidence),
    )
    return ",".join(map(repr, values)) + ",-1,-1,-1\n"
