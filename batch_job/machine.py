"""What kind of machine this is, for the receipt: told by EC2, and unknown anywhere else."""

import http.client
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from batch_job.engines import has_gpu

logger = logging.getLogger(__name__)

_SERVICE = "http://169.254.169.254"
_TIMEOUT_SECONDS = 1.0
_TOKEN_SECONDS = "60"


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    gpu: bool
    instance_type: str | None = None  # "g4dn.xlarge"
    market: str | None = None  # "spot" or "on-demand"
    zone: str | None = None  # "eu-central-1a"


UNKNOWN = Machine(gpu=False)


def this_machine(environ: Mapping[str, str]) -> Machine:
    """Never fails: what is not told stays None.

    Only a container that ECS has started asks: elsewhere nobody would answer, and that takes a second to find out.
    """
    machine = Machine(gpu=has_gpu())
    if "ECS_CONTAINER_METADATA_URI_V4" not in environ:
        return machine
    service = (environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _SERVICE).rstrip("/")
    try:
        # IMDSv2: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
        token = _asked(
            f"{service}/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": _TOKEN_SECONDS}, "PUT"
        )
        told = {
            name: _asked(f"{service}/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": token})
            for name, path in (
                ("instance_type", "instance-type"),
                ("market", "instance-life-cycle"),
                ("zone", "placement/availability-zone"),
            )
        }
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as exc:
        logger.warning("the machine does not tell what it is", extra={"error": type(exc).__name__})
        return machine
    return Machine(gpu=machine.gpu, **told)


def _asked(url: str, headers: Mapping[str, str], method: str = "GET") -> str:
    request = urllib.request.Request(url, headers=dict(headers), method=method)
    # Without a proxy: the address is the machine's own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
        return str(answer.read(256).decode("ascii"))
