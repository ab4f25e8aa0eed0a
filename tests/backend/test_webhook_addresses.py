"""Which machines webhooks may reach, whatever their owners write."""

import asyncio
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.resolver
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from backend.webhooks import sending
from backend.webhooks.addresses import is_public
from backend.webhooks.names import addresses_of
from backend.webhooks.sending import Outcome, send
from tests.backend.naming import NameServer, naming
from tests.backend.receiving import Receiver, receiving, sent

NOT_PUBLIC = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::/8",
    "::ffff:10.0.0.0/104",
    "::ffff:127.0.0.0/104",
    "::ffff:169.254.169.254/128",
    "::ffff:100.64.0.0/106",
    "64:ff9b::a00:0/104",
    "64:ff9b:1::/48",
    "2001::/32",
    "2001:db8::/32",
    "2002:a00::/24",
    "fc00::/7",
    "fd00:ec2::254/128",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]


@given(st.data())
def test_no_address_of_ours_or_of_a_neighbour_is_public(data: st.DataObject):
    network = ipaddress.ip_network(data.draw(st.sampled_from(NOT_PUBLIC)))
    offset = data.draw(st.integers(0, network.num_addresses - 1))
    address = network.network_address + offset
    assert not is_public(str(address)), address


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "100.128.0.1"])
def test_addresses_of_the_internet_are_public(address: str):
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0", "0x7f000001", "2130706433", "fe80::1%eth0", "::1%1"])
def test_what_is_no_address_of_the_internet_is_not_public(text: str):
    assert not is_public(text)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    with naming(monkeypatch) as server:
        yield server


@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param(["127.0.0.1"], id="this machine"),
        pytest.param(["169.254.169.254"], id="the machine's own credentials"),
        pytest.param(["8.8.8.8", "10.0.0.1"], id="one of several"),
        pytest.param(["::ffff:192.168.0.1"], id="in another notation"),
        pytest.param(["fd00:ec2::254"], id="of IPv6"),
    ],
)
def test_a_name_that_leads_to_us_is_not_followed(names: NameServer, addresses: list[str]):
    with receiving() as receiver:
        names.addresses["hooks.example"] = addresses
        outcome = sent(f"https://hooks.example:{receiver.port}/")
        assert outcome.status is None
        assert "public internet" in outcome.error
        assert receiver.received == []


def test_http_is_not_spoken_to_the_internet(names: NameServer):
    names.addresses["hooks.example"] = ["8.8.8.8"]
    assert "HTTPS" in sent("http://hooks.example/").error


def test_loopback_that_is_allowed_allows_nothing_else(names: NameServer):
    for addresses in (["10.0.0.1"], ["127.0.0.1", "10.0.0.1"]):
        names.addresses["hooks.example"] = addresses
        assert "public internet" in sent("https://hooks.example/", allow_loopback=True).error


def test_the_address_that_was_checked_is_connected_to(names: NameServer):
    """A name that leads elsewhere when it is looked up again is a way past every check."""
    names.addresses["hooks.example"] = ["127.0.0.1"]
    with receiving() as receiver:
        outcome = sent(f"http://hooks.example:{receiver.port}/here?a=b", allow_loopback=True)
        assert outcome.delivered
        assert names.asked == ["hooks.example"]
        (request,) = receiver.received
        assert request.headers["host"] == f"hooks.example:{receiver.port}"
        assert request.path == "/here?a=b"


def test_names_that_only_this_machine_knows_are_not_known(names: NameServer):
    """The system's look-up reads /etc/hosts, and takes numbers in notations of its own for addresses."""
    for host in (socket.gethostname(), "0x7f000001", "2130706433", "127.1"):
        assert "looked up" in sent(f"http://{host}:9/", allow_loopback=True).error


def test_a_host_of_ipv6_alone_is_reached(names: NameServer):
    names.addresses["hooks.example"] = ["2606:4700::1111"]
    names.addresses["both.example"] = ["2606:4700::1111", "8.8.8.8"]
    assert asyncio.run(addresses_of("hooks.example")) == ["2606:4700::1111"]
    assert asyncio.run(addresses_of("both.example")) == ["8.8.8.8"]


def test_a_name_server_that_is_silent_holds_up_nobody(names: NameServer, monkeypatch: pytest.MonkeyPatch):
    """Were names looked up in threads, these would hold all of them, and beyond every timeout."""
    monkeypatch.setattr("backend.webhooks.names.LOOK_UP_SECONDS", 60.0)
    names.silent.add("silent.example")
    names.addresses["hooks.example"] = ["127.0.0.1"]

    async def all_at_once(port: int) -> tuple[Outcome, list[Outcome]]:
        silent = [
            asyncio.create_task(send(f"https://silent.example:{port}/", headers={}, body=b"")) for _ in range(100)
        ]
        await asyncio.sleep(0.1)
        answered = await send(f"http://hooks.example:{port}/", headers={}, body=b"", allow_loopback=True)
        assert not any(task.done() for task in silent)
        names.silent.clear()
        return answered, await asyncio.gather(*silent)

    with receiving() as receiver:
        answered, silent = asyncio.run(all_at_once(receiver.port))
    assert answered.delivered
    assert {outcome.error for outcome in silent} == {"The name of the host could not be looked up."}
    assert threading.active_count() < 20


def test_a_name_server_that_is_silent_is_not_waited_for(names: NameServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backend.webhooks.names.LOOK_UP_SECONDS", 0.3)
    names.silent.add("silent.example")
    assert sent("https://silent.example/").error == "The name of the host could not be looked up."


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch):
    """One would look the name up again, and reach what we may not."""
    with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert sent(receiver.url, allow_loopback=True).delivered
        assert proxy.received == []


def test_a_machine_that_can_look_nothing_up_is_no_fault_of_the_receiver(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dns.asyncresolver, "Resolver", partial(dns.asyncresolver.Resolver, "/nowhere"))
    with pytest.raises(dns.resolver.NoResolverConfiguration):
        sent("https://hooks.example/")


def test_localhost_is_this_machine():
    with receiving() as receiver:
        assert sent(f"http://localhost:{receiver.port}/", allow_loopback=True).delivered


def test_a_name_that_nobody_knows_is_said(names: NameServer):
    for host in ("hooks.example", ".example", "a..example", "a" * 64 + ".example"):
        assert "looked up" in sent(f"https://{host}/").error


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A receiver with a certificate for hooks.example, from an authority that is trusted here."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.now(tz=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = tmp_path / "public.pem", tmp_path / "private.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(public, private)
    trusted = ssl.create_default_context(cafile=str(public))
    monkeypatch.setattr(sending, "_trusted", lambda: trusted)
    with receiving(served) as receiver:
        yield receiver


def test_the_certificate_must_be_that_of_the_name(secure: Receiver, names: NameServer):
    """Although it is an address that is connected to."""
    names.addresses = {"hooks.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]}
    assert sent(f"https://hooks.example:{secure.port}/", allow_loopback=True).delivered
    refused = sent(f"https://other.example:{secure.port}/", allow_loopback=True)
    assert refused.status is None
    assert "certificate" in refused.error
    assert len(secure.received) == 1
