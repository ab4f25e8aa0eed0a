"""A folder of results that is there whole or not at all."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from exports.formats import FORMATS

# All that an analysis leaves in its folder.
TRACKS, SECONDS, REPORT, SUMMARY = "tracks.json", "seconds.json", "report.json", "summary.json"
NAMES = (
    *(f"detections{form.suffix}" for form in FORMATS.values()),
    *(TRACKS, SECONDS, REPORT, SUMMARY, "poster.jpg", "annotated.mp4", "thumbnails"),
)


def would_lose(folder: Path, video: Path) -> str | None:
    """Why results must not replace what is in the folder; None where it holds results, or no such names."""
    names = [name for name in NAMES if (folder / name).exists()]
    for name in names:
        if video.resolve().is_relative_to((folder / name).resolve()):
            return f"{video} itself would be replaced."
    if names and not _holds_results(folder):
        return f"{folder} holds {', '.join(names)}, and they are no results of an analysis."
    return None


@contextmanager
def filled(folder: Path) -> Iterator[Path]:
    """A draft, whose content replaces earlier results in `folder` if all goes well; else nothing changes."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(dir=folder, prefix=".analysis-") as path:
            draft = Path(path)
            yield draft
            for name in NAMES:
                _replace(folder / name, draft / name)
    except BaseException:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise


def _replace(old: Path, new: Path) -> None:
    """Of a folder only the pictures that are numbered like ours."""
    if old.is_dir():
        for picture in old.glob("[0-9][0-9][0-9].jpg"):
            picture.unlink()
        with suppress(OSError):  # somebody keeps other files in it
            old.rmdir()
    else:
        old.unlink(missing_ok=True)
    if new.is_dir():
        old.mkdir(exist_ok=True)
        for picture in new.iterdir():
            picture.rename(old / picture.name)
    elif new.exists():
        new.rename(old)


def _holds_results(folder: Path) -> bool:
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(summary, dict) and {"frames", "per_class", "stage_seconds"} <= set(summary)
