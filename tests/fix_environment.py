"""The environment of the whole test run. Loaded before Django's settings are (`-p` in pyproject.toml).

Addresses point at a port nobody listens on, so that a test which forgets its fixture fails at once and never
reaches a real database or a real AWS account.
"""

import os
import sys
from pathlib import Path

NOWHERE = "127.0.0.1:9"

os.environ.update(
    {
        "SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests",
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "HTTPS": "false",
        "DATABASE_URL": f"postgresql://postgres@{NOWHERE}/nowhere",
        "MEDIA_BUCKET": "nowhere",
        "REQUESTS_QUEUE_URL": f"http://{NOWHERE}/123456789012/requests",
        "DEAD_REQUESTS_QUEUE_URL": f"http://{NOWHERE}/123456789012/requests-dead-letters",
        "JOB_EVENTS_QUEUE_URL": f"http://{NOWHERE}/123456789012/job-events",
        "RUNTIME_MANIFEST": str(Path(__file__).parent / "backend" / "manifest.json"),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": f"http://{NOWHERE}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
)
for name in (
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_REGION",
    "DEBUG",
    "STATIC_ROOT",
    "MEDIA_ORIGIN",
    "SOURCE_URL",
    "SIGN_UP",
    "MAIL_URL",
):
    os.environ.pop(name, None)

# Container images tend to set it. Every worker would rewrite the asserts of every module anew, and each of the
# hundreds of processes that tests start would compile the product.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
