"""Names of hosts, looked up in the DNS alone and without threads.

The system's own look-up cannot be broken off: a few names whose servers do not answer would hold every thread that
it has, and with them the deliveries of everybody else. It also knows names that nobody outside does.
"""

import ipaddress

import dns.asyncresolver
import dns.resolver

LOOK_UP_SECONDS = 5.0


async def addresses_of(host: str) -> list[str]:
    """Those of IPv4, and only where there are none those of IPv6, which our network may have no way to.

    At least one. Raises dns.exception.DNSException.
    """
    if host == "localhost":
        return ["127.0.0.1"]
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass  # it is a name
    resolver = _resolver()
    resolver.lifetime = LOOK_UP_SECONDS
    found = await resolver.resolve(host, "A", search=False, raise_on_no_answer=False)
    if found.rrset is None:
        found = await resolver.resolve(host, "AAAA", search=False)
    return [record.address for record in found]


def _resolver() -> dns.asyncresolver.Resolver:
    """As the machine says at this moment."""
    return dns.asyncresolver.Resolver()
