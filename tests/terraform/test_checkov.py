"""checkov's advice: what is not followed is named here, with the reason, and whatever is new fails."""

import json
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.terraform.running import TERRAFORM, required, run_with_all_it_starts, stage

# By check: the resources that it complains of, in any module, and why they are as they are.
NOT_FOLLOWED: dict[str, tuple[set[str], str]] = {
    "CKV2_AWS_11": ({"aws_vpc"}, "security groups say who talks to whom; flow logs are the account's affair"),
    "CKV2_AWS_28": ({"aws_lb"}, "requests are signed in and counted by user; a firewall is paid for apart"),
    "CKV2_AWS_5": ({"aws_security_group"}, "attached through a map, which checkov does not follow"),
    "CKV2_AWS_57": ({"aws_secretsmanager_secret"}, "read when programs start, so changed by raising a version"),
    "CKV2_AWS_61": ({"aws_s3_bucket"}, "states are small, and none is too old to be wanted"),
    "CKV2_AWS_62": ({"aws_s3_bucket"}, "nobody waits for objects: the client says when an upload is finished"),
    "CKV_AWS_18": ({"aws_s3_bucket"}, "the API's log tells who asked for what; the rest is CloudTrail's"),
    "CKV_AWS_21": ({"aws_s3_bucket"}, "on in production; minimal keeps nothing twice"),
    "CKV_AWS_26": ({"aws_sns_topic"}, "alarms hold no secrets, and CloudWatch cannot publish under AWS's own key"),
    "CKV_AWS_50": ({"aws_lambda_function"}, "one call to AWS Batch a record, each in the log: nothing to trace"),
    "CKV_AWS_65": ({"aws_ecs_cluster"}, "on in production; paid for by the metric"),
    "CKV_AWS_91": ({"aws_lb"}, "the API writes its own access log"),
    "CKV_AWS_115": (
        {"aws_lambda_function"},
        "the mapping limits it; a limit here would lose requests",
    ),
    "CKV_AWS_116": ({"aws_lambda_function"}, "for asynchronous calls; the queue has dead letters of its own"),
    "CKV_AWS_117": ({"aws_lambda_function"}, "it talks to AWS alone, and touches neither database nor network"),
    "CKV_AWS_118": ({"aws_db_instance"}, "CloudWatch's metrics suffice for the alarms"),
    "CKV_AWS_136": ({"aws_ecr_repository"}, "encrypted with AWS's key; images hold no secrets"),
    "CKV_AWS_144": ({"aws_s3_bucket"}, "one region; a second would double the largest cost of storage"),
    "CKV_AWS_145": ({"aws_s3_bucket"}, "encrypted with S3's key; one of ours costs by the request"),
    "CKV_AWS_149": ({"aws_secretsmanager_secret"}, "encrypted with AWS's key; read within the account alone"),
    "CKV_AWS_157": ({"aws_db_instance"}, "on in production; minimal has one zone"),
    "CKV_AWS_158": ({"aws_cloudwatch_log_group"}, "encrypted by CloudWatch; secrets are never logged"),
    "CKV_AWS_161": ({"aws_db_instance"}, "a job may last longer than such a token, and reconnects"),
    "CKV_AWS_173": ({"aws_lambda_function"}, "names of queues, nothing secret"),
    "CKV_AWS_272": ({"aws_lambda_function"}, "the package is built from the commit that is applied"),
    "CKV_AWS_293": ({"aws_db_instance"}, "on in production; minimal may be thrown away"),
    "CKV_AWS_338": ({"aws_cloudwatch_log_group"}, "what must last is in the database; logs cost by the month"),
    "CKV_AWS_353": ({"aws_db_instance"}, "on in production; nobody looks at it in a trial"),
    "CKV_AWS_354": ({"aws_db_instance"}, "encrypted with AWS's key"),
    "CKV_AWS_394": ({"aws_availability_zones"}, "tells whether the zones that are named are there"),
}

pytestmark = pytest.mark.timeout(300)


def test_checkov_finds_nothing_but_what_is_justified(tmp_path):
    beside = Path(sys.prefix) / "checkov" / "bin" / "checkov"
    program = str(beside) if beside.exists() else required("checkov")
    command = [program, "--directory", str(stage(tmp_path)), "--framework", "terraform", "--skip-download"]
    done = run_with_all_it_starts([*command, "--output", "json"], seconds=240)
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 300
    found = defaultdict(set)
    for failure in report["results"]["failed_checks"]:
        kind = next(part for part in failure["resource"].split(".") if part.startswith("aws_"))
        found[failure["check_id"]].add(kind)
    assert found == {check: kinds for check, (kinds, _) in NOT_FOLLOWED.items()}


def test_no_exception_hides_in_the_configuration():
    assert not [path for path in TERRAFORM.rglob("*.tf") if "checkov:skip" in path.read_text(encoding="utf-8")]
