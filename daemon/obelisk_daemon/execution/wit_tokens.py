"""WIT text to tokens, each with its place. Comments and what stands between tokens are left out."""

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, NoReturn, TypeAlias, cast

from obelisk_daemon.errors import OperatorError

MAX_CHARACTERS: Final = 1 << 20
"""The longest text that is read; a WIT file has a few thousand."""

Kind: TypeAlias = Literal["name", "number", "version", "symbol", "end"]

_TOKEN: Final = re.compile(
    r"""
      (?P<space>[ \t\r\n]+|//[^\n]*)
    | (?P<comment>/\*)
    | (?P<version>@[0-9]+\.[0-9]+\.[0-9]+
          (?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)
    | (?P<name>%?[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*)
    | (?P<number>[0-9]+)
    | (?P<symbol>->|[-+<>(){},:;./@=*_])
    """,
    re.VERBOSE | re.ASCII,
)
_COMMENT: Final = re.compile(r"/\*|\*/")


class Place(NamedTuple):
    """Where something stands in a text: line and column from 1, the column and the width in characters."""

    line: int
    column: int
    width: int


class Token(NamedTuple):
    """A piece of WIT text; `end` has an empty one."""

    kind: Kind
    text: str
    place: Place


class WitError(OperatorError):
    """WIT text that can't be used: `invalid_wit`, with what is wrong in `reason` and where in `place`."""

    def __init__(self, reason: str, place: Place) -> None:
        super().__init__("invalid_wit", f"line {place.line}, column {place.column}: {reason}")
        self.reason = reason
        self.place = place


def tokenize(text: str) -> list[Token]:
    """Give the tokens of a text, the last of which is of the kind `end`.

    Raises:
        WitError: a character that WIT doesn't have, a comment without end, or a text that is too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise WitError(f"more than {MAX_CHARACTERS:_} characters", Place(1, 1, 1))
    return list(_tokens(text))


def _tokens(text: str) -> Iterator[Token]:
    at, line, line_start = 0, 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        place = Place(line, at - line_start + 1, 1)
        if match is None:
            _refuse(text[at], place)
        kind, end = match.lastgroup, match.end()
        if kind == "comment":
            end = _end_of_comment(text, at, place)
        elif kind != "space":
            yield Token(cast("Kind", kind), match[0], place._replace(width=end - at))
        newlines = text.count("\n", at, end)
        if newlines:
            line, line_start = line + newlines, text.rfind("\n", at, end) + 1
        at = end
    yield Token("end", "", Place(line, at - line_start + 1, 1))


def _end_of_comment(text: str, at: int, place: Place) -> int:
    """Find the end of a block comment; there may be others in it."""
    depth = 0
    for match in _COMMENT.finditer(text, at):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    raise WitError("this comment has no end: it ends with */", place)


def _refuse(character: str, place: Place) -> NoReturn:
    raise WitError(f'WIT has no "{character}" here', place)
