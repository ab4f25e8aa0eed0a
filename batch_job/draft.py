"""A folder of results that is there whole or not at all."""

import shutil
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
                _remove(folder / name)
                if (draft / name).exists():
                    (draft / name).rename(folder / name)
    except BaseException:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
