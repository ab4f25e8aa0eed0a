"""The judge is judged first: what it lets pass, what it stops, and what it refuses to judge."""

import boto3
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from tests.terraform.iam.calls import declarations
from tests.terraform.iam.gate import CallRefused, Gate, Part
from tests.terraform.iam.policies import Call, PolicyNotUnderstood, Principal, decide, statements_of

ROLE = Principal(role_arn="arn:aws:iam::123456789012:role/worker")
QUEUE = "arn:aws:sqs:us-east-1:123456789012:requests"


def allow(action: str | list[str], resource: str | list[str], **more: object) -> dict:
    return {"Sid": "Given", "Effect": "Allow", "Action": action, "Resource": resource, **more}


def is_allowed(
    call: Call, *statements: dict, principal: Principal = ROLE, of_resource: tuple[dict, ...] = ()
) -> bool:
    return decide(
        call,
        principal,
        of_role=statements_of("role", {"Statement": list(statements)}),
        of_resource=statements_of("resource", {"Statement": list(of_resource)}),
    ).allowed


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("sqs:SendMessage", QUEUE, True),
        ("SQS:sendmessage", QUEUE, True),  # actions ignore case
        ("sqs:Send*", QUEUE, True),
        ("sqs:*", "*", True),
        ("sqs:SendMessage", QUEUE.upper(), False),  # resources do not
        ("sqs:SendMessage", f"{QUEUE}-dead-letters", False),
        ("sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:req*", True),
        ("sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:request?", True),
        ("sqs:SendMessage", "arn:aws:sqs:*:*:requests", True),
        ("sqs:SendMessage", "arn:aws:sqs:us-east-1:999999999999:*", False),
        ("sqs:SendMessage", "arn:aws:sqs:us-east-1:*:[r]equests", False),  # not a shell's pattern
        ("sqs:SendMessag", QUEUE, False),
        ("sqs:ReceiveMessage", QUEUE, False),
    ],
)
def test_an_action_on_a_resource_is_allowed_as_its_patterns_say(action, resource, allowed):
    assert is_allowed(Call(action="sqs:SendMessage", resource=QUEUE), allow(action, resource)) is allowed


def test_what_no_statement_names_is_denied():
    assert not is_allowed(Call(action="sqs:SendMessage", resource=QUEUE))


def test_a_wildcard_stays_within_its_part_of_an_arn():
    call = Call(action="s3:GetObject", resource="arn:aws:s3:::media/uploads/1/a:b")

    assert is_allowed(call, allow("s3:GetObject", "arn:aws:s3:::media/uploads/*"))
    assert not is_allowed(call, allow("s3:GetObject", "arn:aws:s3:*:media/uploads/1/a:b"))


def test_an_action_without_a_resource_is_granted_by_the_star_alone():
    call = Call(action="batch:ListJobs", resource="*")

    assert is_allowed(call, allow("batch:ListJobs", "*"))
    assert not is_allowed(call, allow("batch:ListJobs", "arn:aws:batch:us-east-1:123456789012:job-queue/*"))


def test_a_denial_wins_wherever_it_stands():
    call = Call(action="s3:GetObject", resource="arn:aws:s3:::media/a", context={"aws:SecureTransport": "false"})
    denial = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::media/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }

    assert not is_allowed(call, allow("s3:*", "*"), of_resource=(denial,))
    encrypted = Call(action=call.action, resource=call.resource, context={"aws:SecureTransport": "true"})
    assert is_allowed(encrypted, allow("s3:*", "*"), of_resource=(denial,))


def test_a_service_is_allowed_by_the_resource_that_names_it_under_its_condition():
    rule = "arn:aws:events:us-east-1:123456789012:rule/job-states"
    policy = allow(
        "sqs:SendMessage",
        QUEUE,
        Principal={"Service": "events.amazonaws.com"},
        Condition={"ArnEquals": {"aws:SourceArn": rule}},
    )

    def sends(service: str, source: str) -> bool:
        call = Call(action="sqs:SendMessage", resource=QUEUE, context={"aws:SourceArn": source})
        return is_allowed(call, principal=Principal(service=service), of_resource=(policy,))

    assert sends("events.amazonaws.com", rule)
    assert not sends("events.amazonaws.com", f"{rule}-of-somebody-else")
    assert not sends("sns.amazonaws.com", rule)
    assert not is_allowed(Call(action="sqs:SendMessage", resource=QUEUE), of_resource=(policy,))


@pytest.mark.parametrize(
    ("operator", "wanted", "given", "holds"),
    [
        ("StringEquals", ["a", "b"], "b", True),
        ("StringEquals", ["a"], "A", False),
        ("StringEquals", ["a"], None, False),
        ("StringEqualsIfExists", ["a"], None, True),
        ("StringNotEquals", ["a"], "b", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringNotEquals", ["a"], None, True),
        ("StringLike", ["uploads/*"], "uploads/1", True),
        ("StringNotLike", ["uploads/*"], "uploads/1", False),
        ("ArnLike", ["arn:aws:sqs:*:*:req*"], QUEUE, True),
        ("Bool", ["True"], "true", True),
    ],
)
def test_a_condition_holds_as_its_operator_says(operator, wanted, given, holds):
    statement = allow("sqs:SendMessage", QUEUE, Condition={operator: {"aws:Key": wanted}})
    context = {} if given is None else {"AWS:key": given}  # keys ignore case

    assert is_allowed(Call(action="sqs:SendMessage", resource=QUEUE, context=context), statement) is holds


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"NotAction": "s3:*"}, "NotAction"),
        ({"Condition": {"NumericLessThan": {"s3:max-keys": "1"}}}, "NumericLessThan"),
        ({"Resource": "arn:aws:s3:::media/${aws:username}/*"}, "username"),
        ({"Resource": "arn:aws:s3"}, "arn:aws:s3"),
        ({"Condition": {"StringEquals": {"s3:prefix": "${aws:username}"}}}, "variable"),
    ],
)
def test_a_policy_beyond_its_knowledge_is_refused_and_not_guessed_at(change, named):
    with pytest.raises(PolicyNotUnderstood, match=named):
        statements_of("role", {"Statement": [allow("s3:GetObject", "*") | change]})


