"""Releases a job image: `python tools/release.py --image REPOSITORY@DIGEST --queue QUEUE`, or `make release`.

The code's ABI must be one that a published machine image has. A candidate of the job definition is registered
under a name of its own and runs `python -m batch_job check` on a machine of the queue. Only what passed becomes a
revision that jobs start from; otherwise nothing has changed. `--rollback` takes the newest revision back, or the
one that `--revision` names, which is the same one also where it is asked for twice or a release ends meanwhile.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
from botocore.exceptions import BotoCoreError, ClientError

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from contract.jobs import JOB_DEFINITION_NAME, REQUEST_VARIABLE, job_definition  # noqa: E402 - found through the above
from contract.manifest import RUNTIME_ABI  # noqa: E402
from contract.messages import AnalysisRequest  # noqa: E402
from contract.plans import SHARES, Plan  # noqa: E402

PUBLISHED = "/framebatch/runtime"  # as packer_py_wrapper publishes machine images
_OURS = (
    "jobRoleArn",
    "executionRoleArn",
    "logConfiguration",
    "linuxParameters",
)  # of the account
_POLL_SECONDS = 5.0
_CHECK_SECONDS = 600  # for one attempt at the check, once it has a machine


class NotReleased(Exception):
    """The message is a sentence for whoever releases."""


def require_published(ssm: Any, abi: int) -> None:
    """Raises NotReleased where no machine image of this ABI is published, for whatever family of machines."""
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=PUBLISHED, Recursive=True)
    names = (each["Name"] for page in pages for each in page["Parameters"])
    places = [name.removeprefix(f"{PUBLISHED}/").split("/") for name in names]  # abi/family/image-id
    # Of an image's parameters its id is written last.
    abis = {place[0] for place in places if len(place) == 3 and place[2] == "image-id"}
    if str(abi) not in abis:
        raise NotReleased(
            f"This code needs runtime ABI {abi}, and no machine image of it is published; "
            f"published are {', '.join(sorted(abis)) or 'none'}."
        )


def revisions(batch: Any, name: str) -> list[dict[str, Any]]:
    """The active ones, newest first."""
    pages = batch.get_paginator("describe_job_definitions").paginate(jobDefinitionName=name, status="ACTIVE")
    found = (each for page in pages for each in page["jobDefinitions"])
    return sorted(found, key=lambda each: int(each["revision"]), reverse=True)


def next_definition(current: Mapping[str, Any], image: str, *, name: str) -> dict[str, Any]:
    """Arguments of RegisterJobDefinition: the contract's, with what the account has given the current revision."""
    container = current["containerProperties"]
    resources = {each["type"]: int(each["value"]) for each in container["resourceRequirements"]}
    made = job_definition(
        image=image,
        environment={each["name"]: each["value"] for each in container.get("environment", ())},
        secrets={each["name"]: each["valueFrom"] for each in container.get("secrets", ())},
        vcpus=resources["VCPU"],
        memory_mib=resources["MEMORY"],
        gpus=resources.get("GPU", 0),
        timeout_seconds=current["timeout"]["attemptDurationSeconds"],
    )
    made["containerProperties"] |= {each: container[each] for each in _OURS if container.get(each)}
    tags = {"tags": dict(current["tags"])} if current.get("tags") else {}
    return made | tags | {"jobDefinitionName": name}


def release(
    batch: Any, ssm: Any, *, image: str, queue: str, name: str, wait_seconds: float, say: Callable[[str], None]
) -> str:
    """Gives the ARN of the new revision. Raises NotReleased, and then jobs start as they did before."""
    require_published(ssm, RUNTIME_ABI)
    current = _current(batch, name)
    candidate = batch.register_job_definition(**next_definition(current, image, name=f"{name}-candidate"))
    arn = candidate["jobDefinitionArn"]
    try:
        say(f"checking {arn} on a machine of {queue}")
        _check(batch, arn, queue, wait_seconds, say)
        # A check waits for a machine: what Terraform registered meanwhile would be taken back with its settings.
        newest = _current(batch, name)
        if newest["jobDefinitionArn"] != current["jobDefinitionArn"]:
            raise NotReleased(
                f"While the new code was checked with the settings of {current['jobDefinitionArn']}, "
                f"jobs came to start from {newest['jobDefinitionArn']}; release it again."
            )
        made = batch.register_job_definition(**next_definition(current, image, name=name))
    finally:
        batch.deregister_job_definition(jobDefinition=arn)
    revision: str = made["jobDefinitionArn"]
    return revision


