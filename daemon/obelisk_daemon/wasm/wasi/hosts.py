"""Host names, addresses and ports as they stand in URLs, brought to one form. Pure."""

import ipaddress
import re
from typing import Final, Literal, TypeAlias

import idna

Scheme: TypeAlias = Literal["http", "https"]

DEFAULT_PORTS: Final[dict[Scheme, int]] = {"http": 80, "https": 443}
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_END: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT: Final = re.compile(r"[0-9]{1,5}")


def parse_authority(authority: str, scheme: Scheme) -> tuple[str, int]:
    """Split `host[:port]` into a normalized host and a port from 1 to 65535.

    Raises:
        ValueError: with a sentence.
    """
    if "@" in authority:
        raise ValueError("user information before @ is not allowed")
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address stands in brackets, as in [2001:db8::1]:8443")
        return _parse_ipv6(host), _parse_port(rest[1:] if rest else None, scheme)
    host, colon, port = authority.partition(":")
    return normalize_host(host), _parse_port(port if colon else None, scheme)


def _parse_ipv6(text: str) -> str:
    if "%" in text:
        raise ValueError("an IPv6 address with a zone is not allowed")
    return str(ipaddress.IPv6Address(text))


def _parse_port(text: str | None, scheme: Scheme) -> int:
    if text is None:
        return DEFAULT_PORTS[scheme]
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= 65_535:
        raise ValueError(f"{text!r} is not a port")
    return int(text)


def normalize_host(text: str) -> str:
    """Write a name in lower-case ASCII without its final dot, or an IPv4 address as it is.

    Raises:
        ValueError: it is neither; also for addresses in an unusual notation, as `127.1` or `0x7f000001`.
    """
    host = text if text.isascii() else _to_ascii(text)
    host = host.lower().removesuffix(".")
    labels = host.split(".")
    if _NUMERIC_END.fullmatch(labels[-1]):
        return str(ipaddress.IPv4Address(host))
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text[:80]!r} is not a host name")
    return host


def _to_ascii(text: str) -> str:
    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"{text[:80]!r} is not an international host name: {error}") from error


def is_address(host: str) -> bool:
    """Tell an address from a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
