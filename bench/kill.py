"""What a kill costs: SIGKILL at a random instant of a job with YOLOv8n, then the next attempt.

Frames are done again that had been analysed and not been committed: those since the last commit, at the pace the
attempt had until then. What is lost is what both attempts take beyond a job that nobody disturbs: those frames
and a second start. It is told in seconds of the wall clock and of the processors, as a busy machine stretches the
former.
"""

import random
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from resource import struct_rusage

import numpy as np
import psycopg

from bench.clips import cut
from bench.lab import Job, Lab, Row, ended, say
from contract import tables

FRAMES, CHUNK_FRAMES = 512, 128  # the chunk is the job's own


def measure(lab: Lab) -> Iterator[Row]:
    clip = cut(lab.videos / "bottle-detection.mp4", lab.scratch / "kill.mp4", frames=FRAMES, size=(1280, 720))
    video_id = lab.client.upload(clip)["id"]
    dice = random.Random(1)
    calm, harassed, redone = [], [], []
    for number in range(lab.rounds):
        say(f"kill: {number + 1} of {lab.rounds}")
        began = time.monotonic()
        usage = lab.job(video_id).run()
        calm.append((time.monotonic() - began, _seconds(usage)))
        job = lab.job(video_id)
        began = time.monotonic()
        frames, first = _killed(job, dice)
        second = job.run(attempt=2)
        redone.append(frames)
        harassed.append((time.monotonic() - began, _seconds(first) + _seconds(second)))
    wall, processors = np.median(harassed, axis=0) - np.median(calm, axis=0)
    yield Row(
        name="frames done again after a kill, at most",
        value=round(max(redone)),
        unit="frames",
        at_most=CHUNK_FRAMES,
    )
    yield Row(name="frames done again after a kill, median", value=round(statistics.median(redone)), unit="frames")
    yield Row(name="lost to a kill, of the wall clock", value=round(float(wall), 1), unit="s")
    yield Row(name="lost to a kill, of the processors", value=round(float(processors), 1), unit="s")
    yield Row(
        name="a job that nobody disturbs, wall clock", value=round(float(np.median(calm, axis=0)[0]), 1), unit="s"
    )
    yield Row(
        name="a job that nobody disturbs, processors", value=round(float(np.median(calm, axis=0)[1]), 1), unit="s"
    )


def _seconds(usage: struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


def _killed(job: Job, dice: random.Random) -> tuple[float, struct_rusage]:
    """Kills an attempt after its first commits; how many frames it had analysed in vain, and what it used."""
    wanted = dice.randrange(2, FRAMES // CHUNK_FRAMES)
    process = job.start()
    with psycopg.connect(job.database_url, autocommit=True) as connection:
        query = f"SELECT committed_at FROM {tables.CHUNK} WHERE analysis_id = %s ORDER BY number".encode()
        while True:
            commits = [at for (at,) in connection.execute(query, [job.analysis_id])]
            if len(commits) >= wanted:
                break
            if process.poll() is not None:
                raise RuntimeError("the job ended before it was killed")
            time.sleep(0.005)
        pace = (len(commits) - 1) * CHUNK_FRAMES / (commits[-1] - commits[0]).total_seconds()
        time.sleep(dice.random() * CHUNK_FRAMES / pace)
        process.kill()
        killed = datetime.now(UTC)
        usage = ended(process)
        commits = [at for (at,) in connection.execute(query, [job.analysis_id])]
    return max(0.0, (killed - commits[-1]).total_seconds() * pace), usage
