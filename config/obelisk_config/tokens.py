"""Bearer tokens of the API: their form, and the `[[token]]` table, which holds only what a token hashes to.

A token has 168 random bits. Nobody can try so many, so its plain SHA-256 gives nothing away and needs no slow hash; and
what is not of the form is never looked up, so nobody can use a password as a token.
"""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, get_args

import msgspec

from obelisk_config import forms
from obelisk_config.document import Document, KeyPath
from obelisk_config.model import Role, Token
from obelisk_config.place import Place
from obelisk_config.rules import Choice, FormError, Key, Text, wrong_type
from obelisk_config.tables import Parsed, TableOf

PREFIX: Final = "obk_"
"""By which people, and programs that look for secrets in public, recognize one."""
RANDOM_BYTES: Final = 21
ROLES: Final[tuple[Role, ...]] = get_args(Role)
_FORM: Final = re.compile(rf"{PREFIX}[a-z2-7]{{40}}", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SHOWN: Final = ("name", "role", "expires")
_MAKE: Final = "`obelisk-ctl token new --role admin --add-to obelisk.toml` makes a token and its table"
_NEVER: Final = f"a manifest has the SHA-256 of a token, never the token:\n{_MAKE}"


def new_token(random: Callable[[int], bytes]) -> str:
    """Make a token of bytes that nobody can guess: the prefix, and in base32 the random bytes and their CRC-32."""
    drawn = random(RANDOM_BYTES)
    return PREFIX + base64.b32encode(drawn + _checksum(drawn)).decode().lower()


def is_token(text: str) -> bool:
    """Say whether a text has the form of a token; one that was cut off or mistyped has not."""
    if not _FORM.fullmatch(text):
        return False
    try:
        decoded = base64.b32decode(text.removeprefix(PREFIX).upper())
    except binascii.Error:
        return False
    return _checksum(decoded[:RANDOM_BYTES]) == decoded[RANDOM_BYTES:]


def sha256_of(token: str) -> str:
    """Give what the manifest has of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


def sha256(text: str) -> str:
    """Check a SHA-256. The message does not repeat what was written: it may be a token."""
    if not _SHA256.fullmatch(text):
        raise FormError("that is no SHA-256")
    return text


class Moment(msgspec.Struct, frozen=True):
    """A date and a time with an offset from UTC: of TOML itself, or as text."""

    def parse(self, value: object, place: Place) -> object:
        """Check it."""
        hint = "write date, time and offset: 2027-01-31T00:00:00Z"
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return place.error("bad_time", f"{place.name}: that is no date and time", hint)
        if not isinstance(value, datetime):
            return wrong_type(place, "a date and time", value, hint)
        if value.tzinfo is None:
            return place.error("bad_time", f"{place.name}: it does not say its offset from UTC", hint)
        return value


TOKEN: Final = TableOf(
    "[[token]]",
    (
        Key("name", forms.NAME, "Names it in the audit log; no two share one.", example="my-token", required=True),
        Key(
            "role",
            Choice(ROLES),
            'What it may: "read", also "operate" executions and delays, or "admin": also the manifest and database.',
            example="read",
            required=True,
        ),
        Key(
            "sha256",
            Text("a SHA-256 in quotes", "bad_sha256", f"it has 64 digits 0-9 a-f\n{_MAKE}", sha256, _SHA256.pattern),
            "The SHA-256 of the token, in hexadecimal.",
            example="0" * 64,
            required=True,
        ),
        Key(
            "expires",
            Moment(),
            "From then on it is refused; never, if left out.",
            example="2027-01-31T00:00:00Z",
        ),
    ),
    dict.fromkeys(("token", "value", "secret", "key"), _NEVER),
)


def tokens(authored: list[tuple[int, Parsed]], place: Place) -> tuple[Token, ...]:
    """Give the tokens that are whole, and report names and hashes that two of them share."""
    found: list[Token] = []
    first: dict[tuple[str, str], Place] = {}
    for number, table in authored:
        here = place.child(number)
        for key, code in (("name", "duplicate_name"), ("sha256", "duplicate_token")):
            if key in table and (other := first.setdefault((key, table[key]), here)) is not here:
                what = f'"{table[key]}" is also the name of' if key == "name" else "it is the same as that of"
                hint = "choose another" if key == "name" else "make a token for each: keep one of them"
                here.child(key).error(code, f"{what} the token on line {other.line}", hint)
        if {key.name for key in TOKEN.keys if key.required} <= table.keys():
            found.append(Token(**table))
    return tuple(found)


def hide_tokens(document: Document) -> None:
    """Hide what may be a token in place of its hash, before any line of it is shown."""
    for path in _plain_tokens(document.values.get("token")):
        document.hide(path)


def _plain_tokens(value: object) -> Iterator[KeyPath]:
    for number, table in enumerate(value if isinstance(value, list) else ()):
        for key, one in table.items() if isinstance(table, dict) else ():
            is_hash = key == "sha256" and isinstance(one, str) and _SHA256.fullmatch(one)
            if key not in _SHOWN and not is_hash:
                yield ("token", number, key)
