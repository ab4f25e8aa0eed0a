"""Which models there are, as the runtime manifest says. The file is read again when it changes."""

import logging
import threading
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from contract.manifest import ManifestInvalid, ModelEntry, RuntimeManifest

logger = logging.getLogger(__name__)


class Catalogue:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._version: tuple[int, int] | None = None
        self._manifest: RuntimeManifest | None = None

    def models(self) -> tuple[ModelEntry, ...]:
        """Raises ManifestInvalid when there was never a good manifest."""
        return self._current().models

    def model(self, name: str) -> ModelEntry | None:
        """Raises ManifestInvalid when there was never a good manifest."""
        return next((model for model in self.models() if model.name == name), None)

    def _current(self) -> RuntimeManifest:
        with self._lock:
            try:
                stat = self._path.stat()
                version = (stat.st_mtime_ns, stat.st_size)
                if self._manifest is None or version != self._version:
                    self._version = version
                    self._manifest = RuntimeManifest.from_json(self._path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, ManifestInvalid) as exc:
                if self._manifest is None:
                    raise ManifestInvalid(f"{self._path}: {exc}") from exc
                # A manifest that is being replaced, or was replaced by a faulty one, must not stop requests.
                logger.exception("runtime manifest not readable, the last good one stays")
            return self._manifest


def catalogue() -> Catalogue:
    return _catalogue(Path(settings.RUNTIME_MANIFEST))


@lru_cache(maxsize=8)
def _catalogue(path: Path) -> Catalogue:
    return Catalogue(path)