def to_take_back(batch: Any, name: str, revision: int | None) -> tuple[str | None, str]:
    """ARNs of the revision that is named, else of the newest, and of the one that counts once it is taken back.

    None in the place of the first where it is not active any more. Raises NotReleased.
    """
    found = {int(each["revision"]): str(each["jobDefinitionArn"]) for each in revisions(batch, name)}
    wanted = max(found, default=0) if revision is None else revision
    left = [arn for number, arn in found.items() if number != wanted]
    if not left:
        raise NotReleased(f"There is no earlier revision of {name}.")
    return found.get(wanted), left[0]


def failure_of(job: Mapping[str, Any]) -> str:
    """Why it failed, as AWS Batch says it: the container's reason, its exit code, or why no container ended."""
    container = job.get("container", {})
    if "reason" in container:
        return str(container["reason"])
    return f"exit code {container['exitCode']}" if "exitCode" in container else str(job.get("statusReason"))


def _current(batch: Any, name: str) -> dict[str, Any]:
    found = revisions(batch, name)
    if not found:
        raise NotReleased(f"There is no job definition {name}; Terraform makes the first one.")
    return found[0]


def _check(batch: Any, arn: str, queue: str, wait_seconds: float, say: Callable[[str], None]) -> None:
    # A job's settings name an analysis. This one does not exist, and the check does not look for it.
    request = AnalysisRequest(analysis_id=UUID(int=0), video_key="none", model="none")
    job = batch.submit_job(
        jobName="release-check",
        jobQueue=queue,
        jobDefinition=arn,
        shareIdentifier=SHARES[Plan.ENTERPRISE].identifier,
        schedulingPriorityOverride=SHARES[Plan.ENTERPRISE].scheduling_priority,
        retryStrategy={"attempts": 1},
        timeout={"attemptDurationSeconds": _CHECK_SECONDS},
        containerOverrides={
            "command": ["python", "-m", "batch_job", "check"],
            "environment": [{"name": REQUEST_VARIABLE, "value": request.to_json()}],
        },
    )["jobId"]
    deadline, told = time.monotonic() + wait_seconds, ""
    while True:
        # AWS Batch may not know a job yet that it has just taken.
        found: list[dict[str, Any]] = batch.describe_jobs(jobs=[job])["jobs"]
        state: dict[str, Any] = found[0] if found else {"status": "SUBMITTED"}
        if state["status"] != told:
            told = state["status"]
            say(f"the check is {told}")
        if told == "SUCCEEDED":
            return
        log = state.get("container", {}).get("logStreamName", "none")
        if told == "FAILED":
            raise NotReleased(f"The check of the new code failed ({failure_of(state)}); its log stream is {log}.")
        if time.monotonic() > deadline:
            batch.terminate_job(jobId=job, reason="the release waits no longer")
            raise NotReleased(f"The check of the new code is still {told} after {wait_seconds:.0f} s.")
        time.sleep(min(_POLL_SECONDS, wait_seconds / 10))


def main(given: list[str]) -> int:
    arguments = _parser().parse_args(given)
    name = arguments.definition
    try:
        session = boto3.Session()
        batch, ssm = session.client("batch"), session.client("ssm")
        if arguments.rollback:
            unwanted, counting = to_take_back(batch, name, arguments.revision)
            if unwanted is None:
                print(f"revision {arguments.revision} of {name} is not active; jobs start from {counting}")
            elif arguments.dry_run:
                print(f"would take back {unwanted}, and jobs would start from {counting}")
            else:
                batch.deregister_job_definition(jobDefinition=unwanted)
                print(f"took back {unwanted}; jobs start from {counting}")
        elif arguments.dry_run:
            require_published(ssm, RUNTIME_ABI)
            current = _current(batch, name)["jobDefinitionArn"]
            print(f"would check {arguments.image} on {arguments.queue} and register it after {current}")
        else:
            made = release(
                batch,
                ssm,
                image=arguments.image,
                queue=arguments.queue,
                name=name,
                wait_seconds=arguments.wait_seconds,
                say=lambda line: print(line, flush=True),
            )
            print(f"jobs start from {made}")
    except NotReleased as exc:
        print(exc, file=sys.stderr)
    except (BotoCoreError, ClientError) as exc:
        print(f"AWS could not be asked: {exc}", file=sys.stderr)
    else:
        return 0
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Release an image of the analysis job.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--image", help="what was pushed: repository@sha256:...")
    what.add_argument("--rollback", action="store_true", help="take the newest revision back")
    parser.add_argument("--revision", type=int, help="with --rollback: another than the newest, by its number")
    parser.add_argument("--queue", default="framebatch", help="job queue whose machines the check runs on")
    parser.add_argument("--definition", default=JOB_DEFINITION_NAME, help="name of the job definition")
    parser.add_argument("--wait-seconds", type=float, default=1800.0, help="for the check and its machine's start")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
