"""The loops of the backend worker, each also a command of its own. Several workers may run side by side."""

from functools import partial

from django.db import close_old_connections

from backend.gateways.request_queue import BATCH
from backend.videos.assembling import assemble_once
from backend.videos.cancelling import cancel_owed
from backend.videos.consuming import apply_dead_request, apply_job_event, consume_once
from backend.videos.deleting import remove_analysis, remove_video
from backend.videos.expiring import expire_once
from backend.videos.loops import Step
from backend.videos.models import OwedCall
from backend.videos.owed_calls import settle_once
from backend.videos.probing import probe_once
from backend.videos.pulse import beat
from backend.videos.reconciling import reconcile_once
from backend.videos.relay import relay_once
from backend.videos.resending import resend_once
from backend.videos.retention import forget_once
from backend.videos.waiting import hurry_once
from backend.videos.wiring import batch_jobs, dead_requests_queue, job_events_queue, media_bucket, request_queue
from backend.webhooks.delivering import Sender
from backend.webhooks.recording import forget_old

RELAY_IDLE_SECONDS = 0.2
OWED_CALLS_IDLE_SECONDS = 1.0
PROBER_IDLE_SECONDS = 0.2  # somebody may be waiting for it
EXPIRY_IDLE_SECONDS = 60.0
RECONCILER_IDLE_SECONDS = 60.0
RETENTION_IDLE_SECONDS = 3600.0
PULSE_IDLE_SECONDS = 60.0
WEBHOOKS_IDLE_SECONDS = 1.0
FORGET_IDLE_SECONDS = 3600.0
POLL_IDLE_SECONDS = 0.0  # an empty long poll has waited already

# S3 may take minutes over one upload, and one client may finish several at once, while others wait for small ones.
# By name, how long each waits where there is nothing to do: a lone file is soon found by the first of them.
ASSEMBLERS = {"assembler": 0.2, "second assembler": 1.0, "third assembler": 1.0, "fourth assembler": 1.0}

NOT_NEEDED = "The analysis was cancelled, or has another job."  # the reason AWS Batch shows


def relay() -> tuple[Step, float]:
    queue = request_queue()

    def step() -> int:
        taken = relay_once(queue)
        # Where a batch was not full, none waits: those of the next moment share a call, and so all calls after it.
        return taken if taken == BATCH else 0

    return _releasing(step), RELAY_IDLE_SECONDS


def job_events() -> tuple[Step, float]:
    return _releasing(partial(consume_once, job_events_queue(), apply_job_event)), POLL_IDLE_SECONDS


def dead_requests() -> tuple[Step, float]:
    return _releasing(partial(consume_once, dead_requests_queue(), apply_dead_request)), POLL_IDLE_SECONDS


def owed_calls() -> tuple[Step, float]:
    calls = {
        OwedCall.Kind.TERMINATE_JOB.value: partial(batch_jobs().terminate, reason=NOT_NEEDED),
        OwedCall.Kind.CANCEL_ANALYSIS.value: cancel_owed,
        OwedCall.Kind.REMOVE_ANALYSIS.value: partial(remove_analysis, bucket=media_bucket()),
        OwedCall.Kind.REMOVE_VIDEO.value: partial(remove_video, bucket=media_bucket()),
        OwedCall.Kind.REMOVE_OBJECT.value: media_bucket().delete_under,
    }
    return _releasing(partial(settle_once, calls)), OWED_CALLS_IDLE_SECONDS


def assembler(name: str) -> tuple[Step, float]:
    return _releasing(partial(assemble_once, media_bucket())), ASSEMBLERS[name]


def prober() -> tuple[Step, float]:
    return _releasing(partial(probe_once, media_bucket())), PROBER_IDLE_SECONDS


def upload_expiry() -> tuple[Step, float]:
    return _releasing(partial(expire_once, media_bucket())), EXPIRY_IDLE_SECONDS


def reconciler() -> tuple[Step, float]:
    jobs = batch_jobs()

    def step() -> int:
        resend_once()  # which goes on while AWS Batch is away
        reconcile_once(jobs)
        hurry_once(jobs)
        return 0  # whatever it found, asking again at once would find the same

    return _releasing(step), RECONCILER_IDLE_SECONDS


def retention() -> tuple[Step, float]:
    return _releasing(forget_once), RETENTION_IDLE_SECONDS


def pulse() -> tuple[Step, float]:
    def step() -> int:
        beat()
        return 0

    return _releasing(step), PULSE_IDLE_SECONDS


def webhooks() -> tuple[Step, float]:
    return Sender(), WEBHOOKS_IDLE_SECONDS  # its connections are those of its threads, which release them


def old_webhooks() -> tuple[Step, float]:
    return _releasing(forget_old), FORGET_IDLE_SECONDS


LOOPS = {
    "outbox relay": relay,
    "job-events consumer": job_events,
    "dead-requests consumer": dead_requests,
    "owed calls": owed_calls,
    **{name: partial(assembler, name) for name in ASSEMBLERS},
    "prober": prober,
    "upload expiry": upload_expiry,
    "reconciler": reconciler,
    "retention": retention,
    "pulse": pulse,
    "webhooks": webhooks,
    "old webhooks": old_webhooks,
}


def _releasing(step: Step) -> Step:
    """After each step the connection goes back to the pool, which throws broken ones away."""

    def releasing() -> int:
        try:
            return step()
        finally:
            close_old_connections()

    return releasing
