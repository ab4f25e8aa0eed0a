"""The product's own code, step by step, each step as the part that does it on AWS, on what Terraform applied."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
import httpx
from asgiref.sync import async_to_sync
from django.db import connection
from django.db.models.functions import Now
from rest_framework.test import APIClient

from backend.videos.loops import Closing
from backend.videos.models import OwedCall
from backend.videos.worker import LOOPS
from batch_job.main import main as run_container
from contract.jobs import job_name
from lambda_sqs_to_batch import handler as submitter
from local.poller.polling import MappingSettings, Poller
from local.runtime import write_manifest
from tests.backend.making import job_event
from tests.terraform.iam.gate import Gate
from tests.terraform.iam.permissions import Permissions

MODEL = "demo-shapes"
MOST_TURNS = 100  # of a loop, until nothing is left for it
SUCCESS, REFUSAL = range(200, 300), range(400, 500)


@dataclass(kw_only=True)
class Walk:
    permissions: Permissions
    gate: Gate
    client: APIClient
    folder: Path
    loops: set[str] = field(default_factory=set)  # of the worker, that have run

    def api(self, method: str, path: str, body: Any = None, *, status: range = SUCCESS) -> Any:
        """The API's answer, whose status must be as expected."""
        with self.gate.acting_as("api"):
            answer = getattr(self.client, method)(f"/api/{path}", body, format="json")
            content = async_to_sync(_read)(answer) if answer.streaming else answer.content
        assert answer.status_code in status, content
        return json.loads(content) if content and answer["Content-Type"] == "application/json" else content

    def upload(self, video: Path) -> str:
        """As a browser does it: asks for an address, sends the bytes to S3, tells that it has."""
        told = self.started(video)
        self.put(told["upload"], video.read_bytes())
        return self.finished(told["id"])

    def upload_in_parts(self, video: Path) -> str:
        """As a program does it that was interrupted, and asks what has arrived."""
        told = self.started(video, multipart=True)
        self.send_part(told["id"], video)
        arrived = self.api("get", f"videos/{told['id']}/parts")["results"]
        assert [part["number"] for part in arrived] == [1]
        return self.finished(told["id"])

    def started(self, video: Path, **asked: Any) -> Any:
        return self.api("post", "videos", {"filename": video.name, "size_bytes": video.stat().st_size, **asked})

    def send_part(self, video_id: str, video: Path) -> None:
        """The first and only one of a small file."""
        (part,) = self.api("post", f"videos/{video_id}/sign", {"parts": [{"number": 1}]})["parts"]
        self.put(part, video.read_bytes())

    def put(self, signed: Any, content: bytes) -> None:
        sent = httpx.request(
            signed["method"], signed["url"], headers=signed["headers"], content=content, timeout=90
        )
        assert sent.is_success, sent.text

    def finished(self, video_id: str) -> str:
        self.api("post", f"videos/{video_id}/finish")
        self.work("assembler")
        self.work("prober")
        assert self.api("get", f"videos/{video_id}")["status"] == "ready"
        return video_id

    def request(self, video_id: str, **options: Any) -> UUID:
        return UUID(self.api("post", "analyses", {"video": video_id, "model": MODEL, "options": options})["id"])

    def status(self, analysis_id: UUID) -> str:
        return str(self.api("get", f"analyses/{analysis_id}")["status"])

    def work(self, loop: str) -> None:
        """One step of one of the worker's loops."""
        self.loops.add(loop)
        with self.gate.acting_as("worker"):
            step, _ = LOOPS[loop]()
            try:
                step()
            finally:
                if isinstance(step, Closing):
                    step.close()

    def settle(self) -> None:
        """Every call that is owed, however long it shall wait, and whatever else comes of it."""
        owed = OwedCall.objects.filter(done_at=None)
        for _ in range(MOST_TURNS):
            if not owed.update(not_before=Now()):
                return
            self.work("owed calls")
        raise AssertionError(f"still owed: {list(owed.values_list('kind', 'subject', 'last_error'))}")

    def submit(self, analysis_id: UUID, *, on_demand: bool = False) -> str:
        """Relay, queue, event source mapping, function; gives the id of the job that AWS Batch then has."""
        self.work("outbox relay")
        self.invoke()
        return self.job_of(analysis_id, on_demand=on_demand)

    def invoke(self) -> None:
        """One batch from the requests queue, of which the function leaves nothing."""
        settings = MappingSettings(
            queue_url=self.permissions.outputs["queues"]["requests"], receive_wait_seconds=0
        )
        with self.gate.acting_as("submitter"):
            submitter._wiring.cache_clear()  # the environment is that of this test
            poller = Poller(settings, submitter.handler)
            outcome = poller.poll_once()
            poller.close()
        assert outcome.deleted, "no request arrived"
        assert not outcome.left, "a request was left in the queue"

    def job_of(self, analysis_id: UUID, *, on_demand: bool) -> str:
        wanted = [{"name": "JOB_NAME", "values": [job_name(analysis_id, on_demand=on_demand)]}]
        queues = [arn.rsplit("/", 1)[1] for arn in self.permissions.outputs["job_queues"].values()]
        batch = boto3.client("batch")
        lists = [batch.list_jobs(jobQueue=queue, filters=wanted)["jobSummaryList"] for queue in queues]
        (job,) = [job for jobs in lists for job in jobs]
        return str(job["jobId"])

    def tell(self, analysis_id: UUID, state: str, job_id: str, **event: Any) -> None:
        """EventBridge puts a job's state into the queue, and the worker reads it."""
        url = self.permissions.outputs["queues"]["job_events"]
        body = job_event(analysis_id, state, job_id=job_id, **event)
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody=body)
        self.work("job-events consumer")

    def run_job(self, job_id: str) -> int:
        """The job's program with the environment that its definition and SubmitJob gave it; its exit code."""
        (job,) = boto3.client("batch").describe_jobs(jobs=[job_id])["jobs"]
        variables = [
            *self.permissions.job_container()["environment"],
            *job["container"].get("environment", ()),
        ]
        manifest = self.folder / "manifest.json"
        write_manifest(manifest, ())
        environment = {one["name"]: one["value"] for one in variables} | {
            "AWS_BATCH_JOB_ID": job_id,
            "AWS_BATCH_JOB_ATTEMPT": "1",
            "DATABASE_URL": database_url(),
            "RUNTIME_MANIFEST": str(manifest),
            "SCRATCH_DIR": str(self.folder),
        }
        with self.gate.acting_as("job"):
            return run_container(environment)

    def bury(self, body: str) -> None:
        """SQS gives a message up, and the worker reads it among the dead letters."""
        url = self.permissions.outputs["queues"]["dead_requests"]
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody=body)
        self.work("dead-requests consumer")


async def _read(answer: Any) -> bytes:
    return b"".join([piece async for piece in answer.streaming_content])


def database_url() -> str:
    """Django's database of this test, for the job."""
    parts = connection.settings_dict
    return f"postgresql://{parts['USER']}@{parts['HOST']}:{parts['PORT']}/{parts['NAME']}"
