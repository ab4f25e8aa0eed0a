"""One HTTP request to a receiver that nobody vouches for."""

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

import httpx

from backend.webhooks.addresses import is_loopback, is_public

TOTAL_SECONDS = 15.0  # from the look-up of the name to the answer's status
_CONNECT_SECONDS = 5.0


class AddressRefused(Exception):
    """The name leads to a machine that webhooks may not reach."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    status: int | None  # HTTP's; None where no answer came
    error: str  # in a sentence, empty where an answer came
    milliseconds: int

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
            status = await _post(urlsplit(url), headers, body, allow_loopback)
    except TimeoutError:
        error = f"No answer came within {TOTAL_SECONDS:g} seconds."
    except AddressRefused as exc:
        error = str(exc)
    except socket.gaierror:
        error = "The name of the host could not be looked up."
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, UnicodeError) as exc:
        error = f"The request failed: {str(exc) or type(exc).__name__}"
    return Outcome(status=status, error=error, milliseconds=round((time.monotonic() - began) * 1000))


async def _post(url: SplitResult, headers: Mapping[str, str], body: bytes, allow_loopback: bool) -> int:
    host = url.hostname or ""
    port = url.port or (443 if url.scheme == "https" else 80)
    address = await _checked_address(host, port, secure=url.scheme == "https", allow_loopback=allow_loopback)
    # The checked address itself is connected to: looked up again, the name might lead elsewhere. The certificate
    # is still that of the name.
    place = f"[{address}]" if ":" in address else address
    request = httpx.Request(
        "POST",
        url._replace(netloc=f"{place}:{port}", fragment="").geturl(),
        headers={**headers, "Host": url.netloc},
        content=body,
        extensions={
            "sni_hostname": host,
            "timeout": {"connect": _CONNECT_SECONDS, "read": TOTAL_SECONDS, "write": TOTAL_SECONDS, "pool": None},
        },
    )
    # A connection of its own: one that is kept for the next receiver at the same address was made to another name.
    async with httpx.AsyncHTTPTransport(verify=_trusted(), trust_env=False, retries=0) as transport:
        response = await transport.handle_async_request(request)
        await response.aclose()
        return response.status_code


async def _checked_address(host: str, port: int, *, secure: bool, allow_loopback: bool) -> str:
    """Raises AddressRefused where any of the name's addresses may not be reached, and gaierror."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if allow_loopback and all(is_loopback(address) for address in addresses):
        return addresses[0]
    if not secure or not all(is_public(address) for address in addresses):
        raise AddressRefused("The host is not one that can be reached from the public internet by HTTPS.")
    # Many hosts have an IPv6 address that our network has no way to.
    return next((address for address in addresses if ipaddress.ip_address(address).version == 4), addresses[0])


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """Made once: it reads all certificates of the authorities."""
    return httpx.create_ssl_context(trust_env=False)
