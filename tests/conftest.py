import faulthandler
import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.fix_postgres", "tests.fix_aws", "tests.fix_real"]

# A busy machine is no fault of the code: speed is measured by `make bench`, never by a test. Hypothesis' profile
# for CI takes the same examples every time, so that a change is judged by what it changed.
_BASE = settings.get_profile("ci" if os.environ.get("CI") == "true" else "default")
settings.register_profile("unhurried", _BASE, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("unhurried"), max_examples=2000)
settings.load_profile("unhurried")

TEARDOWN_SECONDS = 600


def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: about half of a test's time is waiting, for servers, processes and their ends."""
    return (os.cpu_count() or 1) + 2


def pytest_runtest_logfinish() -> None:
    """boto3's session keeps the keys that it began with: where a test that has set others ran first, everything
    that the same process signed afterwards was refused. What a test has set is undone by now.
    """
    clients, wiring = (sys.modules.get(f"backend.{name}") for name in ("gateways.clients", "videos.wiring"))
    if clients is None or not clients._session.cache_info().currsize:
        return
    credentials = clients._session().get_credentials()
    if credentials is None or credentials.secret_key != os.environ["AWS_SECRET_ACCESS_KEY"]:
        clients._session.cache_clear()
        if wiring is not None:
            wiring._media_bucket.cache_clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """pytest-timeout ends what a test waits for, once: what is taken down afterwards could hang the run for ever.

    The process ends then, and every thread's place is on stderr; pytest-xdist names the test and ends the run.

    SVT-AV1, which tests write clips with, makes its caller a real-time process (SCHED_FIFO 99) where it may. All
    that later tests start would be real-time too and starve the machine, in which terraform comes to no end.
    """
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    faulthandler.dump_traceback_later(TEARDOWN_SECONDS, exit=True, file=sys.__stderr__)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
