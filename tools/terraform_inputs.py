"""What Terraform declares of the contract: `python tools/terraform_inputs.py`, or `make terraform-inputs`.

The job definition, the plans' shares, the ABI of the runtime and the keys' prefixes are the contract's; what an
operator may set of the backend and of the job is what they read, in the forms that they take. Terraform has them
from `terraform/contract.json`, and a test holds that against what this writes.
"""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from backend.config.environment import Environment, EnvironmentInvalid  # noqa: E402 - found through the line above
from batch_job.logs import LEVELS  # noqa: E402
from batch_job.settings import DECODERS, ENGINES, PRECISIONS  # noqa: E402
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


def _one_of(*choices: str) -> dict[str, str]:
    return {"pattern": f"^(?i:{'|'.join(choices)})$", "words": f"one of {', '.join(choices)}"}


# What a setting may be: what `pattern` finds, and `words` say. Some take more than anybody would ask for.
_DAYS = {"pattern": "^[1-9][0-9]{0,3}$", "words": "a number of days from 1 to 9999"}
_FORMS = {
    "KEEP_ANALYSES_DAYS": _DAYS,
    "KEEP_RECORDS_DAYS": _DAYS,
    "KEEP_VIDEOS_DAYS": _DAYS,
    "LOG_LEVEL": _one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    "MEDIA_ORIGIN": {"pattern": "^https?://[^/?# ]+/?$", "words": "an origin such as https://media.example.org"},
    "SIGN_UP": _one_of("true", "false"),
    "SLOWEST_MACHINE": {"pattern": "^([1-9][0-9]{0,2}|1000)$", "words": "a whole number from 1 to 1000"},
    "SOURCE_URL": {"pattern": "^https?://[^/?# ]+", "words": "an address such as https://example.org/source"},
}
JOB_SETTINGS = {
    "CHUNK_FRAMES": {"pattern": "^[1-9][0-9]{0,3}$", "words": "a number of frames from 1 to 9999"},
    "DECODER": _one_of(*DECODERS),
    "ENGINE": _one_of(*ENGINES),
    "LOG_LEVEL": _one_of(*LEVELS),
    "PRECISION": _one_of(*PRECISIONS),
}


class _Asked(dict[str, str]):
    """An empty environment that keeps the names it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names = set[str]()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


def backend_settings() -> dict[str, dict[str, str]]:
    """Raises KeyError for a setting whose form nobody has said."""
    asked = _Asked()
    with contextlib.suppress(EnvironmentInvalid):  # nothing is given
        Environment.from_environ(asked)
    return {name: _FORMS[name] for name in sorted(asked.names - BACKEND_GIVEN_THERE - FOR_DEVELOPMENT)}


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
        "job_settings": JOB_SETTINGS,
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
