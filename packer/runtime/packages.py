"""Python packages of the running interpreter."""

import compileall
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from packer.runtime.errors import BakeFailed


def install(lock: Path, *, index: str | None = None) -> None:
    """Puts the packages of a lock beside the running interpreter; each archive must have the lock's sha256.

    A second index may name packages, but the lock says what is in them. Raises BakeFailed.
    """
    # What a lock takes from source is built by the setuptools of the one before; isolated, pip would fetch others.
    more = ["--no-build-isolation", *(["--extra-index-url", index] if index else [])]
    _pip("install", "--no-deps", "--require-hashes", "--only-binary", ":all:", *more, "--requirement", str(lock))
    _check()
    # pip has compiled the packages. Jobs see all of it read-only, and would compile the rest at every start.
    compileall.compile_dir(sysconfig.get_path("stdlib"), quiet=2, rx=re.compile("site-packages|lib2to3/tests"))


def _check() -> None:
    """That the lock forgot nobody. opencv-python is there under another name, without a window system."""
    done = _called("check")
    faults = [line for line in done.stdout.splitlines() if "requires opencv-python, which is not" not in line]
    if done.returncode and faults:
        raise BakeFailed("\n".join(["packages do not fit together:", *faults]))


def _called(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _pip(*arguments: str) -> None:
    done = _called(*arguments)
    if done.returncode:
        reason = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise BakeFailed(f"pip {arguments[0]} failed:\n{reason}")
