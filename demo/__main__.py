"""`make demo`: the whole main job on this machine, from a video file to a table of what is in it."""

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich import filesize
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from batch_job.model_files import name_of
from client import Client, FramebatchError
from demo.video import make_demo_video
from local.errors import StackError
from local.machine import add_container_arguments, containers_of
from local.models import read_added
from local.ports import free_port, is_free, port_number
from local.runtime import locked_models
from local.services import stop_on_signals
from local.stack import DEFAULT_PORT, FOLDER, Stack, StackSettings, running_stack

_WAIT_SECONDS = 3600.0
_POLL_SECONDS = 0.2  # a progress bar on one's own machine wants to move


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--video", type=Path, help="a clip of your own; without it one is generated")
    parser.add_argument("--model", default=locked_models()[0].name, help="a model's name, or weights of your own")
    parser.add_argument("--port", type=port_number, help="port of the API; 8000 or any free one")
    add_container_arguments(parser)
    arguments = parser.parse_args()
    console = Console()
    fault = _fault(arguments.video, arguments.model)
    if fault:
        _say(console, fault, style="red")
        return 1
    (FOLDER / "demo.json").unlink(missing_ok=True)
    stop_on_signals()
    try:
        return _run(console, arguments)
    except (StackError, FramebatchError) as exc:
        _say(console, str(exc), style="red")
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 128 + signal.SIGINT


def _run(console: Console, arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    model, port = arguments.model, arguments.port
    path = arguments.video or _generated(console)
    own_model = Path(model) if Path(model).exists() else None
    if port is None and not is_free(DEFAULT_PORT):
        port = free_port()
        _say(console, f"· port {DEFAULT_PORT} is in use; serving on {port}", style="dim")
    settings = StackSettings(port=port or DEFAULT_PORT, own_model=own_model, containers=containers_of(arguments))
    with (
        running_stack(settings, say=lambda line: _say(console, f"· {line}", style="dim")) as stack,
        Client(stack.url, stack.api_key) as client,
    ):
        _say(console, f"· uploading {path.name} ({filesize.decimal(path.stat().st_size)})", style="dim")
        video = client.upload(path)
        name = stack.own_model.name if stack.own_model else model
        analysis_id = client.request_analysis(video["id"], model=name)["id"]
        state = _watch(console, stack, client, analysis_id)
        report = _report(state)
        (FOLDER / "demo.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        _show(console, state, f"{stack.url}/analyses/{analysis_id}", time.monotonic() - began)
    return 0 if state["status"] == "succeeded" else 1


def _fault(video: Path | None, model: str) -> str | None:
    """What can be said of the arguments before anything is started."""
    if video is not None and not video.is_file():
        return f"There is no file {video}."
    known = [entry.name for entry in locked_models()]
    known += [name_of(Path(path)) for path in read_added(FOLDER / "models" / "added.json")]
    if model in known or Path(model).exists():
        return None
    if "/" in model or model.endswith(".pt"):
        return f"There is no file {model}. Weights are not downloaded: give the path of a file that you have."
    return (
        f"There is no model {model}; there are {', '.join(known)}, and any .pt file or OpenVINO export of yours."
    )


def _say(console: Console, line: str, style: str | None = None) -> None:
    """One line is one line, also into a pipe."""
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _generated(console: Console) -> Path:
    path = FOLDER / "demo.mp4"
    if not path.exists():
        _say(console, "· generating the demo video", style="dim")
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

        return client.wait(analysis_id, seen=seen, seconds=_WAIT_SECONDS, poll_seconds=_POLL_SECONDS)


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
        _say(console, f"{state['status']}: {error.get('message', '')} ({error.get('code', '')})", style="red")
        return
    summary = state["summary"]
    classes = Table("class", "detections", "tracks", title=f"{summary['frames']} frames")
    for name, counts in sorted(summary["per_class"].items()):
        classes.add_row(name, str(counts["detections"]), str(counts["tracks"]))
    classes.add_section()
    classes.add_row("all", str(summary["detections"]), str(summary["tracks"]))
    stages = Table("stage", "seconds", title="busy seconds (stages overlap)")
    spent = dict(state["stage_seconds"])
    total = spent.pop("total")
    for name, busy in sorted(spent.items(), key=lambda stage: stage[1]):
        stages.add_row(name, f"{busy:.2f}")
    stages.add_section()
    stages.add_row("from first to last frame", f"{total:.2f}")
    console.print(classes, stages)
    again = (
        "make up" if url.startswith(f"http://localhost:{DEFAULT_PORT}/") else f"make up PORT={urlsplit(url).port}"
    )
    _say(console, f"Result: {url}")
    _say(console, f"`{again}` serves it again and says whom to sign in as; this run took {seconds:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
