"""One HTTP request to a receiver that nobody vouches for."""

import asyncio
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import certifi
import dns.exception
import dns.resolver
import httpcore

from backend.webhooks.addresses import is_loopback, is_public
from backend.webhooks.names import addresses_of

TOTAL_SECONDS = 15.0  # from the look-up of the name to the answer's status
_CONNECT_SECONDS = 5.0
_MOST_ANSWER_BYTES = 65_536  # until the status is known; interim answers may come before it without end
_MOST_ERROR_CHARACTERS = 300  # some quote what the receiver sent


class AddressRefused(Exception):
    """The name leads to a machine that webhooks may not reach."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    status: int | None  # HTTP's; None where no answer came
    error: str  # in a sentence, empty where an answer came
    milliseconds: int
    ours: bool = False  # no request was made, and the receiver has nothing to do with it

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


async def send(url: str, *, headers: Mapping[str, str], body: bytes, allow_loopback: bool = False) -> Outcome:
    """Posts it. No redirect is followed, no proxy is used, and of the answer only the status is read.

    Never raises for what the receiver does or is.
    """
    began = time.monotonic()
    status, error = None, ""
    try:
        async with asyncio.timeout(TOTAL_SECONDS):
            status = await _post(url, headers, body, allow_loopback)
    except TimeoutError:
        error = f"No answer came within {TOTAL_SECONDS:g} seconds."
    except AddressRefused as exc:
        error = str(exc)
    except dns.resolver.NoResolverConfiguration:
        raise  # no name can be looked up on this machine
    except dns.exception.DNSException:
        error = "The name of the host could not be looked up."
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        ssl.SSLError,
        OSError,
        ValueError,  # a name that TLS cannot ask for
    ) as exc:
        error = f"The request failed: {str(exc) or type(exc).__name__}"[:_MOST_ERROR_CHARACTERS]
    return Outcome(status=status, error=error, milliseconds=round((time.monotonic() - began) * 1000))


async def _post(url: str, headers: Mapping[str, str], body: bytes, allow_loopback: bool) -> int:
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    address = await _checked_address(host, secure=secure, allow_loopback=allow_loopback)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # A pool for this one request: a connection that is kept for the next receiver was made for another name.
    async with (
        httpcore.AsyncConnectionPool(ssl_context=_trusted(), network_backend=_Network(address)) as pool,
        pool.stream(
            "POST",
            httpcore.URL(scheme=parts.scheme, host=host, port=parts.port, target=target),
            headers={**headers, "Host": parts.netloc, "Content-Length": str(len(body))},
            content=body,
            extensions={"timeout": {"connect": _CONNECT_SECONDS}},
        ) as response,
    ):
        return response.status


class _Network(httpcore.AsyncNetworkBackend):
    """Leads to the address that was checked: looked up again, the name might lead elsewhere. The certificate must
    still be that of the name.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._network.connect_tcp(self._address, port, timeout, local_address, socket_options)
        return _Bounded(stream)


class _Bounded(httpcore.AsyncNetworkStream):
    """Reads so much and no more."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._bytes = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._bytes >= _MOST_ANSWER_BYTES:
            raise httpcore.RemoteProtocolError("The answer has no status.")
        received = await self._stream.read(max_bytes, timeout)
        self._bytes += len(received)
        return received

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Bounded(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


async def _checked_address(host: str, *, secure: bool, allow_loopback: bool) -> str:
    """Raises AddressRefused where any of the name's addresses may not be reached, and DNSException."""
    addresses = await addresses_of(host)
    if allow_loopback and all(is_loopback(address) for address in addresses):
        return addresses[0]
    if not secure or not all(is_public(address) for address in addresses):
        raise AddressRefused("The host is not one that can be reached from the public internet by HTTPS.")
    return addresses[0]


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """Made once: it reads all certificates of the authorities."""
    return ssl.create_default_context(cafile=certifi.where())
