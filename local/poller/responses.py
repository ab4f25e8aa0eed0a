"""What a function's response means with ReportBatchItemFailures.

"Handling errors for an SQS event source in Lambda" (AWS Lambda developer guide), success and failure conditions:
a complete success for an empty or null batchItemFailures list and an empty or null response; a complete failure
for an invalid JSON response, and for an itemIdentifier that is an empty string, null, under a bad key name, or a
message id that does not exist.
"""

import json
from collections.abc import Collection
from typing import Any


class ResponseInvalid(Exception):
    """The function's response is none that Lambda understands, so the whole batch counts as failed."""


def failed_ids(response: Any, message_ids: Collection[str]) -> frozenset[str]:
    """The messages that stay in the queue. Raises ResponseInvalid."""
    try:
        json.dumps(response, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise ResponseInvalid(f"not JSON: {exc}") from exc
    if response is None:
        return frozenset()
    if not isinstance(response, dict):
        raise ResponseInvalid(f"a JSON object was expected, not {response!r}")
    failures = response.get("batchItemFailures")
    if failures is None:
        return frozenset()
    if not isinstance(failures, list):
        raise ResponseInvalid("batchItemFailures is not a list")
    return frozenset(_identifier(failure, message_ids) for failure in failures)


def _identifier(failure: Any, message_ids: Collection[str]) -> str:
    if not isinstance(failure, dict) or "itemIdentifier" not in failure:
        raise ResponseInvalid(f"no itemIdentifier in {failure!r}")
    identifier = failure["itemIdentifier"]
    if not isinstance(identifier, str) or identifier not in message_ids:
        raise ResponseInvalid(f"itemIdentifier {identifier!r} is no message of this batch")
    return identifier
