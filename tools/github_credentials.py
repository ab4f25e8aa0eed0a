"""AWS credentials of a job on GitHub, as a `credential_process` of the AWS configuration.

GitHub says who the job is in a token that is good for five minutes; AWS gives a role's credentials for it, good
for an hour. Asked anew each time that credentials are wanted, a job may take longer than either.
"""

import json
import os
import sys
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

AUDIENCE = "sts.amazonaws.com"
NEEDED = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ROLE_ARN", "GITHUB_RUN_ID")
PATIENCE_SECONDS = 30.0  # for each answer of GitHub
PAUSE_SECONDS = 2.0


class Refused(Exception):
    """The message is a sentence that says who refused, and why."""


def token_of(environ: Mapping[str, str]) -> str:
    """Raises Refused."""
    address = f"{environ['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience={AUDIENCE}"
    headers = {"Authorization": f"bearer {environ['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    try:
        request = urllib.request.Request(address, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            told = json.load(answer)
    except (OSError, HTTPException, ValueError) as exc:
        raise Refused(f"GitHub does not say who this job is: {exc}") from exc
    token = told.get("value") if isinstance(told, dict) else None
    if not isinstance(token, str):
        raise Refused("GitHub does not say who this job is: its answer holds no token")
    return token


def credentials_of(environ: Mapping[str, str]) -> dict[str, object]:
    """In the form that AWS' libraries read. Raises Refused."""
    token = token_of(environ)
    # Nothing is signed; without keys of its own boto3 would ask for this very process.
    unsigned = Config(signature_version=UNSIGNED)
    try:
        sts = boto3.client("sts", aws_access_key_id="-", aws_secret_access_key="-", config=unsigned)
        given = sts.assume_role_with_web_identity(
            RoleArn=environ["ROLE_ARN"],
            RoleSessionName=f"github-{environ['GITHUB_RUN_ID']}",
            WebIdentityToken=token,
        )["Credentials"]
    except (BotoCoreError, ClientError) as exc:
        raise Refused(f"AWS does not give this job its role: {exc}") from exc
    return {
        "Version": 1,
        "AccessKeyId": given["AccessKeyId"],
        "SecretAccessKey": given["SecretAccessKey"],
        "SessionToken": given["SessionToken"],
        "Expiration": given["Expiration"].isoformat(),
    }


def main(environ: Mapping[str, str]) -> int:
    for name in NEEDED:
        if not environ.get(name):
            print(f"{name} is not set: this runs in a job on GitHub that may ask who it is.", file=sys.stderr)
            return 1
    try:
        try:
            given = credentials_of(environ)
        except Refused:  # a bake asks many times within hours, and no single refusal shall end it
            time.sleep(PAUSE_SECONDS)
            given = credentials_of(environ)
    except Refused as exc:
        print(exc, file=sys.stderr)
        return 1
    print(json.dumps(given))
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
