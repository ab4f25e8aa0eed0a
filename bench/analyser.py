"""The analyser against its bars: `python -m bench.analyser [--only speed,copy,memory,kill]`.

Each measure writes bench/out/NAME.json, and all that were run stand together in bench/out/analyser.json. Needs
FRAMEBATCH_VIDEOS and FRAMEBATCH_MODELS, as tests do.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench import copying, kill, memory, speed
from bench.lab import OUT, open_lab

MEASURES = {
    "speed": speed.measure,
    "copy": copying.measure,
    "memory": memory.measure,
    "kill": kill.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(MEASURES), help="names of measures, with commas between them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--frames",
        type=int,
        default=360,
        help="of the clip for speed; with fewer, what a job pays once weighs more than in a video of minutes",
    )
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(MEASURES):
        parser.error(f"no measure is named {', '.join(sorted(unknown))}")
    passed = True
    with (
        tempfile.TemporaryDirectory() as scratch,
        open_lab(Path(scratch), rounds=options.rounds, frames=options.frames) as lab,
    ):
        for name in wanted:
            rows = list(MEASURES[name](lab))
            document = json.dumps([row.to_dict() for row in rows], indent=2, ensure_ascii=False)
            (OUT / f"{name}.json").write_text(document + "\n", encoding="utf-8")
            for row in rows:
                verdict = "" if row.bar is None else f"   bar {row.bar:g}   {'ok' if row.ok else 'MISSED'}"
                print(f"{row.name:<62}{row.value:>12,} {row.unit}{verdict}", flush=True)
            passed &= all(row.ok for row in rows)
    parts = [OUT / f"{name}.json" for name in MEASURES]
    figures = [row for part in parts if part.exists() for row in json.loads(part.read_text(encoding="utf-8"))]
    document = json.dumps(figures, indent=2, ensure_ascii=False)
    (OUT / "analyser.json").write_text(document + "\n", encoding="utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