@given(actions=st.lists(st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:*"]), min_size=1))
def test_one_more_statement_that_allows_takes_nothing_away(actions: list[str]):
    call = Call(action="s3:GetObject", resource="arn:aws:s3:::media/a")
    statements = [allow(action, "*") for action in actions]

    for count in range(1, len(statements)):
        if is_allowed(call, *statements[:count]):
            assert is_allowed(call, *statements[: count + 1])


def gate_of(*statements: dict) -> Gate:
    part = Part(
        name="worker",
        role_arn="arn:aws:iam::123456789012:role/worker",
        statements=statements_of("role", {"Statement": list(statements)}),
    )
    return Gate(parts={"worker": part}, of_resources=(), declarations=declarations("us-east-1", "123456789012"))


QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/requests"
UNSENT = Config(
    retries={"total_max_attempts": 1}, connect_timeout=1
)  # nobody listens where the tests' endpoint is


def test_a_call_that_is_not_granted_never_leaves_and_is_not_forgotten():
    gate = gate_of(allow("sqs:SendMessage", QUEUE))

    with gate.open(), gate.acting_as("worker"):
        sqs = boto3.session.Session(region_name="us-east-1").client("sqs", config=UNSENT)
        with pytest.raises(CallRefused, match=r"worker may not sqs:ReceiveMessage on arn:aws:sqs:.*:requests"):
            sqs.receive_message(QueueUrl=QUEUE_URL)

    assert gate.refused == [f"worker may not sqs:ReceiveMessage on {QUEUE}"]
    assert gate.calls == {("worker", "sqs:ReceiveMessage"): 1}


def test_a_call_that_nobody_declared_is_refused_even_where_all_is_granted():
    gate = gate_of(allow("*", "*"))

    with gate.open(), gate.acting_as("worker"):
        s3 = boto3.session.Session().client("s3", config=UNSENT)
        with pytest.raises(CallRefused, match=r"s3:ListBuckets, which is not declared"):
            s3.list_buckets()


def test_a_url_is_signed_only_for_what_the_signer_may_do_itself():
    gate = gate_of(allow("s3:PutObject", "arn:aws:s3:::media/uploads/*"))

    with gate.open(), gate.acting_as("worker"):
        s3 = boto3.session.Session().client("s3")
        assert s3.generate_presigned_url("put_object", Params={"Bucket": "media", "Key": "uploads/1"})
        with pytest.raises(CallRefused, match=r"s3:PutObject on arn:aws:s3:::media/analyses/1"):
            s3.generate_presigned_url("put_object", Params={"Bucket": "media", "Key": "analyses/1"})


def test_grants_that_no_call_needed_are_listed_one_by_one():
    gate = gate_of(allow(["sqs:SendMessage", "sqs:ReceiveMessage"], [QUEUE, f"{QUEUE}-dead-letters"]))

    gate.check("worker", "sqs", "SendMessageBatch", {"QueueUrl": QUEUE_URL})

    assert [(grant.action, grant.resource) for _, grant in gate.unused()] == [
        ("sqs:SendMessage", f"{QUEUE}-dead-letters"),
        ("sqs:ReceiveMessage", QUEUE),
        ("sqs:ReceiveMessage", f"{QUEUE}-dead-letters"),
    ]


def test_what_the_test_itself_calls_is_not_held():
    gate = gate_of()

    with gate.open():
        s3 = boto3.session.Session().client("s3")
        assert s3.generate_presigned_url("get_object", Params={"Bucket": "media", "Key": "a"})
    assert not gate.calls


@pytest.mark.parametrize(
    "definition", ["analysis", "arn:aws:batch:us-east-1:123456789012:job-definition/analysis"]
)
def test_a_job_is_submitted_on_its_queue_its_definition_with_and_without_revision_and_its_tags(definition):
    submit = declarations("us-east-1", "123456789012")["batch", "SubmitJob"]

    asked = submit({"jobQueue": "framebatch", "jobDefinition": definition, "tags": {"plan": "free"}})

    arn = "arn:aws:batch:us-east-1:123456789012:"
    assert [(call.action, call.resource) for call in asked] == [
        ("batch:SubmitJob", f"{arn}job-queue/framebatch"),
        ("batch:SubmitJob", f"{arn}job-definition/analysis"),
        ("batch:SubmitJob", f"{arn}job-definition/analysis:1"),
        ("batch:TagResource", f"{arn}job-queue/framebatch"),
        ("batch:TagResource", f"{arn}job-definition/analysis"),
        ("batch:TagResource", f"{arn}job-definition/analysis:1"),
        ("batch:TagResource", f"{arn}job/the-new-one"),
    ]
