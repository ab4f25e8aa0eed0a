"""Failures on request, for tests of the code that calls AWS Batch."""

import threading
from dataclasses import dataclass

from local.batch.errors import InjectedFault

THROTTLED = "TooManyRequestsException"


class VanishedService(Exception):
    """The connection is closed without an answer."""


@dataclass(slots=True)
class _Fault:
    operation: str | None
    code: str
    status: int
    times: int | None


class Faults:
    """The faults planned; each request meets the first that names its operation."""

    def __init__(self) -> None:
        self._planned: list[_Fault] = []
        self._lock = threading.Lock()

    def add(
        self, *, operation: str | None = None, code: str = THROTTLED, status: int = 429, times: int | None = None
    ) -> None:
        """No `operation` means every one, no `times` until `clear`, and status 0 hangs up without an answer."""
        with self._lock:
            self._planned.append(_Fault(operation, code, status, times))

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

    def strike(self, operation: str) -> None:
        """Raises InjectedFault or VanishedService where one is planned."""
        with self._lock:
            fault = next((fault for fault in self._planned if fault.operation in (None, operation)), None)
            if fault is None:
                return
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._planned.remove(fault)
        if not fault.status:
            raise VanishedService
        raise InjectedFault(fault.code, fault.status)
