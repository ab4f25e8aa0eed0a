"""Detections into PostgreSQL: the job's own chunks, by binary COPY, against `psql \\copy` of the same rows.

Ours is everything that a chunk costs: building the bytes, the claim's guard, the progress, the chunk's row, COPY
and commit, each chunk in a transaction of its own. psql copies all rows from one file, in one transaction. The
server runs with the durability of production: fsync, full_page_writes and synchronous_commit are on.
"""

import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import psycopg
from psycopg import sql

from batch_job.claim import Claim, Token
from batch_job.copy_rows import COLUMNS
from batch_job.database import Database
from batch_job.store import Store
from batch_job.values import Chunk, Detections, FrameResult
from bench.clips import long_march
from bench.lab import Lab, Row, say
from contract import tables

CHUNK_FRAMES = 128  # as the job has it
CROWD, CHUNKS = 60, 40  # detections per frame, as many as a busy street has: 307,200 rows
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


def measure(lab: Lab) -> Iterator[Row]:
    _require_durability(lab.stack.database_url)
    video_id = lab.client.upload(long_march(lab.scratch / "copy.mp4", frames=2))["id"]
    chunks = [_chunk(number, CROWD) for number in range(CHUNKS)]
    rows = CHUNKS * CHUNK_FRAMES * CROWD
    ours, text, binary = [], [], []
    for number in range(lab.rounds):
        say(f"copy: round {number + 1} of {lab.rounds}")
        analysis_id = uuid4()
        lab.add_analysis(analysis_id, video_id, lab.model.name)
        ours.append(rows / _stored(lab.stack.database_url, analysis_id, chunks))
        text.append(rows / _copied(lab, analysis_id, "text"))
        binary.append(rows / _copied(lab, analysis_id, "binary"))
    speed = statistics.median(ours)
    yield Row(name="detections stored", value=round(speed), unit="rows/s", at_least=150_000)
    yield Row(
        name="detections stored ÷ psql \\copy of the same rows",
        value=round(speed / statistics.median(text), 3),
        unit="×",
        at_least=0.5,
    )
    yield Row(name="psql \\copy, text", value=round(statistics.median(text)), unit="rows/s")
    yield Row(name="psql \\copy, binary", value=round(statistics.median(binary)), unit="rows/s")
    lab.add_analysis(quiet := uuid4(), video_id, lab.model.name)
    seconds = _stored(lab.stack.database_url, quiet, [_chunk(number, 3) for number in range(CHUNKS)])
    yield Row(
        name="a chunk of 128 frames with 3 detections each", value=round(1000 * seconds / CHUNKS, 2), unit="ms"
    )


def _stored(database_url: str, analysis_id: UUID, chunks: list[Chunk]) -> float:
    """Seconds to store the chunks as the job does."""
    database = Database(database_url)
    claim = Claim(database, Token(analysis_id=analysis_id, job_id="bench", attempt=1))
    claim.take()
    store = Store(database, claim)
    began = time.perf_counter()
    for chunk in chunks:
        store.write_chunk(chunk, frames_total=None)
    seconds = time.perf_counter() - began
    database.close()
    return seconds


def _copied(lab: Lab, analysis_id: UUID, form: str) -> float:
    """Seconds that psql takes to copy an analysis' rows in again, from a file and under another analysis' name."""
    path = lab.scratch / f"rows.{form}"
    columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    table, options = sql.Identifier(tables.DETECTION), sql.SQL(f"(FORMAT {form})")
    other = uuid4()
    with psycopg.connect(lab.stack.database_url) as connection:
        renamed = sql.SQL(", ").join([sql.SQL("{}::uuid").format(str(other)), *map(sql.Identifier, COLUMNS[1:])])
        query = sql.SQL(
            "COPY (SELECT {} FROM {} WHERE analysis_id = {} ORDER BY frame_index, ordinal) TO STDOUT {}"
        )
        with (
            path.open("wb") as file,
            connection.cursor().copy(query.format(renamed, table, str(analysis_id), options)) as copy,
        ):
            for part in copy:
                file.write(part)
        command = sql.SQL("\\copy {} ({}) FROM {} WITH {}").format(table, columns, str(path), options)
        text = command.as_string(connection)
        row = connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone()
        assert row is not None
        psql = Path(row[0]) / "psql"  # of the server's own wheel
    began = time.perf_counter()
    subprocess.run(
        [psql, "--no-psqlrc", "--quiet", "--dbname", lab.stack.database_url, "--command", text], check=True
    )
    return time.perf_counter() - began


def _require_durability(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        for name, wanted in DURABLE.items():
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            if row != (wanted,):
                raise RuntimeError(f"{name} is {row and row[0]}; a figure without durability says nothing")


def _chunk(number: int, detections: int) -> Chunk:
    """Boxes all over a full HD frame; three quarters of them belong to tracks."""
    random = np.random.default_rng(number)
    frames = []
    for index in range(number * CHUNK_FRAMES, (number + 1) * CHUNK_FRAMES):
        corners = random.random((detections, 4), np.float32) * np.array([960, 540, 960, 540], np.float32)
        corners[:, 2:] += corners[:, :2]
        found = Detections(
            boxes=corners,
            confidence=np.sort(random.random(detections, np.float32))[::-1],
            class_id=random.integers(0, 80, detections).astype(np.int16),
        )
        track_id = np.where(np.arange(detections) % 4, np.arange(detections), 0).astype(np.int32)
        frames.append(FrameResult(index=index, pts_us=33_333 * index, detections=found, track_id=track_id))
    return Chunk(number=number, frames=tuple(frames))
