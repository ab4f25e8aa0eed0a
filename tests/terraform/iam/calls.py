"""What AWS asks IAM before it does what the product calls.

By "Actions, resources, and condition keys" of the service authorization reference, service by service. What the
product calls and this file does not name is refused, so that a new call is thought about once, here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from tests.terraform.iam.policies import Call

Params = Mapping[str, Any]
Asked = Callable[[Params], Sequence[Call]]

ENCRYPTED = {"aws:SecureTransport": "true"}  # boto3 talks to AWS by HTTPS


def declarations(region: str, account: str) -> dict[tuple[str, str], Asked]:
    """By (service, operation), as botocore names them."""

    def objects(*actions: str) -> Asked:
        return lambda params: [
            Call(action=f"s3:{action}", resource=_object(params["Bucket"], params["Key"]), context=ENCRYPTED)
            for action in actions
        ]

    def bucket(params: Params) -> list[Call]:
        context = ENCRYPTED | ({"s3:prefix": params["Prefix"]} if "Prefix" in params else {})
        return [Call(action="s3:ListBucket", resource=f"arn:aws:s3:::{params['Bucket']}", context=context)]

    def head_object(params: Params) -> list[Call]:
        # Without the right to list, an object that is not there is "forbidden", and the product tells them apart.
        return [*objects("GetObject")(params), *bucket({"Bucket": params["Bucket"]})]

    def delete_objects(params: Params) -> list[Call]:
        return [
            Call(
                action="s3:DeleteObject" + ("Version" if "VersionId" in one else ""),
                resource=_object(params["Bucket"], one["Key"]),
                context=ENCRYPTED,
            )
            for one in params["Delete"]["Objects"]
        ]

    def queue(action: str) -> Asked:
        return lambda params: [
            Call(action=f"sqs:{action}", resource=_queue(params["QueueUrl"], region), context=ENCRYPTED)
        ]

    def batch(resource: str) -> str:
        """Of a name, a name with a revision, or an ARN."""
        kind, _, name = resource.partition("/")
        return name if name.startswith("arn:") else f"arn:aws:batch:{region}:{account}:{kind}/{name}"

    def submit_job(params: Params) -> list[Call]:
        definition = batch(f"job-definition/{params['jobDefinition']}")
        asked = [batch(f"job-queue/{params['jobQueue']}"), definition]
        if definition.rsplit("/", 1)[1].count(":") == 0:
            # The newest revision: AWS does not say whether it asks for the name or for the revision.
            asked.append(f"{definition}:1")
        calls = [Call(action="batch:SubmitJob", resource=resource) for resource in asked]
        if params.get("tags"):
            # AWS's reference names the job; what AWS refuses names the definition that the job is made of.
            tagged = [*asked, batch("job/the-new-one")]
            calls += [Call(action="batch:TagResource", resource=resource) for resource in tagged]
        return calls

    def terminate_job(params: Params) -> list[Call]:
        return [Call(action="batch:TerminateJob", resource=batch(f"job/{params['jobId']}"))]

    def anything(action: str) -> Asked:
        return lambda _: [Call(action=action, resource="*")]

    return {
        ("s3", "HeadBucket"): bucket,
        ("s3", "ListObjectsV2"): bucket,
        ("s3", "HeadObject"): head_object,
        ("s3", "GetObject"): objects("GetObject"),
        ("s3", "PutObject"): objects("PutObject"),
        ("s3", "CreateMultipartUpload"): objects("PutObject"),
        ("s3", "UploadPart"): objects("PutObject"),
        ("s3", "CompleteMultipartUpload"): objects("PutObject"),
        ("s3", "AbortMultipartUpload"): objects("AbortMultipartUpload"),
        ("s3", "ListParts"): objects("ListMultipartUploadParts"),
        ("s3", "DeleteObject"): objects("DeleteObject"),
        ("s3", "DeleteObjects"): delete_objects,
        ("sqs", "SendMessage"): queue("SendMessage"),
        ("sqs", "SendMessageBatch"): queue("SendMessage"),
        ("sqs", "ReceiveMessage"): queue("ReceiveMessage"),
        ("sqs", "DeleteMessage"): queue("DeleteMessage"),
        ("sqs", "DeleteMessageBatch"): queue("DeleteMessage"),
        ("sqs", "ChangeMessageVisibility"): queue("ChangeMessageVisibility"),
        ("sqs", "ChangeMessageVisibilityBatch"): queue("ChangeMessageVisibility"),
        ("sqs", "GetQueueAttributes"): queue("GetQueueAttributes"),
        ("batch", "SubmitJob"): submit_job,
        ("batch", "TerminateJob"): terminate_job,
        ("batch", "ListJobs"): anything("batch:ListJobs"),
        ("batch", "DescribeJobs"): anything("batch:DescribeJobs"),
    }


def _object(bucket: str, key: str) -> str:
    return f"arn:aws:s3:::{bucket}/{key}"


def _queue(url: str, region: str) -> str:
    account, name = urlsplit(url).path.strip("/").split("/")
    return f"arn:aws:sqs:{region}:{account}:{name}"
