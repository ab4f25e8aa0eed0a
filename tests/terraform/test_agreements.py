"""What Terraform's variables refuse agrees with others: the worker's clock, and AWS's list of machines."""

import re
from datetime import timedelta

import boto3

from backend.videos.waiting import BLOCKED_ON_DEMAND, BLOCKED_ON_SPOT
from tests.terraform.running import TERRAFORM

BATCH = TERRAFORM / "modules" / "batch"


def test_the_worker_moves_and_ends_a_job_that_cannot_start_before_aws_batch_cancels_it():
    """A job that AWS Batch cancels is over, and would miss its turn On-Demand and its owner's sentence."""
    variables = (BATCH / "variables.tf").read_text(encoding="utf-8")
    (above,) = re.findall(r"var\.runnable_limit_seconds > (\d+)", variables)
    (default,) = re.findall(r'"runnable_limit_seconds" \{.*?default += (\d+)', variables, re.DOTALL)
    latest = max(BLOCKED_ON_SPOT, BLOCKED_ON_DEMAND) + timedelta(minutes=5)  # an event may be late
    assert latest.total_seconds() <= int(above) < int(default)


def test_every_machine_of_a_family_that_may_be_named_has_a_size():
    """By EC2's own description; bare metal, and machines of one vCPU, are for no job."""
    table = (BATCH / "instance_types.tf").read_text(encoding="utf-8")
    families = set(re.findall(r"(\w+) = [\d.]+[,\s]", table[: table.index(")\n")]))
    (sizes,) = re.findall(r"for times in \[([\d, ]+)\]", table)
    known = {"large", *(f"{'' if size == '1' else size}xlarge" for size in sizes.split(", "))}
    types = boto3.client("ec2", region_name="us-east-1").meta.service_model.shape_for("InstanceType").enum
    of_ours = [kind.partition(".") for kind in types if kind.partition(".")[0] in families]
    assert {family for family, _, _ in of_ours} == families
    assert {size for _, _, size in of_ours if not size.startswith("metal")} == known | {"medium"}
