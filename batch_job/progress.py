"""How far an analysis is, on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from contract.statuses import Stage

Tell = Callable[[Stage, int, int | None], None]  # stage, frames done, of how many


@contextmanager
def progress_bar() -> Iterator[Tell]:
    """A bar on stderr; silence where that is no terminal."""
    if not sys.stderr.isatty():
        yield _say_nothing
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        print("A progress bar takes rich: pip install rich.", file=sys.stderr)
        yield _say_nothing
        return
    columns = TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        shown = Stage.STARTING
        task = progress.add_task(shown.value, total=None)

        def tell(stage: Stage, done: int, total: int | None) -> None:
            nonlocal shown, task
            if stage is not shown:  # a total that was told once is not taken back: the next stage would look done
                progress.remove_task(task)
                shown, task = stage, progress.add_task(stage.value, total=None)
            known = max(total, done) if total is not None and stage is Stage.ANALYSING else None
            progress.update(task, completed=done, total=known)

        yield tell


def _say_nothing(_stage: Stage, _done: int, _total: int | None) -> None: ...
