"""Plays the relocatable Python that a machine image is furnished with: a copy of the one that runs this."""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

_LEFT_OUT = shutil.ignore_patterns("site-packages", "dist-packages", "test", "tests", "idlelib", "__pycache__")
_GLIBC = ("linux-vdso", "ld-linux", "libc.", "libm.", "libdl.", "libpthread.", "librt.", "libutil.")


def copy_interpreter(prefix: Path) -> Path:
    """Gives the copy's executable. Started with its `lib` in LD_LIBRARY_PATH, it needs nothing else but glibc."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = prefix / "lib" / version
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=_LEFT_OUT)
    (library / "site-packages").mkdir()
    executable = prefix / "bin" / version
    executable.parent.mkdir()
    shutil.copy2(Path(sys.executable).resolve(), executable)
    for name in ("python", "python3"):
        (prefix / "bin" / name).symlink_to(version)
    for path in set(_linked((executable, *library.rglob("*.so")))):
        shutil.copy2(path, prefix / "lib" / path.name)
    subprocess.run([prefix / "bin" / "python", "-m", "ensurepip"], check=True, capture_output=True)
    return prefix / "bin" / "python"


def _linked(binaries: Iterable[Path]) -> Iterator[Path]:
    for binary in binaries:
        listing = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
        for line in listing.splitlines():
            name, arrow, rest = line.strip().partition(" => ")
            if arrow and not name.startswith(_GLIBC):
                yield Path(rest.split(" ")[0])
