"""A name server on this machine, for names that lead wherever a test wants."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from backend.webhooks import names


@dataclass(kw_only=True)
class NameServer:
    addresses: dict[str, Sequence[str]] = field(default_factory=dict)  # of IPv4, of IPv6, or both
    silent: set[str] = field(default_factory=set)  # it never answers about these
    asked: list[str] = field(default_factory=list)

    def answer(self, request: dns.message.Message) -> dns.message.Message | None:
        (question,) = request.question
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append(name)
        if name in self.silent:
            return None
        response = dns.message.make_response(request)
        response.flags |= dns.flags.RA
        if name not in self.addresses:
            response.set_rcode(dns.rcode.NXDOMAIN)
        of_version = {
            dns.rdatatype.A: [address for address in self.addresses.get(name, ()) if ":" not in address],
            dns.rdatatype.AAAA: [address for address in self.addresses.get(name, ()) if ":" in address],
        }
        if found := of_version[question.rdtype]:
            response.answer.append(dns.rrset.from_text(question.name, 0, "IN", question.rdtype, *found))
        return response


@contextlib.contextmanager
def naming(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """The server that webhooks ask."""
    server = NameServer()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]

        def resolver() -> dns.asyncresolver.Resolver:
            asking = dns.asyncresolver.Resolver(configure=False)
            asking.nameservers, asking.port = ["127.0.0.1"], port
            return asking

        def serve() -> None:
            while request := listening.recvfrom(512):
                if not request[0]:  # the end
                    return
                if response := server.answer(dns.message.from_wire(request[0])):
                    listening.sendto(response.to_wire(), request[1])

        monkeypatch.setattr(names, "_resolver", resolver)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
                ending.sendto(b"", ("127.0.0.1", port))
            thread.join(timeout=5)
