"""Calls the function as Lambda's Python runtime does, and gives up on it after the function's timeout."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

Handler = Callable[[dict[str, Any], Any], Any]


class HandlerNotFound(Exception):
    """The handler's module or function cannot be imported."""


class FunctionTimedOut(Exception):
    """The function ran longer than its timeout."""


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """The members that the Lambda developer guide lists for Python's context object."""

    function_name: str
    deadline: float  # time.monotonic()
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    function_version: str = "$LATEST"
    memory_limit_in_mb: str = "256"
    identity: None = None
    client_context: None = None

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:us-east-1:123456789012:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        return f"/aws/lambda/{self.function_name}"

    @property
    def log_stream_name(self) -> str:
        return f"local/[{self.function_version}]{self.aws_request_id.replace('-', '')}"

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - time.monotonic()) * 1000))


def load_handler(reference: str) -> Handler:
    """`package.module.function`. Raises HandlerNotFound."""
    module_name, _, name = reference.rpartition(".")
    try:
        handler = getattr(import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise HandlerNotFound(f"{reference}: {exc}") from exc
    if not callable(handler):
        raise HandlerNotFound(f"{reference} is not a function")
    found: Handler = handler
    return found


def invoke(handler: Handler, event: dict[str, Any], *, function_name: str, timeout_seconds: float) -> Any:
    """The function's response. Raises what it raises, and FunctionTimedOut.

    Lambda ends a function that runs too long. A thread cannot be ended: it is left alone, its response is ignored.
    """
    context = LambdaContext(function_name, deadline=time.monotonic() + timeout_seconds)
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def call() -> None:
        try:
            # The runtime hands over a document of its own: what the function does to it may not reach the poller.
            outcome.append(handler(json.loads(json.dumps(event)), context))
        except BaseException as exc:  # noqa: BLE001 - as Lambda: SystemExit in a function fails the call alone
            failure.append(exc)

    thread = threading.Thread(target=call, name=context.aws_request_id, daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    if thread.is_alive():
        raise FunctionTimedOut(f"Task timed out after {timeout_seconds:.2f} seconds")
    if failure:
        raise failure[0]
    return outcome[0]
