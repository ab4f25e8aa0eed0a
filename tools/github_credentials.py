"""AWS credentials of a job on GitHub, as a `credential_process` of the AWS configuration.

GitHub says who the job is in a token that is good for five minutes; AWS gives a role's credentials for it, good
for an hour. Asked anew each time that credentials are wanted, a job may take longer than either.
"""

import json
import os
import sys
import urllib.request
from collections.abc import Mapping
from urllib.error import URLError

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

AUDIENCE = "sts.amazonaws.com"


def token_of(environ: Mapping[str, str]) -> str:
    """Raises KeyError where the job may not ask who it is, and OSError."""
    address = f"{environ['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience={AUDIENCE}"
    headers = {"Authorization": f"bearer {environ['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30) as answer:
        token: str = json.load(answer)["value"]
    return token


def credentials_of(environ: Mapping[str, str]) -> dict[str, object]:
    """In the form that AWS' libraries read. Raises KeyError, OSError, BotoCoreError or ClientError."""
    # Nothing is signed; without keys of its own boto3 would ask for this very process.
    unsigned = Config(signature_version=UNSIGNED)
    sts = boto3.client("sts", aws_access_key_id="-", aws_secret_access_key="-", config=unsigned)
    given = sts.assume_role_with_web_identity(
        RoleArn=environ["ROLE_ARN"],
        RoleSessionName=f"github-{environ['GITHUB_RUN_ID']}",
        WebIdentityToken=token_of(environ),
    )["Credentials"]
    return {
        "Version": 1,
        "AccessKeyId": given["AccessKeyId"],
        "SecretAccessKey": given["SecretAccessKey"],
        "SessionToken": given["SessionToken"],
        "Expiration": given["Expiration"].isoformat(),
    }


def main() -> int:
    try:
        print(json.dumps(credentials_of(os.environ)))
    except KeyError as exc:
        print(f"{exc.args[0]} is not set: this runs in a job on GitHub that may ask who it is.", file=sys.stderr)
    except URLError as exc:
        print(f"GitHub does not say who this job is: {exc.reason}", file=sys.stderr)
    except (BotoCoreError, ClientError) as exc:
        print(f"AWS does not give this job its role: {exc}", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
