"""The value of a secret, kept from everything that shows or writes values."""

import re
from typing import Final, NoReturn

MAX_BYTES: Final = 8 * 1024
_LINE: Final = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
"""What a header may have, the same as `http_fields.check_value` takes."""


class BadSecretError(ValueError):
    """A value can't be a secret. The text says why, and never shows the value."""


class Secret:
    """A secret's name, its environment variable in guests, and its value: 1 byte to 8 KiB, as a header may have them.

    No `repr`, format, copy, pickle or encoder gets the value: only `reveal`, which is for what is being sent.
    """

    __slots__ = ("_value", "name", "variable")

    def __init__(self, name: str, variable: str, value: bytes) -> None:
        """Check a value.

        Raises:
            BadSecretError: it may not stand in a header.
        """
        _check(value)
        self.name = name
        self.variable = variable
        self._value = value

    def reveal(self) -> bytes:
        """Give the value."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret can't be written")


def without_line_end(data: bytes) -> bytes:
    """Take off the one line end that editors and `echo` put after a value."""
    return data[:-2] if data.endswith(b"\r\n") else data.removesuffix(b"\n")


def _check(value: bytes) -> None:
    if not value:
        raise BadSecretError("is empty")
    if len(value) > MAX_BYTES:
        raise BadSecretError(f"has more than {MAX_BYTES >> 10} KiB")
    if not _LINE.fullmatch(value):
        raise BadSecretError("has several lines, or another control character")
    if value != value.strip(b" \t"):
        raise BadSecretError("begins or ends with a space or a tab")
