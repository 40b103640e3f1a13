"""Addresses of those who ask, also behind a proxy."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


def plain(text: str) -> str:
    """Write an address in one form: without its zone, and an IPv4 address as one also where IPv6 carries it."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def is_from(address: Address, networks: Iterable[Network]) -> bool:
    """Say whether an address is in one of the networks."""
    return any(address in network for network in networks)


def client_behind(peer: str, forwarded: Sequence[str], proxies: Sequence[Network]) -> str:
    """Find who asked a proxy: the last address of X-Forwarded-For that is no proxy's.

    What is left of it anybody may have written; with nothing that can be read, it is the proxy itself.
    """
    found = peer
    for text in reversed([part.strip() for value in forwarded for part in value.split(",")]):
        try:
            found = plain(text)
        except ValueError:
            return found
        if not is_from(ip_address(found), proxies):
            return found
    return found
