"""Python packages of the running interpreter."""

import compileall
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from packer.runtime.errors import BakeFailed


def install(lock: Path) -> None:
    """Puts the packages of a lock beside the running interpreter; each wheel must have the lock's sha256.

    Raises BakeFailed.
    """
    _pip("install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", str(lock))
    _pip("check")  # that the lock forgot nobody
    # pip has compiled the packages. Jobs see all of it read-only, and would compile the rest at every start.
    compileall.compile_dir(sysconfig.get_path("stdlib"), quiet=2, rx=re.compile("site-packages|lib2to3/tests"))


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise BakeFailed(f"pip {arguments[0]} failed:\n{reason}")
