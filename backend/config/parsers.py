import io
from collections.abc import Mapping
from typing import Any

from rest_framework import exceptions, parsers, status

MOST_BYTES = 256 * 1024


class BodyTooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The request's body may have at most {MOST_BYTES // 1024} KiB."
    default_code = "body_too_large"


class JSONParser(parsers.JSONParser):
    """REST framework would take a body of any size into memory; Django's own limit does not reach it."""

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise BodyTooLarge
        return super().parse(io.BytesIO(body), media_type, parser_context)
