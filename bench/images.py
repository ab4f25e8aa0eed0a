"""The container images: their layers, what a change moves, and how long a container takes to its first frame.

`make bench-images` writes bench/out/images.json. Takes docker or podman; BASE= names another base image, where
none can be pulled. The machine's folders are furnished as `make up CONTAINERS=1` does it.
"""

import argparse
import gzip
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.video import make_demo_video
from local import machine
from tools import images

REPOSITORY = Path(__file__).resolve().parent.parent
_MB = 1_000_000
_ROUNDS = 3
_TAG = "framebatch-bench"
# What a job does before its first boxes, without its services: the manifest, a model, a frame, boxes.
_FIRST_FRAME = """
import sys
from pathlib import Path
from batch_job.command import command
sys.exit(command([
    "analyse", "/clip.mp4", "--every-nth", "100", "--model", "demo-shapes",
    "--out", "/scratch/out", "--overwrite", "--thumbnails", "0",
]))
"""

Row = dict[str, Any]
Layers = dict[str, tuple[int, int]]  # digest -> bytes compressed and unpacked, the base's first


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="another base image than the Dockerfile names")
    base = parser.parse_args().base
    with tempfile.TemporaryDirectory(prefix="bench-images-") as name:
        bench = Bench(engine=images.engine_at_hand(), base=base, folder=Path(name))
        rows = [*bench.sizes_and_changes(), *bench.starts()]
    out = REPOSITORY / "bench" / "out" / "images.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(rows, indent=2))
    return 0 if all(row["ok"] for row in rows) else 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    engine: str
    base: str | None
    folder: Path

    @property
    def context(self) -> Path:
        return self.folder / "context"

    def sizes_and_changes(self) -> Iterator[Row]:
        images.lay_out(images.JOB, self.context)
        _, before = self._built()
        *bases, dependencies, code = before.values()
        kinds = {"base": _sum(bases), "dependencies": dependencies, "code": code, "image": _sum(before.values())}
        for kind, (compressed, unpacked) in kinds.items():
            whole = kind == "image"
            yield _row(f"{kind}, compressed", compressed / _MB, "MB", bar=60 if whole else None)
            yield _row(f"{kind}, unpacked", unpacked / _MB, "MB", bar=150 if whole else None)
        changes = {
            "a line of code": (self.context / "code" / "batch_job" / "main.py", 0.2, 5),
            "a light dependency": (self.context / "dependencies" / "six.py", None, None),
        }
        for name, (path, megabytes, limit) in changes.items():
            content = path.read_bytes()
            path.write_bytes(content + b"# one more line\n")
            seconds, after = self._built()
            path.write_bytes(content)
            moved = sum(size for digest, (size, _) in after.items() if digest not in before)
            yield _row(f"{name}: moved", moved / _MB, "MB", bar=megabytes)
            yield _row(f"{name}: built", seconds, "s", bar=limit)

    def starts(self) -> Iterator[Row]:
        """From the engine's command to the boxes of a clip's first frame, written and the container gone."""
        machine.furnish(self.folder / "opt", lambda line: print(line, file=sys.stderr))
        machine.offer(self.folder, ())
        files = [path for path in (self.folder / "opt").rglob("*") if path.is_file() and not path.is_symlink()]
        (self.folder / "scratch").mkdir()
        (self.folder / "scratch").chmod(0o777)
        make_demo_video(self.folder / "clip.mp4", seconds=1)
        self.folder.chmod(0o755)
        yield from self._model_change()
        self._start()
        yield _row("first frame, warm page cache", statistics.median(self._start() for _ in range(_ROUNDS)), "s")
        cold = []
        for _ in range(_ROUNDS):
            _forget(files)
            cold.append(self._start())
        yield _row("first frame, cold page cache", statistics.median(cold), "s")
        read = [size for size in map(_resident, files) if size]
        yield _row("first frame: read of the machine image", sum(read) / _MB, "MB")
        yield _row("first frame: files read", float(len(read)), "files")
        yield _row("machine image: runtime and models", sum(path.stat().st_size for path in files) / _MB, "MB")

    def _model_change(self) -> Iterator[Row]:
        """A weights file and its lock change; the steps of a bake that bring it to the machine run again."""
        models = self.folder / "opt" / "models"
        before = {_digest_of(path) for path in models.rglob("*") if path.is_file()}
        inside = [path for path in self.context.rglob("*") if path.is_file() and _digest_of(path) in before]
        yield _row("a model: moved by containers", sum(path.stat().st_size for path in inside) / _MB, "MB")
        checkout = self.folder / "checkout"
        for name in ("contract", "packer", "models"):
            shutil.copytree(REPOSITORY / name, checkout / name)
        lock = checkout / "models" / "models.lock.json"
        document = json.loads(lock.read_text(encoding="utf-8"))
        model = document["models"][0]
        form = model["formats"]["onnx"]
        weights = checkout / model["source"] / form["entry"]
        weights.write_bytes(weights.read_bytes() + b"\0")
        form["files"][form["entry"]] = _digest_of(weights)
        lock.write_text(json.dumps(document), encoding="utf-8")
        python = self.folder / "opt" / "runtime" / "bin" / "python"
        began = time.monotonic()
        for step in (("models",), ("manifest", "--manifest", str(self.folder / "manifest.json"))):
            machine.run_step(python, *step, "--models", str(models), checkout=checkout)
        seconds = time.monotonic() - began
        moved = [path for path in models.rglob("*") if path.is_file() and _digest_of(path) not in before]
        yield _row("a model: moved to the machine image", sum(path.stat().st_size for path in moved) / _MB, "MB")
        yield _row("a model: checked, placed and promised", seconds, "s")

    def _built(self) -> tuple[float, Layers]:
        began = time.monotonic()
        images.build(images.JOB, self.engine, _TAG, context=self.context, base=self.base)
        seconds = time.monotonic() - began
        archive = self.folder / "image.tar"
        archive.unlink(missing_ok=True)
        self._call("save", "--output", str(archive), _TAG)
        return seconds, _layers(archive)

    def _start(self) -> float:
        folders = {"/opt/runtime": "opt/runtime:ro", "/opt/models": "opt/models:ro", "/scratch": "scratch:rw"}
        given = []
        for inside, place in folders.items():
            outside, _, access = place.partition(":")
            given += ["--volume", f"{self.folder}/{outside}:{inside}:{access}"]
        given += ["--volume", f"{self.folder}/clip.mp4:/clip.mp4:ro", "--env", "LD_LIBRARY_PATH=/opt/runtime/lib"]
        began = time.monotonic()
        self._call("run", "--rm", "--network", "none", "--read-only", *given, _TAG, "python", "-c", _FIRST_FRAME)
        return time.monotonic() - began

    def _call(self, *arguments: str) -> None:
        done = subprocess.run([self.engine, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{self.engine} {arguments[0]} failed: {done.stderr.strip()[-2000:]}")


def _layers(archive: Path) -> Layers:
    """Of a saved image, compressed as a push would compress them."""
    with tarfile.open(archive) as saved:
        manifest = json.load(saved.extractfile("manifest.json"))  # type: ignore[arg-type]
        found: Layers = {}
        for name in manifest[0]["Layers"]:
            content = saved.extractfile(name).read()  # type: ignore[union-attr]
            found[hashlib.sha256(content).hexdigest()] = (len(gzip.compress(content, 6, mtime=0)), len(content))
    return found


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _forget(files: Sequence[Path]) -> None:
    """Out of the page cache, as on a machine that has never read them."""
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _resident(path: Path) -> int:
    """Bytes of the file that lie in the page cache, as util-linux' fincore tells."""
    command = ["fincore", "--bytes", "--noheadings", "--output", "RES", str(path)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout or 0)


def _sum(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    pairs = list(sizes)
    return sum(compressed for compressed, _ in pairs), sum(unpacked for _, unpacked in pairs)


def _row(name: str, value: float, unit: str, bar: float | None = None) -> Row:
    return {"name": name, "value": round(value, 3), "bar": bar, "ok": bar is None or value <= bar, "unit": unit}


if __name__ == "__main__":
    sys.exit(main())
