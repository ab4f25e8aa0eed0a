"""Secrets Manager as the ECS agent reads it ("Specifying sensitive data" in the AWS Batch user guide)."""

import json
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.batch.container_environment import SecretUnavailable

_FIELDS_OF_AN_ARN = 7
_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})


class SecretsManager:
    """Resolves `arn:aws:secretsmanager:region:account:secret:name[:json-key[:version-stage[:version-id]]]`."""

    def __init__(self, client: Any = None) -> None:
        self._client = client

    def __call__(self, value_from: str) -> str:
        """Raises SecretUnavailable."""
        fields = value_from.split(":")
        if len(fields) < _FIELDS_OF_AN_ARN or fields[2] != "secretsmanager":
            raise SecretUnavailable(f"{value_from} is not the ARN of a Secrets Manager secret")
        json_key, stage, version = [*fields[_FIELDS_OF_AN_ARN:], "", "", ""][:3]
        arguments = {"SecretId": ":".join(fields[:_FIELDS_OF_AN_ARN]), "VersionStage": stage, "VersionId": version}
        try:
            if self._client is None:
                self._client = boto3.client("secretsmanager", config=_CONFIG)
            answer = self._client.get_secret_value(**{name: value for name, value in arguments.items() if value})
            text: str = answer["SecretString"]
            return str(json.loads(text)[json_key]) if json_key else text
        except (ClientError, BotoCoreError) as exc:
            raise SecretUnavailable(f"unable to retrieve secret from asm: {exc}") from exc
        except (KeyError, TypeError, ValueError) as exc:
            raise SecretUnavailable(f"retrieved secret has no key {json_key or 'SecretString'}") from exc

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
