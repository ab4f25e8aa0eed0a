"""Plays the account: what Terraform makes on AWS is made here on the moto server and the Batch stand-in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig

from contract.jobs import job_definition
from contract.plans import SHARES
from contract.uploads import part_bytes

REGION = "us-east-1"
BUCKET = "framebatch-media"
JOB_QUEUE = "framebatch"
ENTERPRISE_QUEUE = "framebatch-enterprise"
ON_DEMAND_QUEUE = "framebatch-on-demand"
ON_DEMAND_ENTERPRISE_QUEUE = "framebatch-on-demand-enterprise"
JOB_IMAGE = "framebatch/batch_job:local"

_ATTEMPT_SECONDS = 3600
_EVENTS_VISIBILITY_SECONDS = 30
_ETAGS = "etags.json"
_PARTS_KEPT_DAYS = 7  # the backend aborts what is abandoned much earlier; this ends what it does not know


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    requests_queue_url: str
    dead_requests_queue_url: str
    job_events_queue_url: str
    database_secret_arn: str


def account_environment(aws_url: str, batch_url: str) -> dict[str, str]:
    """What a process needs to reach the stand-ins by plain boto3, and never a real account."""
    return {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ENDPOINT_URL_BATCH": batch_url,
    }


def session_for(environment: Mapping[str, str]) -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )


def create_account(
    session: boto3.Session, aws_url: str, *, database_url: str, visibility_seconds: int, max_receives: int
) -> Account:
    """Bucket, queues with their dead letters, and the database secret, on a fresh moto server."""
    s3 = session.client("s3", endpoint_url=aws_url)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_cors(
        Bucket=BUCKET,
        CORSConfiguration={
            "CORSRules": [
                {
                    "AllowedMethods": ["GET", "PUT"],
                    "AllowedOrigins": ["*"],
                    "AllowedHeaders": ["*"],
                    "ExposeHeaders": ["ETag"],
                }
            ]
        },
    )
    s3.put_bucket_lifecycle_configuration(
        Bucket=BUCKET,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "abandoned-parts",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _PARTS_KEPT_DAYS},
                }
            ]
        },
    )
    sqs = session.client("sqs", endpoint_url=aws_url)

    def queue(name: str, visibility: int) -> tuple[str, str]:
        dead_letters = sqs.create_queue(QueueName=f"{name}-dead-letters")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead_letters, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": max_receives})
        attributes = {"VisibilityTimeout": str(visibility), "RedrivePolicy": redrive}
        return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], dead_letters

    requests, dead_requests = queue("framebatch-requests", visibility_seconds)
    job_events, _ = queue("framebatch-job-events", _EVENTS_VISIBILITY_SECONDS)
    secrets = session.client("secretsmanager", endpoint_url=aws_url)
    secret = secrets.create_secret(Name="framebatch/database-url", SecretString=database_url)
    return Account(
        requests_queue_url=requests,
        dead_requests_queue_url=dead_requests,
        job_events_queue_url=job_events,
        database_secret_arn=secret["ARN"],
    )


def create_batch(
    session: boto3.Session, batch_url: str, *, environment: Mapping[str, str], account: Account, vcpus: int
) -> str:
    """Compute environments, fair-share queues and job definition; gives the definition's ARN."""
    batch = session.client("batch", endpoint_url=batch_url)
    policy = batch.create_scheduling_policy(
        name="framebatch-plans",
        fairsharePolicy={
            "shareDecaySeconds": 3600,
            "shareDistribution": [
                {"shareIdentifier": share.identifier, "weightFactor": share.weight_factor}
                for share in SHARES.values()
            ],
        },
    )
    for environment_name, kind in (("framebatch", "SPOT"), ("framebatch-on-demand", "EC2")):
        batch.create_compute_environment(
            computeEnvironmentName=environment_name,
            type="MANAGED",
            computeResources={
                "type": kind,
                "minvCpus": 0,
                "maxvCpus": vcpus,
                "instanceTypes": ["optimal"],
                "subnets": ["subnet-local"],
                "instanceRole": "arn:aws:iam::123456789012:instance-profile/local",
            },
        )
    queues = (
        (JOB_QUEUE, 1, "framebatch"),
        (ENTERPRISE_QUEUE, 10, "framebatch"),
        (ON_DEMAND_QUEUE, 1, "framebatch-on-demand"),
        (ON_DEMAND_ENTERPRISE_QUEUE, 10, "framebatch-on-demand"),
    )
    for queue, priority, environment_name in queues:
        batch.create_job_queue(
            jobQueueName=queue,
            state="ENABLED",
            priority=priority,
            schedulingPolicyArn=policy["arn"],
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment_name}],
        )
    definition = batch.register_job_definition(
        **job_definition(
            image=JOB_IMAGE,
            environment=environment,
            secrets={"DATABASE_URL": account.database_secret_arn},
            vcpus=vcpus,
            memory_mib=4096,
            gpus=0,
            timeout_seconds=_ATTEMPT_SECONDS,
        )
    )
    return definition["jobDefinitionArn"]


def save_media(session: boto3.Session, aws_url: str, folder: Path) -> None:
    """moto keeps objects in memory; they are written to disk when the stack stops."""
    s3 = session.client("s3", endpoint_url=aws_url)
    etags = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            path = folder / item["Key"]
            etags[item["Key"]] = item["ETag"]
            if not path.exists() or path.stat().st_size != item["Size"]:
                path.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(BUCKET, item["Key"], str(path))
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in etags:
            path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _ETAGS).write_text(json.dumps(etags), encoding="utf-8")


def restore_media(session: boto3.Session, aws_url: str, folder: Path) -> None:
    """Each object gets the ETag that it had, which the database knows: that takes the same parts as before."""
    s3 = session.client("s3", endpoint_url=aws_url)
    etags = json.loads((folder / _ETAGS).read_text(encoding="utf-8")) if (folder / _ETAGS).exists() else {}
    for path in folder.rglob("*"):
        if not path.is_file() or path.name == _ETAGS:
            continue
        content_type = "image/jpeg" if path.suffix == ".jpg" else "application/octet-stream"
        key = path.relative_to(folder).as_posix()
        in_parts = "-" in etags.get(key, "")
        size = path.stat().st_size
        transfer = TransferConfig(
            multipart_threshold=1 if in_parts else size + 1, multipart_chunksize=part_bytes(size)
        )
        s3.upload_file(str(path), BUCKET, key, ExtraArgs={"ContentType": content_type}, Config=transfer)
