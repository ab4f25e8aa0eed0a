"""What a machine image is made of, as one digest."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# The model lock stands for the models: it holds the sha256 of each of their files.
_FILES = ("contract/__init__.py", "contract/manifest.py", "contract/model_lock.py", "models/models.lock.json")
_FOLDERS = ("packer/runtime", "packer/provisioners")
_KINDS = ("packer/*.pkr.hcl", "packer/*.lock", "packer/__init__.py")


def content_of(repository: Path, variables: Path) -> str:
    """Hex digest over the paths and bytes of all that a bake reads, the file of variables among it.

    Equal digests mean equal input. Raises OSError where a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(inputs_of(repository)):
        _add(digest, str(path.relative_to(repository)), path)
    _add(digest, "variables", variables)
    return digest.hexdigest()[:16]


def inputs_of(repository: Path) -> Iterator[Path]:
    """All files of the checkout that a bake reads."""
    yield from (repository / name for name in _FILES)
    for kind in _KINDS:
        yield from repository.glob(kind)
    for folder in _FOLDERS:
        found = (repository / folder).rglob("*")
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _add(digest: "hashlib._Hash", name: str, path: Path) -> None:
    content = path.read_bytes()
    digest.update(f"{name}\0{len(content)}\0".encode() + content)
