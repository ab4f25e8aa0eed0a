"""The results in PostgreSQL: chunks of frames, and at the end what is made of them all."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import psycopg

from batch_job import statements
from batch_job.claim import ENTER, Claim, Token
from batch_job.copy_rows import REAL, RealsLoader, binary_copy
from batch_job.database import Database
from batch_job.values import Chunk, Detections, FrameResult
from contract.results import DecodeReport, Summary
from contract.statuses import AnalysisStatus, Stage


class Store:
    """What the holder of a claim reads and writes.

    Every method may raise DatabaseUnavailable; those that write raise ClaimLost once the claim is gone.
    """

    def __init__(self, database: Database, claim: Claim) -> None:
        self._database = database
        self._claim = claim
        self._id = claim.token.analysis_id

    def enter(self, stage: Stage) -> None:
        self._claim.enter(stage)

    def made_from(self, inputs: str) -> bool:
        """Is what is stored made from these inputs? If not, it is forgotten, and only this job may write then.

        A video may be replaced, and a retry may find another machine image: rows of both must not be mixed.
        """

        def work(connection: psycopg.Connection, _: bool) -> bool:
            return bool(self._claim.hold(connection, statements.INPUTS, {"inputs": inputs}) == inputs)

        if self._database.transact(work):
            return True
        self.take_alone(inputs)
        return False

    def chunks(self) -> Iterator[Chunk]:
        """The committed chunks, from the first on and without a gap."""
        number = 0
        while (chunk := self._chunk(number)) is not None:
            yield chunk
            number += 1

    def write_chunk(self, chunk: Chunk, *, frames_total: int | None) -> int:
        """Commits the chunk's frames and detections together with the progress: all or nothing, and only once.

        Returns how many chunks are stored then. Commits to one analysis follow one another, so exactly one of an
        array's jobs sees that nothing is missing any more.
        """

        def work(connection: psycopg.Connection, _: bool) -> int:
            values = {
                "id": self._id,
                "number": chunk.number,
                "first": chunk.first_frame,
                "end": chunk.end_frame,
                "frames": len(chunk.frames),
                "pts_us": [frame.pts_us for frame in chunk.frames],
                "damaged": chunk.damaged,
                "total": frames_total,
                "stage": Stage.ANALYSING.value,
            }
            self._claim.hold(connection, ENTER, values)
            # No row: an earlier try was committed, and its answer lost.
            if connection.execute(statements.CHUNK, values).fetchone() is not None:
                with connection.cursor() as cursor, cursor.copy(statements.COPY) as copy:
                    copy.write(binary_copy(self._id, chunk.frames))
                self._claim.hold(connection, statements.PROGRESS, values)
                self._claim.seen(connection)
            (stored,) = connection.execute(statements.STORED, {"id": self._id}).fetchone() or (0,)
            return int(stored)

        return self._database.transact(work)

    def stored_chunks(self) -> set[int]:
        """The numbers of the chunks that are committed, by this job or by others of its array."""

        def work(connection: psycopg.Connection, _: bool) -> set[int]:
            return {number for (number,) in connection.execute(statements.NUMBERS, {"id": self._id})}

        return self._database.transact(work)

    def write_tracks(self, frames: tuple[FrameResult, ...]) -> None:
        """Gives stored detections their track ids. Doing so again changes nothing."""
        tracked = [
            (frame.index, ordinal, track)
            for frame in frames
            for ordinal, track in enumerate(frame.track_id.tolist())
            if track
        ]
        frame_index, ordinals, tracks = zip(*tracked, strict=True) if tracked else ((), (), ())
        values = {
            "id": self._id,
            "frames": list(frame_index),
            "ordinals": list(ordinals),
            "tracks": list(tracks),
        }

        def work(connection: psycopg.Connection, _: bool) -> None:
            self._claim.hold(connection, ENTER, {"stage": Stage.FINISHING.value})
            connection.execute(statements.TRACK_IDS, values)

        self._database.transact(work)

    def take_alone(self, inputs: str | None = None) -> None:
        """From now on only this job of its array may write, and nothing is stored."""

        def work(connection: psycopg.Connection, repeated: bool) -> Token:
            alone = self._claim.alone(connection, repeated)
            self._claim.hold(connection, statements.ANEW, {"inputs": inputs}, token=alone)
            for statement in statements.FORGET:
                connection.execute(statement, {"id": self._id})
            return alone

        self._claim.token = self._database.transact(work)

    def counts(self) -> dict[int, tuple[int, int]]:
        """Class id -> detections and tracks, over everything stored."""

        def work(connection: psycopg.Connection, _: bool) -> dict[int, tuple[int, int]]:
            rows = connection.execute(statements.COUNTS, {"id": self._id}).fetchall()
            return {class_id: (detections, tracks) for class_id, detections, tracks in rows}

        return self._database.transact(work)

    def frame(self, index: int) -> FrameResult:
        """A stored frame. Raises LookupError where there is none."""

        def work(connection: psycopg.Connection, _: bool) -> FrameResult:
            row = connection.execute(statements.CHUNK_WITH, {"id": self._id, "index": index}).fetchone()
            if row is None or index >= row[0] + len(row[1]):
                raise LookupError(f"frame {index} is not stored")
            return self._frames(connection, index, row[1][index - row[0] :][:1])[0]

        return self._database.transact(work)

    def finish(self, *, summary: Summary, report: DecodeReport, seconds: Mapping[str, float]) -> None:
        """The analysis has succeeded: tracks, counts per second, summary and status, in one transaction."""

        def work(connection: psycopg.Connection, repeated: bool) -> None:
            if repeated and self._claim.stands_as(connection, AnalysisStatus.SUCCEEDED):
                return
            values = {
                "succeeded": AnalysisStatus.SUCCEEDED.value,
                "frames": summary.frames,
                "summary": json.dumps(summary.to_dict()),
                "report": json.dumps(report.to_dict()),
                "seconds": json.dumps({name: round(value, 3) for name, value in seconds.items()}),
            }
            self._claim.hold(connection, statements.FINISH, values)
            connection.execute(statements.TRACKS, {"id": self._id})
            connection.execute(statements.SECONDS, {"id": self._id})
            self._claim.seen(connection)
            detail = {"frames": summary.frames, "detections": summary.detections, "tracks": summary.tracks}
            self._claim.append_event(connection, AnalysisStatus.SUCCEEDED, detail)

        self._database.transact(work)

    def _chunk(self, number: int) -> Chunk | None:
        def work(connection: psycopg.Connection, _: bool) -> Chunk | None:
            row = connection.execute(statements.CHUNK_NUMBERED, {"id": self._id, "number": number}).fetchone()
            if row is None:
                return None
            first, pts_us, damaged = row
            return Chunk(number=number, frames=tuple(self._frames(connection, first, pts_us)), damaged=damaged)

        return self._database.transact(work)

    def _frames(self, connection: psycopg.Connection, first: int, pts_us: Sequence[int]) -> list[FrameResult]:
        values = {"id": self._id, "first": first, "end": first + len(pts_us)}
        with connection.cursor(binary=True) as cursor:
            cursor.adapters.register_loader(REAL.array_oid, RealsLoader)
            rows = cursor.execute(statements.DETECTIONS, values).fetchall()
        # Through float64, which holds float32 values and frame indices unchanged; None becomes nan, and that 0.
        table = np.array([row[:-1] for row in rows], np.float64).reshape(-1, 8)
        ends = np.searchsorted(table[:, 0], np.arange(first, first + len(pts_us)), side="right").tolist()
        spans = list(pairwise((0, *ends)))
        return [
            FrameResult(
                index=first + offset,
                pts_us=time,
                detections=Detections(
                    boxes=table[start:end, 4:].astype(np.float32),
                    confidence=table[start:end, 3].astype(np.float32),
                    class_id=table[start:end, 1].astype(np.int16),
                    shapes=tuple(row[-1] for row in rows[start:end] if row[-1] is not None),
                ),
                track_id=np.nan_to_num(table[start:end, 2]).astype(np.int32),
            )
            for offset, (time, (start, end)) in enumerate(zip(pts_us, spans, strict=True))
        ]
