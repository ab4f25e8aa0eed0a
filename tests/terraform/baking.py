"""The real packer, which bakes a machine image of nothing, and is heard on its way to EC2."""

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

import httpx

from tests.images.bake import NEWER
from tests.terraform.iam.gate import CallRefused
from tests.terraform.running import REPOSITORY, required, run_with_all_it_starts

VARIABLES = {
    "source_ami": "ami-12c6146b",
    "python_url": "none",
    "python_sha256": "none",
    "clip": "none",
    "runtime_abi": "1",
    "manifest": "none",
}


def bake(folder: Path, endpoint: str, *, content: str, region: str) -> str:
    """The template without what works on the machine, to which there is no way. Gives what packer said."""
    template = (REPOSITORY / "packer" / "framebatch.pkr.hcl").read_text(encoding="utf-8")
    here = f"""
  custom_endpoint_ec2        = "{endpoint}"
  skip_metadata_api_check    = true
  skip_credential_validation = true
  communicator               = "none"
"""
    template, count = NEWER.subn(lambda _: here, template)
    assert count == 1, "the template lacks what the test takes out of it"
    template = template[: template.index("\nbuild {")].replace('  ssh_username         = "ec2-user"\n', "")
    staged = folder / "packer"
    staged.mkdir()
    (staged / "framebatch.pkr.hcl").write_text(
        template + '\nbuild {\n  sources = ["source.amazon-ebs.framebatch"]\n}\n', encoding="utf-8"
    )
    shutil.copy(REPOSITORY / "packer" / "variables.pkr.hcl", staged)
    given = VARIABLES | {"content": content, "region": region, "instance_type": "t3.micro"}
    words = [word for name, value in given.items() for word in ("-var", f"{name}={value}")]
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": "packer",
        "AWS_SECRET_ACCESS_KEY": "packer",
        "CHECKPOINT_DISABLE": "1",
        "NO_PROXY": "127.0.0.1",
        "PACKER_CONFIG_DIR": str(folder),
        "PKR_VAR_ssh_from": '["127.0.0.1/32"]',
    }
    done = run_with_all_it_starts(
        [required("packer"), "build", "-color=false", *words, str(staged)], seconds=300, environment=environment
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return done.stdout


@contextmanager
def heard(endpoint: str, hear: Callable[[Mapping[str, str]], None]) -> Iterator[str]:
    """The address of a way to `endpoint`. Each call of EC2 is heard first, and what `hear` refuses ends there."""

    class Way(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                hear(dict(parse_qsl(body.decode())))
            except CallRefused as exc:
                self.send_error(403, str(exc))
                return
            passed = {name: self.headers[name] for name in ("Authorization", "Content-Type", "X-Amz-Date")}
            answer = httpx.post(
                f"{endpoint}{self.path}", content=body, headers=passed, trust_env=False, timeout=60
            )
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Way) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def image_of(said: str) -> str:
    found = re.search(r"AMI: (ami-[0-9a-f]+)", said)
    assert found, said
    return found[1]
