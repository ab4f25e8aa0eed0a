"""`python -m costs`: the tables of docs/costs.md, or the same for numbers of your own."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from contract.prices import prices
from costs.designs import Habits
from costs.inputs import Machine, Workload
from costs.tables import report

MARKER = "<!-- python -m costs -->"
VOLUMES = (5.0, 100.0, 10_000.0)  # videos a day


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m costs", description=__doc__)
    work, machine = Workload(), Machine()
    parser.add_argument("--videos", type=_number(above=0), nargs="+", default=VOLUMES, help="videos a day")
    parser.add_argument("--minutes", type=_number(above=0), default=work.video_minutes, help="length of a video")
    parser.add_argument(
        "--speed", type=_number(above=0), default=work.speed, help="minutes of video in a GPU minute"
    )
    parser.add_argument(
        "--kept-days", type=_number(at_least=0), default=work.kept_days, help="of uploads and results"
    )
    parser.add_argument("--instance", choices=sorted(prices().instances), default=machine.instance)
    parser.add_argument(
        "--spot-discount", type=_number(at_least=0, below=1), help="of the On-Demand price; 0.6 is 60 %% off"
    )
    parser.add_argument("--idle-minutes", type=_number(at_least=0), default=machine.idle_minutes)
    parser.add_argument("--boot-seconds", type=_number(at_least=0), default=machine.boot_seconds)
    parser.add_argument(
        "--image-gib", type=_number(above=0), default=machine.image_gib, help="data in the AMI's snapshot"
    )
    parser.add_argument(
        "--read-gib", type=_number(above=0), default=machine.read_gib, help="of it, read by every job"
    )
    parser.add_argument(
        "--initialization-rate",
        type=_number(at_least=0),
        default=machine.initialization_mibps,
        help="MiB/s; 0 for none",
    )
    parser.add_argument("--page", type=Path, help=f"write into this file, below {MARKER}, instead of printing")
    given = parser.parse_args(arguments)
    work = replace(work, video_minutes=given.minutes, speed=given.speed, kept_days=given.kept_days)
    machine = replace(
        machine,
        instance=given.instance,
        spot_discount=given.spot_discount,
        idle_minutes=given.idle_minutes,
        boot_seconds=given.boot_seconds,
        image_gib=given.image_gib,
        read_gib=given.read_gib,
        initialization_mibps=given.initialization_rate or None,
    )
    told = report(prices(), work, machine, Habits(), given.videos) + "\n"
    if given.page is None:
        print(told, end="")
    else:
        words = given.page.read_text(encoding="utf-8").partition(MARKER)[0]
        given.page.write_text(f"{words}{MARKER}\n{told}", encoding="utf-8")
    return 0


def _number(
    *, above: float | None = None, at_least: float | None = None, below: float | None = None
) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if above is not None and not value > above:
            raise argparse.ArgumentTypeError(f"{text} is not above {above:g}")
        if at_least is not None and not value >= at_least:
            raise argparse.ArgumentTypeError(f"{text} is below {at_least:g}")
        if below is not None and not value < below:
            raise argparse.ArgumentTypeError(f"{text} is not below {below:g}")
        return value

    return number


if __name__ == "__main__":
    sys.exit(main())
