"""The packer command, and what its `-machine-readable` output says.

A line is `timestamp,target,type,data...`; commas in data are written `%!(PACKER_COMMA)` and line ends `\\n`
(packer's documentation, "Machine-Readable Output").
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from packer.packer_py_wrapper.errors import PackerError

_ARTIFACT = re.compile(r"[a-z0-9-]+:(ami-[0-9a-f]+)")  # region and id


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    target: str
    kind: str
    data: tuple[str, ...]


def parse(text: str) -> Line | None:
    """None for what is not a machine-readable line."""
    fields = text.rstrip("\r\n").split(",")
    if len(fields) < 3 or not fields[0].isdigit():
        return None
    target, kind, *data = (_plain(field) for field in fields[1:])
    return Line(target=target, kind=kind, data=tuple(data))


def build(folder: Path, variables: Path, values: Mapping[str, str], tell: Callable[[str], None]) -> str:
    """Bakes the template in `folder`, tells what packer says as it says it, and gives the image's id.

    Raises PackerError.
    """
    given = [part for name, value in values.items() for part in ("-var", f"{name}={value}")]
    command = [_packer(), "build", "-machine-readable", f"-var-file={variables}", *given, str(folder)]
    with _interrupts_passed_on() as started:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(process)
        with process:
            assert process.stdout is not None
            image, faults = _follow(process.stdout, tell)
    if process.returncode:
        reason = "; ".join(faults) or f"it ended with code {process.returncode} and gave no reason"
        raise PackerError(f"packer could not build the image: {reason}")
    if image is None:
        raise PackerError("packer says it has succeeded, but named no image.")
    return image


@contextmanager
def _interrupts_passed_on() -> Iterator[list["subprocess.Popen[str]"]]:
    """Whoever stops a bake stops packer, which removes its machine, key and group before it ends.

    It is waited for: packer dies at its next word where nobody reads it, and the machine would go on to cost. It
    is started in here: what this process ignores, as one in the background ignores SIGINT, it would ignore too.
    """
    started: list[subprocess.Popen[str]] = []

    def pass_on(*_: object) -> None:
        if not started:
            raise KeyboardInterrupt
        # All of its group, as a terminal does: the first process of packer leaves it to the second.
        with suppress(ProcessLookupError):
            os.killpg(started[0].pid, signal.SIGINT)

    before = {stop: signal.signal(stop, pass_on) for stop in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield started
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler)


def _follow(lines: Iterable[str], tell: Callable[[str], None]) -> tuple[str | None, Sequence[str]]:
    image = None
    faults: list[str] = []
    complaints: list[str] = []  # of what comes before a build begins, such as a plugin that is not there
    for text in lines:
        line = parse(text)
        if line is None:
            tell(text.rstrip())
        elif line.kind == "ui" and len(line.data) > 1:
            tell(line.data[1])
            if line.data[0] == "error":
                complaints.append(line.data[1].strip())
        elif line.kind == "error" and line.data:
            faults.append(line.data[0])
        elif line.kind == "artifact" and line.data[1:2] == ("id",):
            found = _ARTIFACT.fullmatch(line.data[2]) if len(line.data) > 2 else None
            image = found[1] if found else image
    return image, faults or complaints


def _packer() -> str:
    found = shutil.which("packer")
    if found is None:
        raise PackerError("packer is not installed; its makers say how on developer.hashicorp.com/packer/install.")
    return found


def _plain(field: str) -> str:
    return field.replace("%!(PACKER_COMMA)", ",").replace("\\n", "\n").replace("\\r", "\r")
