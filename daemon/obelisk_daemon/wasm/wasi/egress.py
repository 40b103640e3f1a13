"""Where a component may connect to: pure rules, no I/O (DESIGN.md section 7, "HTTP egress").

Two questions, both to be answered with yes. May this component send this method to this scheme, host and port:
`EgressPolicy.check`. May a connection for it go to this address: `addresses.address_refusal`.
"""

import re
from typing import Final, cast

import msgspec

from obelisk_daemon.wasm.wasi.addresses import Reach
from obelisk_daemon.wasm.wasi.hosts import DEFAULT_PORTS, Scheme, is_address, parse_authority

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class EgressDeniedError(Exception):
    """No entry allows the request."""


class AllowedHost(msgspec.Struct, frozen=True):
    """One entry of `allowed_hosts`."""

    scheme: Scheme
    host: str
    """`*`, `*.example.com` (any depth below, not the name itself), an exact name, or an address without brackets."""
    port: int | None
    """None for any port."""
    methods: frozenset[str] | None = None
    """Upper case; None for any."""
    allow_private: bool = False
    secrets: frozenset[str] = frozenset()
    """Names of those that headers of a request may have."""

    def matches(self, method: str, target: "Target") -> bool:
        """Decide whether this entry allows the request; the host must be normalized, as in every `Target`."""
        return (
            self.scheme == target.scheme
            and self.port in (None, target.port)
            and (self.methods is None or method in self.methods)
            and self._matches_host(target.host)
        )

    def _matches_host(self, host: str) -> bool:
        if self.host.startswith("*."):
            return not is_address(host) and host.endswith(self.host[1:])
        return self.host in ("*", host)


class Target(msgspec.Struct, frozen=True):
    """Where one request goes: a lower-case ASCII name without its final dot, or a canonical address, and a port."""

    scheme: Scheme
    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host[:port]`, with brackets where needed and without the scheme's default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class EgressPolicy(msgspec.Struct, frozen=True):
    """What one component may reach. Without entries: nothing."""

    allowed: tuple[AllowedHost, ...] = ()
    allow_private: bool = False
    """For every entry, whatever it says itself."""

    def check(self, method: str, target: Target) -> Reach:
        """Give how far a connection for this request may reach, by the widest entry that matches.

        Raises:
            EgressDeniedError: no entry matches; the text names the request and what is allowed.
        """
        entries = self._entries(method, target)
        if not entries:
            known = ", ".join(_describe(entry) for entry in self.allowed[:8]) or "nothing"
            raise EgressDeniedError(
                f"{method} {target.scheme}://{target.authority} is not in allowed_hosts (allowed: {known})"
            )
        private = [entry for entry in entries if self.allow_private or entry.allow_private]
        if not private:
            return Reach.PUBLIC
        literal = any(is_address(entry.host) for entry in private)
        return Reach.LITERAL if literal else Reach.PRIVATE

    def entry_for(self, method: str, target: Target) -> str:
        """Give the host of the entry that allows a request, as the manifest has it; of several, the first."""
        return self._entries(method, target)[0].host

    def secrets_for(self, method: str, target: Target) -> frozenset[str]:
        """Give the names of the secrets that a request may carry: those of every entry that matches."""
        return frozenset().union(*(entry.secrets for entry in self._entries(method, target)))

    def _entries(self, method: str, target: Target) -> list[AllowedHost]:
        return [entry for entry in self.allowed if entry.matches(method, target)]


def _describe(entry: AllowedHost) -> str:
    host = f"[{entry.host}]" if ":" in entry.host else entry.host
    port = "*" if entry.port is None else str(entry.port)
    methods = "" if entry.methods is None else f" ({'/'.join(sorted(entry.methods))})"
    return f"{entry.scheme}://{host}:{port}{methods}"


def parse_allowed_host(text: str, methods: tuple[str, ...] | None, allow_private: bool) -> AllowedHost:
    """Read an entry as the manifest writes it: `scheme://host[:port]`.

    Without a scheme it is https, without a port the scheme's default; `:*` is any port. `methods` None is any.

    Raises:
        ValueError: with a sentence about what is wrong and how to write it.
    """
    scheme, separator, rest = text.strip().rpartition("://")
    scheme = scheme.lower() if separator else "https"
    if scheme not in ("http", "https"):
        raise ValueError(f"{text!r}: the scheme must be http or https, as in https://api.example.com")
    checked_scheme = cast("Scheme", scheme)
    try:
        host, port = _parse_entry_authority(rest, checked_scheme)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from error
    return AllowedHost(checked_scheme, host, port, _parse_methods(text, methods), allow_private)


def _parse_entry_authority(rest: str, scheme: Scheme) -> tuple[str, int | None]:
    if any(character in rest for character in "/?#"):
        raise ValueError("an allowed host is a scheme, a host and a port, without a path")
    any_port = rest.endswith(":*")
    rest = rest.removesuffix(":*")
    if rest.partition(":")[0] == "*":
        _, port = parse_authority("any" + rest[1:], scheme)
        return "*", (None if any_port else port)
    name = rest.removeprefix("*.")
    if "*" in name:
        raise ValueError("a wildcard is only possible as the first label, as in https://*.example.com")
    host, port = parse_authority(name, scheme)
    if name != rest and is_address(host):
        raise ValueError("a wildcard stands for names, not for addresses")
    return ("*." + host if name != rest else host), (None if any_port else port)


def _parse_methods(text: str, methods: tuple[str, ...] | None) -> frozenset[str] | None:
    if methods is None:
        return None
    for method in methods:
        if not _TOKEN.fullmatch(method):
            raise ValueError(f"{text!r}: {method!r} is not an HTTP method")
    return frozenset(method.upper() for method in methods)


def parse_target(scheme: Scheme, authority: str) -> Target:
    """Read the authority of a request.

    Raises:
        ValueError: it is not `host` or `host:port`; one with user information is refused as well.
    """
    host, port = parse_authority(authority, scheme)
    return Target(scheme, host, port)
