"""Who asks: whoever could open the unix socket, or has a token of the active generation."""

import hmac
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from obelisk_config import Role, Token
from obelisk_config.tokens import is_token, sha256_of
from obelisk_daemon.clock import Clock, instant_of
from obelisk_daemon.errors import UnauthenticatedError

if TYPE_CHECKING:
    from obelisk_daemon.api.auditing import Audit

OPEN_NAME: Final = "loopback:dev"


class Identity(msgspec.Struct, frozen=True):
    """Somebody whom the API knows.

    `name` is a token's, `unix:uid=1000`, or `loopback:dev` where a loopback listener is open to all. `peer` is an IP
    address, or empty.
    """

    name: str
    role: Role
    peer: str = ""
    token: Token | None = None


class Anonymous(msgspec.Struct, frozen=True):
    """Somebody whom the API does not know, and why."""

    reason: str
    peer: str = ""
    offered: bool = False
    """There was a token, or what was meant as one."""


class Access(msgspec.Struct, frozen=True):
    """Who may use the API. `tokens` gives the active generation's at each call."""

    clock: Clock
    tokens: Callable[[], Sequence[Token]]
    audit: "Audit"
    dev: bool = False
    """Without tokens, the loopback is open to all."""

    @property
    def is_open(self) -> bool:
        """Say whether the loopback is open to all."""
        return self.dev and not self.tokens()

    def bearer(self, credentials: Sequence[str], peer: str) -> Identity | Anonymous:
        """Find whom the values of the Authorization headers stand for."""
        if not credentials:
            return Anonymous("give a token: Authorization: Bearer obk_...", peer)
        if len(credentials) > 1:
            return Anonymous("there is more than one Authorization header", peer, offered=True)
        scheme, _, text = credentials[0].partition(" ")
        if scheme.lower() != "bearer":
            return Anonymous("the scheme of the Authorization header is not Bearer", peer, offered=True)
        if not is_token(text.strip(" ")):
            return Anonymous("what the Authorization header has is not a token: is it complete?", peer, offered=True)
        found = self._find(sha256_of(text.strip(" ")))
        if found is None:
            return Anonymous("the token is not one of the active manifest", peer, offered=True)
        if self._is_over(found):
            return Anonymous(f"the token {found.name} expired", peer, offered=True)
        return Identity(found.name, found.role, peer, found)

    def holds(self, identity: Identity) -> bool:
        """Say whether somebody who was known before still is, in the same role."""
        if identity.token is None:
            return identity.name != OPEN_NAME or self.is_open
        return identity.token in self.tokens() and not self._is_over(identity.token)

    def _find(self, sha256: str) -> Token | None:
        """Look through all of them, so that the time tells nothing of which one it nearly is."""
        found = None
        for token in self.tokens():
            if hmac.compare_digest(token.sha256, sha256):
                found = token
        return found

    def _is_over(self, token: Token) -> bool:
        return token.expires is not None and self.clock.now() >= instant_of(token.expires)


def required(who: Identity | Anonymous) -> Identity:
    """Insist on somebody who is known.

    Raises:
        UnauthenticatedError: `unauthenticated`.
    """
    if isinstance(who, Anonymous):
        raise UnauthenticatedError("unauthenticated", who.reason)
    return who
