"""What a guest has in place of secrets, and where the one becomes the other.

A guest sees a placeholder in its environment, new in each attempt. In a header of a request to a host that may have the
secret it becomes the value, also inside of basic authentication; nowhere else, so not in URLs and bodies. A request
that would carry a placeholder to another host, or in its URL, is refused.

A server that the operator trusts with a secret may still send it back. In what comes back the value is hidden again:
in headers behind the placeholder, in bodies behind as many asterisks, so that lengths stay true. That is for logs and
errors that quote an answer; a server that encodes the value some other way shows it to the guest.
"""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from obelisk_daemon.wasm.wasi.client import Headers
from obelisk_daemon.wasm.wasi.replacing import Masking, occurrences, replaced
from obelisk_daemon.wasm.wasi.secret import Secret

SHORTEST_HIDDEN: Final = 8
"""Bytes. A shorter value is in too many answers by chance: hiding it would damage them."""
_TOKEN_BYTES: Final = 16
_BASIC: Final = re.compile(rb"(basic +)([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)


class MisplacedSecretError(Exception):
    """A request has a placeholder where the secret may not go. The text names secret and place."""


class Carried:
    """The headers of one request with the values in them, and what must be hidden in its response."""

    def __init__(self, headers: Headers, hidden: Mapping[bytes, bytes]) -> None:
        self.headers = headers
        self.is_secret = bool(hidden)
        """Whether the guest has secrets at all, so that nothing of the exchange may be quoted."""
        self._hidden = {value: shown for value, shown in hidden.items() if len(value) >= SHORTEST_HIDDEN}

    def hide(self, headers: Headers) -> Headers:
        """Give the headers of the response as the guest may see them."""
        return [(name, replaced(value, self._hidden)) for name, value in headers]

    def masking(self) -> Masking:
        """Give what hides the values in the body of the response."""
        return Masking(tuple(self._hidden))


class Placeholders:
    """The placeholders of one attempt. `random` gives that many bytes."""

    def __init__(self, secrets: Sequence[Secret], random: Callable[[int], bytes]) -> None:
        token = random(_TOKEN_BYTES).hex() if secrets else ""
        self._secrets = {f"obelisk-secret-{secret.name}-{token}".encode(): secret for secret in secrets}

    @property
    def environ(self) -> dict[str, str]:
        """Give the variables that a guest finds them in."""
        return {secret.variable: placeholder.decode() for placeholder, secret in self._secrets.items()}

    def put_in(self, headers: Headers, url: bytes, allowed: Collection[str]) -> Carried:
        """Put the values in for a receiver that may have the secrets named in `allowed`.

        Raises:
            MisplacedSecretError: the URL has a placeholder, or a header one that is not allowed there.
        """
        if not self._secrets:
            return Carried(headers, {})
        for _, placeholder in occurrences(url, self._secrets):
            raise MisplacedSecretError(f"{self._of(placeholder)} is in the URL, and secrets go into headers only")
        filled: Headers = []
        hidden = {secret.reveal(): placeholder for placeholder, secret in self._secrets.items()}
        for name, value in headers:
            basic = _BASIC.fullmatch(value) if name.lower() == b"authorization" else None
            if basic is None:
                filled.append((name, self._fill(name, value, allowed)))
                continue
            scheme, given = basic.groups()
            sent = self._fill_basic(name, given, allowed)
            filled.append((name, scheme + sent))
            if sent != given:
                hidden[sent] = given
        return Carried(filled, hidden)

    def _fill_basic(self, header: bytes, given: bytes, allowed: Collection[str]) -> bytes:
        """Put the values into `user:password`; give what is not base64, or has no placeholder, as it is."""
        try:
            plain = base64.b64decode(given, validate=True)
        except binascii.Error:
            return given
        filled = self._fill(header, plain, allowed)
        return given if filled == plain else base64.b64encode(filled)

    def _fill(self, header: bytes, value: bytes, allowed: Collection[str]) -> bytes:
        found = {placeholder for _, placeholder in occurrences(value, self._secrets)}
        for placeholder in found:
            if self._secrets[placeholder].name not in allowed:
                where = header.decode("ascii", "replace")
                reason = "and no entry of allowed_hosts that matches the request names this secret"
                raise MisplacedSecretError(f"{self._of(placeholder)} is in the header {where}, {reason}")
        return replaced(value, {placeholder: self._secrets[placeholder].reveal() for placeholder in found})

    def _of(self, placeholder: bytes) -> str:
        return f'the placeholder of the secret "{self._secrets[placeholder].name}"'


NO_SECRETS: Final = Placeholders((), bytes)
