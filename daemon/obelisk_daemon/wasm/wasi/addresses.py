"""Which addresses a connection may go to: pure rules (DESIGN.md section 7, "HTTP egress").

`address_refusal` is asked for every address that a name resolves to, before the connection is made to exactly that
address.
"""

import enum
import ipaddress
from typing import Final, TypeAlias

_IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_IpNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Reach(enum.Enum):
    """Which addresses a connection may go to. Connections of different reach are never shared."""

    PUBLIC = "public"
    PRIVATE = "private"
    """Also loopback and the private ranges; not link-local ones, nor others where clouds serve credentials."""
    LITERAL = "literal"
    """The entry names this very address and allows private ones: those, too."""


def _networks(*texts: str) -> tuple[_IpNetwork, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Our own tables, from IANA's special-purpose registries: what `ipaddress.is_global` says changed between Python
# releases, and 3.11 lets 192.0.0.0/24, NAT64 and IPv4-compatible addresses through, which can lead to private ones.
_NOT_PUBLIC: Final = _networks(
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4",
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)  # fmt: skip
_PUBLIC_IPV6: Final = ipaddress.IPv6Network("2000::/3")
_PRIVATE: Final = _networks(
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"
)  # fmt: skip
# Beside the link-local ones, private addresses of metadata services: of AWS and of Google over IPv6, and of Alibaba.
_CREDENTIALS: Final = _networks(
    "169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128", "100.100.100.200/32"
)


def address_refusal(text: str, reach: Reach) -> str | None:
    """Say why a connection may not go to this address, or None when it may.

    An IPv4 address inside an IPv6 one (`::ffff:0:0/96`) is judged as the IPv4 one; all other ways to wrap one (6to4,
    Teredo, NAT64, IPv4-compatible) are never public.
    """
    try:
        address = _unwrap(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return f"{text!r} is not an address"
    if _is_public(address):
        return None
    if _in(address, _CREDENTIALS):
        if reach is Reach.LITERAL:
            return None
    elif reach is not Reach.PUBLIC and _in(address, _PRIVATE):
        return None
    if reach is Reach.PUBLIC:
        return f"address {address} is not public, and allow_private is not set"
    return f"address {address} is neither public nor in a private range that an entry opens without naming the address"


def _unwrap(address: _IpAddress) -> _IpAddress:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_public(address: _IpAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_IPV6:
        return False
    return not _in(address, _NOT_PUBLIC)


def _in(address: _IpAddress, networks: tuple[_IpNetwork, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
