"""What Terraform declares of the contract: `python tools/terraform_inputs.py`, or `make terraform-inputs`.

The job definition, the plans' shares, the ABI of the runtime and the keys' prefixes are the contract's; Terraform
reads them from `terraform/contract.json`, which a test holds against what this writes.
"""

import json
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from contract.jobs import job_definition  # noqa: E402 - found through the line above
from contract.keys import ANALYSES_PREFIX, UPLOADS_PREFIX  # noqa: E402
from contract.manifest import RUNTIME_ABI  # noqa: E402
from contract.plans import SHARES  # noqa: E402

PATH = REPOSITORY / "terraform" / "contract.json"

# What is an environment's own: these come from Terraform's variables and from other resources.
GIVEN_THERE = ("image", "environment", "secrets", "resourceRequirements")


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
