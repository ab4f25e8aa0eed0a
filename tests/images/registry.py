"""A registry that gives out one image, by a tag that can be moved: what a pull asks of the distribution API."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.images.podman import Podman

_KIND = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(kw_only=True, slots=True)
class Registry:
    address: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    tagged: str = ""  # digest of the manifest that every tag means

    def take(self, podman: Podman, image: str, folder: Path) -> str:
        """Lets the tags mean this image from now on, and gives its digest."""
        podman.call("push", "--format", "v2s2", image, f"dir:{folder}")
        for path in folder.iterdir():
            content = path.read_bytes()
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            self.blobs[digest] = content
            if path.name == "manifest.json":
                self.tagged = digest
        return self.tagged


@contextmanager
def running_registry(podman: Podman) -> Iterator[Registry]:
    """podman takes it without TLS."""
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            wanted = registry.tagged if "/manifests/" in self.path and ":" not in name else name
            content = b"{}" if self.path == "/v2/" else registry.blobs.get(wanted)
            self.send_response(404 if content is None else 200)
            content = content or b""
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", _KIND if "/manifests/" in self.path else "application/octet-stream")
            self.send_header("Docker-Content-Digest", wanted)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        registry.address = f"127.0.0.1:{server.server_port}"
        settings = podman.folder / "registries.conf"
        settings.write_text(f'[[registry]]\nlocation = "{registry.address}"\ninsecure = true\n')
        yield registry
        server.shutdown()
        settings.unlink()
