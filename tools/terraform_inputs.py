"""What Terraform declares of the contract: `python tools/terraform_inputs.py`, or `make terraform-inputs`.

The job definition, the plans' shares, the ABI of the runtime and the keys' prefixes are the contract's; what an
operator may set of the backend is what it reads. Terraform has them from `terraform/contract.json`, and a test
holds that against what this writes.
"""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from backend.config.environment import Environment, EnvironmentInvalid  # noqa: E402 - found through the line above
from contract.jobs import job_definition  # noqa: E402
from contract.keys import ANALYSES_PREFIX, UPLOADS_PREFIX  # noqa: E402
from contract.manifest import RUNTIME_ABI  # noqa: E402
from contract.plans import SHARES  # noqa: E402

PATH = REPOSITORY / "terraform" / "contract.json"

# What is an environment's own: these come from Terraform's variables and from other resources.
GIVEN_THERE = ("image", "environment", "secrets", "resourceRequirements")

# What the backend reads and no operator sets: it comes from other resources, other variables or the image...
BACKEND_GIVEN_THERE = frozenset(
    {
        "ALLOWED_HOSTS",
        "CSRF_TRUSTED_ORIGINS",
        "DATABASE_URL",
        "DEAD_REQUESTS_QUEUE_URL",
        "JOB_EVENTS_QUEUE_URL",
        "MAIL_URL",
        "MEDIA_BUCKET",
        "PROBE_MEMORY_MIB",
        "REQUESTS_QUEUE_URL",
        "RUNTIME_MANIFEST",
        "SECRET_KEY",
        "STATIC_ROOT",
        "WEBHOOK_PORTS",
        "WORKER_HEARTBEAT",
    }
)
# ... and what is for development.
FOR_DEVELOPMENT = frozenset({"DEBUG", "HTTPS", "WEBHOOKS_ALLOW_LOOPBACK"})


class _Asked(dict[str, str]):
    """An empty environment that keeps the names it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names = set[str]()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


def backend_settings() -> list[str]:
    asked = _Asked()
    with contextlib.suppress(EnvironmentInvalid):  # nothing is given
        Environment.from_environ(asked)
    return sorted(asked.names - BACKEND_GIVEN_THERE - FOR_DEVELOPMENT)


def inputs() -> dict[str, Any]:
    definition = job_definition(
        image="", environment={}, secrets={}, vcpus=1, memory_mib=1, gpus=0, timeout_seconds=60
    )
    container = {
        name: value for name, value in definition["containerProperties"].items() if name not in GIVEN_THERE
    }
    return {
        "runtime_abi": RUNTIME_ABI,
        "prefixes": {"uploads": UPLOADS_PREFIX, "analyses": ANALYSES_PREFIX},
        "shares": [
            {"identifier": share.identifier, "weight_factor": share.weight_factor} for share in SHARES.values()
        ],
        "backend_settings": backend_settings(),
        "job_definition": {
            "type": definition["type"],
            "platformCapabilities": definition["platformCapabilities"],
            "propagateTags": definition["propagateTags"],
            "retryStrategy": definition["retryStrategy"],
            "containerProperties": container,
        },
    }


def text() -> str:
    return json.dumps(inputs(), indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
