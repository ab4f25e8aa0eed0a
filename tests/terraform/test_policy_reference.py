"""Policies that AWS would take and that grant nothing, or too much, are found."""

import pytest

from tests.terraform.iam.policies import statements_of
from tests.terraform.iam.reference import faults

MEDIA, QUEUE = "arn:aws:s3:::media", "arn:aws:sqs:us-east-1:123456789012:requests"
BATCH = "arn:aws:batch:us-east-1:123456789012"


def faults_of(action: str, resource: str) -> list[str]:
    statement = {"Sid": "Given", "Effect": "Allow", "Action": action, "Resource": resource}
    return list(faults(statements_of("role", {"Statement": statement})))


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", f"{MEDIA}/uploads/*"),
        ("s3:ListBucket", MEDIA),
        ("sqs:SendMessage", QUEUE),
        ("batch:ListJobs", "*"),
        ("batch:SubmitJob", f"{BATCH}:job-queue/framebatch"),
        ("batch:SubmitJob", f"{BATCH}:job-definition/analysis:*"),
        ("batch:TerminateJob", f"{BATCH}:job/*"),
        ("batch:TagResource", f"{BATCH}:job-definition/analysis"),
        ("logs:PutLogEvents", "arn:aws:logs:us-east-1:123456789012:log-group:/framebatch/jobs:*"),
        ("ecr:GetAuthorizationToken", "*"),
    ],
)
def test_an_exact_grant_has_no_fault(action, resource):
    assert faults_of(action, resource) == []


@pytest.mark.parametrize(
    ("action", "resource", "sentence"),
    [
        ("s3:*", MEDIA, "role, statement Given: s3:* names no exact action"),
        ("sqs:SendMessageBatch", QUEUE, "AWS knows no action sqs:SendMessageBatch"),  # an operation, not an action
        ("sqs:SendMessage", "*", "sqs:SendMessage on *, where AWS takes arn:aws:sqs:"),
        ("s3:ListBucket", f"{MEDIA}/uploads/*", "has no effect, since AWS takes"),
        ("s3:GetObject", MEDIA, "has no effect, since AWS takes"),
        ("batch:ListJobs", f"{BATCH}:job-queue/framebatch", "has no effect, since AWS takes * alone"),
        ("batch:TerminateJob", f"{BATCH}:job-queue/framebatch", "has no effect"),
        ("logs:PutLogEvents", "arn:aws:logs:us-east-1:123456789012:log-group:/framebatch/jobs", "has no effect"),
    ],
)
def test_a_grant_that_is_too_wide_or_idle_is_told_in_a_sentence(action, resource, sentence):
    (fault,) = faults_of(action, resource)
    assert sentence in fault
