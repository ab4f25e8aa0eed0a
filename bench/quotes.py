"""Quotes against receipts: `python -m bench.quotes`, or `make bench-quotes`; writes bench/out/quotes.json.

A generated clip with the demo model, in a whole local stack. A quote is for the reference machine, which has a
GPU; where there is none this says nothing of the network, nor of the whole. Decoding and what surrounds the
network are done by processors on both: a machine with nothing else to do can be held against their speeds in
`backend/plans/speeds.json`. Stages overlap, and their seconds include those for which they wait for a processor.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.lab import OUT, Row, report, say
from client import Client
from demo.video import make_demo_video
from local.stack import StackSettings, running_stack

MODEL = "demo-shapes"
ASKED: dict[str, dict[str, Any]] = {
    "every frame": {},
    "every 5th": {"every_nth": 5},
    "annotated": {"annotated_video": True},
}
# What a quote names, and the stages of a receipt that are its work.
STAGES = {
    "fetch": ("fetch",),
    "decode": ("decode",),
    "detect": ("detect",),
    "prepare, track and store": ("preprocess", "postprocess", "track", "store"),
    "thumbnails": ("thumbnails",),
    "annotated video": ("annotated video",),
    "start": ("model",),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the clip")
    seconds = parser.parse_args().seconds
    folder = OUT / "quotes-stack"
    shutil.rmtree(folder, ignore_errors=True)
    settings = StackSettings(folder=folder, port=0)
    with running_stack(settings, say=say) as stack, Client(stack.url, stack.api_key) as client:
        rows = list(_measured(client, make_demo_video(folder / "clip.mp4", seconds=seconds).path))
    return report("quotes", rows)


def _measured(client: Client, clip: Path) -> Iterator[Row]:
    video_id = client.upload(clip)["id"]
    for label, options in ASKED.items():
        say(label)
        quote = client.quote(video_id, model=MODEL, options=options)
        asked = client.request_analysis(video_id, model=MODEL, options=options, quote=quote["quote"])
        client.wait(asked["id"])
        receipt = client.receipt(asked["id"])
        quoted, charged = receipt["credits"]["quoted"], receipt["credits"]["charged"]
        assert quoted is not None
        assert charged is not None
        yield Row(name=f"{label}: quoted", value=quoted, unit="credits")
        yield Row(name=f"{label}: charged", value=charged, unit="credits", at_most=quoted)
        yield Row(name=f"{label}: taken ÷ quoted", value=_ratio(receipt["machine_seconds"], quoted), unit="×")
        for stage, parts in STAGES.items():
            taken = sum(receipt["stage_seconds"].get(part, 0.0) for part in parts)
            if quote["stages"].get(stage):
                ratio = _ratio(taken, quote["stages"][stage])
                yield Row(name=f"{label}: {stage}, taken ÷ quoted", value=ratio, unit="×")


def _ratio(taken: float, quoted: float) -> float:
    return round(taken / quoted, 2)


if __name__ == "__main__":
    sys.exit(main())
