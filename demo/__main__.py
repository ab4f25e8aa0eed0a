"""`make demo`: the whole main job on this machine, from a video file to a table of what is in it."""

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.client import Client, RequestRefused
from demo.video import make_demo_video
from local.errors import StackError
from local.ports import free_port, is_free
from local.runtime import locked_models
from local.services import stop_on_signals
from local.stack import FOLDER, Stack, StackSettings, running_stack

_WAIT_SECONDS = 3600.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--video", type=Path, help="a clip of your own; without it one is generated")
    parser.add_argument("--model", default=locked_models()[0].name, help="a model's name, or weights of your own")
    parser.add_argument("--port", type=int, help="port of the API; 8000 or any free one")
    arguments = parser.parse_args()
    console = Console()
    if arguments.video is not None and not arguments.video.is_file():
        console.print(f"There is no file {arguments.video}.", style="red")
        return 1
    stop_on_signals()
    try:
        return _run(console, arguments.video, arguments.model, arguments.port)
    except (StackError, RequestRefused, TimeoutError, httpx.HTTPError) as exc:
        console.print(str(exc), style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 128 + signal.SIGINT


def _run(console: Console, video: Path | None, model: str, port: int | None) -> int:
    began = time.monotonic()
    path = video or _generated(console)
    own_model = Path(model) if Path(model).exists() else None
    settings = StackSettings(port=port or (8000 if is_free(8000) else free_port()), own_model=own_model)
    with (
        running_stack(settings, say=lambda line: console.print(f"· {line}", style="dim")) as stack,
        Client(stack.url, stack.api_key) as client,
    ):
        console.print(f"· uploading {path.name} ({path.stat().st_size / 1e6:.1f} MB)", style="dim")
        video_id = client.upload(path)
        analysis_id = client.request_analysis(video_id, stack.own_model.name if stack.own_model else model)
        state = _watch(console, stack, client, analysis_id)
        report = _report(state)
        (FOLDER / "demo.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        _show(console, state, f"{stack.url}/analyses/{analysis_id}", time.monotonic() - began)
    return 0 if state["status"] == "succeeded" else 1


def _generated(console: Console) -> Path:
    path = FOLDER / "demo.mp4"
    if not path.exists():
        console.print("· generating the demo video", style="dim")
        FOLDER.mkdir(exist_ok=True)
        make_demo_video(path)
    return path


def _watch(console: Console, stack: Stack, client: Client, analysis_id: str) -> dict[str, Any]:
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("queued", total=None)

        def seen(state: dict[str, Any]) -> None:
            stack.keep_alive()
            stage = f" · {state['stage']}" if state["stage"] and state["status"] == "running" else ""
            progress.update(
                task,
                description=f"{state['status']}{stage}",
                completed=state["frames_done"],
                total=state["frames_total"],
            )

        return client.wait(analysis_id, seen, _WAIT_SECONDS)


def _report(state: dict[str, Any]) -> dict[str, Any]:
    summary = state["summary"] or {}
    return {
        "status": state["status"],
        "analysis_id": state["id"],
        "error": state["error"],
        "frames": summary.get("frames", 0),
        "detections": summary.get("detections", 0),
        "tracks": summary.get("tracks", 0),
        "per_class": summary.get("per_class", {}),
        "stage_seconds": state["stage_seconds"],
        "decode_report": state["decode_report"],
    }


def _show(console: Console, state: dict[str, Any], url: str, seconds: float) -> None:
    if state["status"] != "succeeded":
        error = state["error"] or {}
        console.print(f"{state['status']}: {error.get('message', '')} ({error.get('code', '')})", style="red")
        console.print(f"Details: {url}")
        return
    summary = state["summary"]
    classes = Table("class", "detections", "tracks", title=f"{summary['frames']} frames")
    for name, counts in sorted(summary["per_class"].items()):
        classes.add_row(name, str(counts["detections"]), str(counts["tracks"]))
    classes.add_section()
    classes.add_row("all", str(summary["detections"]), str(summary["tracks"]))
    stages = Table("stage", "seconds", title="busy seconds per stage (stages overlap)")
    for name, spent in sorted(state["stage_seconds"].items(), key=lambda stage: stage[1]):
        stages.add_row(name, f"{spent:.2f}")
    console.print(classes, stages)
    console.print(f"Result: {url}  (`make up` serves it again)")
    console.print(f"{seconds:.1f} s in all", style="dim")


if __name__ == "__main__":
    sys.exit(main())
