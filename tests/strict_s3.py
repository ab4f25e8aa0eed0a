"""What S3 checks of a presigned PUT and moto does not: the signature, the hour, and the checksum.

And what moto is not: slow, where parts are put together, and told which checksum each of them has.
"""

import base64
import hashlib
import io
import re
import threading
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "SHA256": lambda body: hashlib.sha256(body).digest(),
    "CRC32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
}

HELD_SECONDS = 60


def checksum(algorithm: str, *bodies: bytes) -> str:
    """Base64, of one body, or of several as S3 makes it of the parts of an upload (without the `-<parts>`)."""
    of = CHECKSUMS[algorithm]
    digest = of(bodies[0]) if len(bodies) == 1 else of(b"".join(map(of, bodies)))
    return base64.b64encode(digest).decode()


class StrictS3:
    """WSGI middleware. `later` is added to the clock, so that a test need not wait for a URL to expire.

    Parts are put together, and that is answered, only while the two events are set.
    """

    def __init__(self, app: Any, *, secret_key: str) -> None:
        self._app = app
        self._secret_key = secret_key
        self.later = timedelta()
        self._parts: dict[tuple[str, str], str] = {}  # by upload and number, what S3 lists of their checksums
        self.may_complete, self.may_answer = threading.Event(), threading.Event()
        self.may_complete.set()
        self.may_answer.set()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        if environ["REQUEST_METHOD"] == "PUT" and "X-Amz-Signature" in query:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            body = environ["wsgi.input"].read(length)
            environ["wsgi.input"] = io.BytesIO(body)
            if fault := self._fault(environ, query, body):
                status, code = fault
                start_response(status, [("Content-Type", "application/xml"), ("Connection", "close")])
                return [f"<Error><Code>{code}</Code></Error>".encode()]
            if "uploadId" in query:
                self._parts[query["uploadId"], query["partNumber"]] = "".join(
                    f"<Checksum{name}>{stated}</Checksum{name}>"
                    for name in CHECKSUMS
                    if (stated := environ.get(f"HTTP_X_AMZ_CHECKSUM_{name}"))
                )
        if environ["REQUEST_METHOD"] == "GET" and "uploadId" in query:
            return self._list(environ, start_response, query["uploadId"])
        if environ["REQUEST_METHOD"] == "POST" and "uploadId" in query:
            assert self.may_complete.wait(HELD_SECONDS)
            answer: Iterable[bytes] = self._app(environ, start_response)
            assert self.may_answer.wait(HELD_SECONDS)
            return answer
        return self._app(environ, start_response)  # type: ignore[no-any-return]

    def _list(self, environ: dict[str, Any], start_response: Any, upload_id: str) -> Iterable[bytes]:
        begun: list[Any] = []
        content = b"".join(self._app(environ, lambda *args: begun.extend(args))).decode()
        listed = re.sub(
            r"<PartNumber>(\d+)</PartNumber>",
            lambda found: found[0] + self._parts.get((upload_id, found[1]), ""),
            content,
        ).encode()
        headers = [(name, value) for name, value in begun[1] if name.lower() != "content-length"]
        start_response(begun[0], [*headers, ("Content-Length", str(len(listed)))])
        return [listed]

    def _fault(self, environ: dict[str, Any], query: dict[str, str], body: bytes) -> tuple[str, str] | None:
        signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if datetime.now(tz=UTC) + self.later > signed_at + timedelta(seconds=int(query["X-Amz-Expires"])):
            return "403 Forbidden", "AccessDenied"
        if self._signature(environ, query) != query["X-Amz-Signature"]:
            return "403 Forbidden", "SignatureDoesNotMatch"
        for algorithm in CHECKSUMS:
            stated = environ.get(f"HTTP_X_AMZ_CHECKSUM_{algorithm}")
            if stated is not None and stated != checksum(algorithm, body):
                return "400 Bad Request", "BadDigest"
        return None

    def _signature(self, environ: dict[str, Any], query: dict[str, str]) -> str:
        """As botocore computes it of what was sent. A header that was signed and not sent makes another one."""
        sent = {
            "content-length": environ.get("CONTENT_LENGTH", ""),
            "content-type": environ.get("CONTENT_TYPE", ""),
        }
        for name, value in environ.items():
            if name.startswith("HTTP_"):
                sent[name.removeprefix("HTTP_").lower().replace("_", "-")] = value
        names = query["X-Amz-SignedHeaders"].split(";")
        unsigned = {name: value for name, value in query.items() if name != "X-Amz-Signature"}
        url = f"http://{environ['HTTP_HOST']}{environ['PATH_INFO']}?{urlencode(unsigned)}"
        headers = {name: sent.get(name, "") for name in names if name != "host"}
        request = AWSRequest(method="PUT", url=url, headers=headers)
        request.context["timestamp"] = query["X-Amz-Date"]
        region, service = query["X-Amz-Credential"].split("/")[2:4]
        auth = S3SigV4QueryAuth(Credentials("testing", self._secret_key), service, region)
        return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))
