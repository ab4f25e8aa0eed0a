"""Faults of the settings that are better told at start than met by a user."""

from typing import Any

from botocore.exceptions import BotoCoreError
from django.core.checks import CheckMessage, Error, register

from backend.gateways.clients import client
from backend.videos.catalogue import catalogue
from contract.manifest import ManifestInvalid


@register()
def check_runtime_manifest(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        models = catalogue().models()
    except ManifestInvalid as exc:
        return [Error(str(exc), hint="RUNTIME_MANIFEST must name a runtime manifest.", id="videos.E001")]
    if not models:
        return [
            Error("The runtime manifest has no model.", hint="Put one on the machine image.", id="videos.E002")
        ]
    return []


@register()
def check_aws_clients(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        client("sqs")
    except (BotoCoreError, ValueError) as exc:
        return [Error(f"boto3 cannot be used: {exc}", hint="Set AWS_DEFAULT_REGION.", id="videos.E003")]
    return []
