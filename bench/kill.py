"""What a kill costs: SIGKILL at a random instant of a job with YOLOv8n, then the next attempt.

Frames are done again that had been analysed and not been committed: those since the last commit, at the pace the
attempt had until then. The time lost is that of both attempts beyond that of a job that nobody disturbs; it holds
those frames, and a second start.
"""

import random
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg

from bench.clips import cut
from bench.lab import Job, Lab, Row, say
from contract import tables

FRAMES, CHUNK_FRAMES = 512, 128  # the chunk is the job's own


def measure(lab: Lab) -> Iterator[Row]:
    clip = cut(lab.videos / "bottle-detection.mp4", lab.scratch / "kill.mp4", frames=FRAMES, size=(1280, 720))
    video_id = lab.client.upload(clip)
    dice = random.Random(1)
    calm, lost, redone = [], [], []
    for number in range(lab.rounds):
        say(f"kill: {number + 1} of {lab.rounds}")
        began = time.monotonic()
        lab.job(video_id).run()
        calm.append(time.monotonic() - began)
        job = lab.job(video_id)
        began = time.monotonic()
        redone.append(_killed(job, dice))
        job.run(attempt=2)
        lost.append(time.monotonic() - began - statistics.median(calm))
    yield Row(
        name="frames done again after a kill, at most",
        value=round(max(redone)),
        unit="frames",
        at_most=CHUNK_FRAMES,
    )
    yield Row(name="frames done again after a kill, median", value=round(statistics.median(redone)), unit="frames")
    yield Row(name="time lost to a kill, median", value=round(statistics.median(lost), 1), unit="s")
    yield Row(name="time lost to a kill, at most", value=round(max(lost), 1), unit="s")
    yield Row(name="a job that nobody disturbs", value=round(statistics.median(calm), 1), unit="s")


def _killed(job: Job, dice: random.Random) -> float:
    """Kills an attempt somewhere after its first commits; returns how many frames it had analysed in vain."""
    wanted = dice.randrange(2, FRAMES // CHUNK_FRAMES)
    with job.start() as process, psycopg.connect(job.database_url, autocommit=True) as connection:
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
        process.wait()
        commits = [at for (at,) in connection.execute(query, [job.analysis_id])]
    return max(0.0, (killed - commits[-1]).total_seconds() * pace)
