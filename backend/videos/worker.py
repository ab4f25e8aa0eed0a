"""The loops of the backend worker, each also a command of its own. Several workers may run side by side."""

from functools import partial

from django.db import close_old_connections

from backend.videos.consuming import consume_once
from backend.videos.loops import Step
from backend.videos.relay import relay_once
from backend.videos.wiring import job_events_queue, request_queue

RELAY_IDLE_SECONDS = 0.2


def relay() -> tuple[Step, float]:
    return _releasing(partial(relay_once, request_queue())), RELAY_IDLE_SECONDS


def consumer() -> tuple[Step, float]:
    # No pause: an empty long poll has waited already.
    return _releasing(partial(consume_once, job_events_queue())), 0.0


def _releasing(step: Step) -> Step:
    """After each step the connection goes back to the pool, which throws broken ones away."""

    def releasing() -> int:
        try:
            return step()
        finally:
            close_old_connections()

    return releasing
