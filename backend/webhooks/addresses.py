"""Which machines webhooks may reach: the public internet, and nothing of ours or of our neighbours."""

import ipaddress

# Through these an IPv4 address of any kind is reached.
_TUNNELS = [
    ipaddress.ip_network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
]


def is_public(text: str) -> bool:
    """Is it the address of one machine that anybody can reach? False as well for what is no address."""
    address = _address(text)
    if address is None or (address.version == 6 and any(address in network for network in _TUNNELS)):
        return False
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or getattr(address, "is_site_local", False)
    )
    return address.is_global and not special  # shared addresses of providers are neither private nor global


def is_loopback(text: str) -> bool:
    address = _address(text)
    return address is not None and address.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
