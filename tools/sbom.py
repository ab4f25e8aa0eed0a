"""A bill of materials in the form of CycloneDX 1.6, made of a lock: what lies in an image, and as which bytes.

Equal locks give equal bytes: there is no time in it, and its serial number is derived from the lock.
"""

import json
import re
from typing import Any
from uuid import NAMESPACE_URL, uuid5

SBOM = "sbom.cdx.json"  # beside the packages that it lists
_PIN = re.compile(r"(?P<name>[^=\s]+)==(?P<version>\S+) --hash=sha256:(?P<sha256>[0-9a-f]{64})")


def bill_of(image: str, lock: str) -> str:
    """Raises ValueError where a line of the lock is no pin with a sha256."""
    lines = [line for line in lock.splitlines() if line and not line.startswith("#")]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, image + lock)}",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": image, "bom-ref": image}},
        "components": [_component(line) for line in lines],
    }
    return json.dumps(document, indent=1) + "\n"


def _component(line: str) -> dict[str, Any]:
    pin = _PIN.fullmatch(line)
    if pin is None:
        raise ValueError(f"no pin with a sha256: {line}")
    name = re.sub(r"[-_.]+", "-", pin["name"]).lower()  # as purl wants names of Python packages
    reference = f"pkg:pypi/{name}@{pin['version']}"
    return {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": pin["version"],
        "purl": reference,
        "hashes": [{"alg": "SHA-256", "content": pin["sha256"]}],
    }
