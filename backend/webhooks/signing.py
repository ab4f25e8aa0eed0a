"""Signatures after the Standard Webhooks specification (standardwebhooks.com), symmetric, version 1."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

_PREFIX = "whsec_"


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and HMAC-SHA256 in base64, over id, seconds since 1970, and body, joined by dots."""
    signed = b".".join([message_id.encode(), str(timestamp).encode(), body])
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(secrets_in_use: Iterable[str], *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Signed with each secret, so that a receiver can change over from one to the next."""
    signatures = [signature(key, message_id=message_id, timestamp=timestamp, body=body) for key in secrets_in_use]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
