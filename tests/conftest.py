import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.fix_postgres", "tests.fix_aws", "tests.fix_real"]

# A busy machine is no fault of the code: speed is measured by `make bench`, never by a test. Hypothesis' profile
# for CI takes the same examples every time, so that a change is judged by what it changed.
_BASE = settings.get_profile("ci" if os.environ.get("CI") == "true" else "default")
settings.register_profile("unhurried", _BASE, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("unhurried"), max_examples=2000)
settings.load_profile("unhurried")
