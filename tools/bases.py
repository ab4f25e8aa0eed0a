"""The images that ours stand on, each a line of its Dockerfile: `ARG BASE=name:tag@sha256:...`.

`python tools/bases.py`, or `make image-bases`, asks the registries what the tags mean now and writes the digests
into the Dockerfiles, so that another base is a line that somebody reviews. A release refuses a base without one.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

_LINE = re.compile(r"^ARG BASE=(?P<name>[^\s@]+)(?P<digest>@sha256:[0-9a-f]{64})?$", re.MULTILINE)
_PINNED = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")


class BaseUnknown(Exception):
    """The message is a sentence for the person who asked."""


def base_of(dockerfile: Path) -> str:
    """What the Dockerfile stands on unless another base is given. Raises BaseUnknown."""
    return _line(dockerfile)[0]


def require_pinned(base: str) -> None:
    """Raises BaseUnknown where whoever moves the base's tag would change what is released."""
    if _PINNED.fullmatch(base) is None:
        raise BaseUnknown(
            f"The base {base} is named by its tag alone, and a release stands on a digest: "
            "`make image-bases` pins it where the registry can be reached, and the changed line wants a review."
        )


def pin(dockerfile: Path, engine: str) -> str:
    """Writes what the tag means in its registry now into the Dockerfile, and gives it. Raises BaseUnknown."""
    _, name = _line(dockerfile)
    _engine(engine, "pull", name)
    found = json.loads(_engine(engine, "image", "inspect", "--format", "{{json .RepoDigests}}", name))
    repository = re.sub(r":[^:/]+$", "", name)
    # An engine may know the image by digests of its own, too: what counts is what the registry gives to others.
    digests = (each.rpartition("@")[2] for each in found)
    digest = next((each for each in digests if _gives(engine, f"{repository}@{each}")), None)
    if digest is None:
        raise BaseUnknown(f"{engine} tells no digest of {name} by which its registry gives it.")
    pinned = f"{name}@{digest}"
    require_pinned(pinned)
    text = dockerfile.read_text(encoding="utf-8")
    dockerfile.write_text(_LINE.sub(f"ARG BASE={pinned}", text), encoding="utf-8")
    return pinned


def _line(dockerfile: Path) -> tuple[str, str]:
    """The base as it stands there, and without its digest."""
    found = list(_LINE.finditer(dockerfile.read_text(encoding="utf-8")))
    if len(found) != 1:
        raise BaseUnknown(
            f"{dockerfile.name} has {len(found)} lines that begin with ARG BASE= and name an image, not one."
        )
    return found[0]["name"] + (found[0]["digest"] or ""), found[0]["name"]


def _gives(engine: str, image: str) -> bool:
    return subprocess.run([engine, "pull", image], capture_output=True, check=False).returncode == 0


def _engine(engine: str, *arguments: str) -> str:
    done = subprocess.run([engine, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BaseUnknown(f"{engine} could not {arguments[0]} {arguments[-1]}: {done.stderr.strip()[-500:]}")
    return done.stdout


def main() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tools.images import IMAGES, ImageNotBuilt, engine_at_hand

    try:
        engine = engine_at_hand()
        for image in IMAGES.values():
            print(f"{image.dockerfile.name} stands on {pin(image.dockerfile, engine)}")
    except (BaseUnknown, ImageNotBuilt) as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
