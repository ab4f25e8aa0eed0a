"""A machine that packer can bake: a container with an SSH server, in the place of an EC2 instance.

packer asks moto for the instance, the image and its snapshots, and works on the container over SSH. Only what
packer 1.6 does not know is taken out of the template, and where the machine is to be found is put in.
"""

import functools
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from local.ports import free_port
from tests.images.podman import Podman, debian
from tools.lock import REPOSITORY

_MACHINE = "localhost/machine:test"
# The second line is what the interpreter links to that the tests copy.
_PACKAGES = (
    "openssh-server,sudo,curl,ca-certificates,netbase,libgomp1,libstdc++6,"
    "libssl3,libffi8,zlib1g,libbz2-1.0,liblzma5,libsqlite3-0,libreadline8,libncursesw6,libuuid1,libexpat1"
)
# What only newer versions of packer, or of its plugin, take.
NEWER = re.compile(r"\n *# Only with a token.*?imds_support = \"v2.0\"\n", re.DOTALL)
# As those of the machine do, they write down who it is whenever that is gone, until systemd is told to stop them.
_AGENTS = {
    "ecs": "/var/lib/ecs/data/agent.db",
    "amazon-ssm-agent": "/var/lib/amazon/ssm/Vault/Store/EC2RegistrationKey",
}
# What a person or an agent may have left on the machine.
TRACES = (
    "/root/.bash_history",
    "/home/ec2-user/.bash_history",
    "/home/ec2-user/.python_history",
    "/root/.aws/credentials",
    "/root/.cache/pip/anything",
    "/root/.netrc",
    "/home/ec2-user/.docker/config.json",
    "/var/log/secure.log",
    *_AGENTS.values(),
)
_SYSTEMCTL = """#!/bin/sh
[ -e "/run/$2.pid" ] || exit 5
case "$1" in
  cat) ;;
  stop) kill "$(cat "/run/$2.pid")" 2>&- || true ;;
  *) exit 1 ;;
esac
"""
_FOLDERS = ("contract", "exports", "batch_job", "models", "packer")


@dataclass(frozen=True, kw_only=True, slots=True)
class Builder:
    """The container, and what of it lies on this machine."""

    podman: Podman
    name: str
    opt: Path
    port: int
    key: Path

    def run(self, script: str) -> str:
        return self.podman.call("exec", self.name, "sh", "-c", script).stdout


def stage(folder: Path, builder: Builder, endpoint: str) -> Path:
    """A copy of the checkout whose template finds moto and the container. Gives the folder with the template."""
    for name in _FOLDERS:
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    template = folder / "packer" / "framebatch.pkr.hcl"
    here = f"""
  custom_endpoint_ec2         = "{endpoint}"
  skip_metadata_api_check     = true
  skip_credential_validation  = true
  ssh_host                    = "127.0.0.1"
  ssh_port                    = {builder.port}
  ssh_private_key_file        = "{builder.key}"
"""
    text, count = NEWER.subn(lambda _: here, template.read_text())
    assert count == 1, "the template lacks what the test takes out of it"
    template.write_text(text)
    (folder / "packer" / "plugins.pkr.hcl").unlink()
    return folder / "packer"


@contextmanager
def running_builder(podman: Podman, folder: Path, libraries: Path) -> Iterator[Builder]:
    """Its pip finds only what lies in `folder`/wheels; its Python finds libraries by the names in `libraries`."""
    archive = podman.folder / "machine.tar"
    debian(archive, "--variant=essential", f"--include={_PACKAGES}")
    podman.call("import", str(archive), _MACHINE)
    archive.unlink()
    builder = Builder(podman=podman, name="builder", opt=folder / "opt", port=free_port(), key=folder / "key")
    builder.opt.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", builder.key], check=True)
    (folder / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    mounts = {"opt": "/opt", "wheels": "/wheels:ro", "pip.conf": "/etc/pip.conf:ro"}
    volumes = [part for name, inside in mounts.items() for part in ("--volume", f"{folder / name}:{inside}")]
    server = f"/usr/sbin/sshd -D -p {builder.port} -o ListenAddress=127.0.0.1"
    memory = ("--tmpfs", "/tmp:size=8m")  # as on Amazon Linux 2023, where it is half of the machine's
    run = ("run", "--detach", "--name", builder.name, "--network", "host", *memory, *volumes, _MACHINE, "sh", "-c")
    podman.call(*run, f"mkdir -p /run/sshd && exec {server}")
    key = builder.key.with_suffix(".pub").read_text().strip()
    names = " ".join(path.name for path in libraries.glob("lib*.so*"))
    builder.run(f"""
        useradd --create-home --shell /bin/bash ec2-user
        echo 'ec2-user ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ec2-user
        mkdir /home/ec2-user/.ssh && echo '{key}' > /home/ec2-user/.ssh/authorized_keys
        for name in {names}; do ls /usr/lib/*/$name 2>&- >&- || ln -s /opt/runtime/lib/$name /usr/lib/$name; done
        for trace in {" ".join(TRACES)}; do mkdir -p $(dirname $trace) && echo secret > $trace; done
        mkdir -p /run/systemd/system && cat > /usr/local/bin/systemctl <<'SCRIPT'
{_SYSTEMCTL}SCRIPT
        chmod +x /usr/local/bin/systemctl
    """)
    for unit, trace in _AGENTS.items():
        again = f"[ -e {trace} ] || {{ mkdir -p $(dirname {trace}); echo secret > {trace}; }}"
        builder.run(f"setsid sh -c 'while sleep 0.1; do {again}; done' >&- 2>&- & echo $! > /run/{unit}.pid")
    wait_until(lambda: _answers(builder.port))
    yield builder
    podman.call("rm", "--force", builder.name)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address below which the files of `folder` can be fetched."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def wrapper(staged: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of the staged copy's own wrapper, with the real packer."""
    checkout = staged.parent
    more = {
        "CHECKPOINT_DISABLE": "1",
        "PACKER_CONFIG_DIR": str(checkout),
        "PKR_VAR_ssh_from": '["127.0.0.1/32"]',
        "PYTHONPATH": str(checkout),
    }
    command = [sys.executable, "-m", "packer.packer_py_wrapper", *map(str, arguments)]
    environment = os.environ | more
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
