"""What a value may be. A rule checks one value, reports all that is wrong with it, and gives it in its own type.

Rules are data, so that a JSON schema can be made from them as well (`schema`).
"""

import difflib
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Protocol

import msgspec

from obelisk_config.place import INVALID, Place
from obelisk_config.units import format_duration, format_size, parse_duration, parse_size

NEVER: Final = "never"


class FormError(ValueError):
    """Text is not of the form it must have. `code` and `hint`, where given, stand in for those of the rule."""

    def __init__(self, message: str, code: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class Rule(Protocol):
    """What a value must satisfy."""

    def parse(self, value: object, place: Place) -> object:
        """Give the value in its own type, or report what is wrong and give INVALID."""
        ...


class Key(msgspec.Struct, frozen=True):
    """A key of a table. `default` and `example` are as the author would write them.

    `default` None: the key has none; `doc` says what happens then.
    """

    name: str
    rule: Rule
    doc: str
    default: Any = None
    example: Any = None
    required: bool = False


class Text(msgspec.Struct, frozen=True):
    """Text, of a form if `check` is given, which takes the text and gives the value or raises FormError.

    `pattern`, a regular expression of Python and of ECMAScript, matches at least every text that `check` takes.
    """

    expected: str = "text"
    code: str = "bad_type"
    hint: str = ""
    check: Callable[[str], object] = str
    pattern: str = ""

    def parse(self, value: object, place: Place) -> object:
        """Check it."""
        if not isinstance(value, str):
            return wrong_type(place, self.expected, value, self.hint or f"write {self.expected}")
        try:
            return self.check(value)
        except FormError as error:
            hint = error.hint or self.hint or f"write {self.expected}"
            return place.error(error.code or self.code, f"{place.name}: {error}", hint)


class Number(msgspec.Struct, frozen=True):
    """A number in a range, both ends included; whole unless `fractions`."""

    least: float
    most: float
    fractions: bool = False

    def parse(self, value: object, place: Place) -> object:
        """Check it."""
        kinds = (int, float) if self.fractions else (int,)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return wrong_type(
                place, "a number" if self.fractions else "a whole number", value, self._hint(value, place)
            )
        if not self.least <= value <= self.most:
            range_ = self._range()
            return place.error(
                "out_of_range", f"{place.name}: {_number(value)} is not {range_}", f"choose a number {range_}"
            )
        return float(value) if self.fractions else value

    def _hint(self, value: object, place: Place) -> str:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value):
            return f"write it without quotes: {place.name} = {value}"
        return f"choose a number {self._range()}"

    def _range(self) -> str:
        return f"from {self.least:_} to {self.most:_}"


class Boolean(msgspec.Struct, frozen=True):
    """True or false."""

    def parse(self, value: object, place: Place) -> object:
        """Check it."""
        if isinstance(value, bool):
            return value
        return wrong_type(place, "true or false", value, "write true or false, without quotes")


class Duration(msgspec.Struct, frozen=True):
    """A duration in a range, both ends included, written as text."""

    least: timedelta
    most: timedelta

    def parse(self, value: object, place: Place, instead: str = "") -> object:
        """Check it; `instead` says in hints what else it may be."""
        hint = f'write a whole number and ms, s, m, h or d, for example "250ms", "30s", "1m30s", "7d"{instead}'
        if not isinstance(value, str):
            unit = f' (seconds would be "{value}s")' if type(value) is int and value >= 0 else ""
            return wrong_type(place, "a duration in quotes", value, hint + unit)
        try:
            duration = parse_duration(value)
        except ValueError as error:
            return place.error("bad_duration", f"{place.name}: {error}", hint)
        if not self.least <= duration <= self.most:
            range_ = f'from "{format_duration(self.least)}" to "{format_duration(self.most)}"'
            return place.error(
                "out_of_range", f'{place.name}: "{value}" is not {range_}', f"choose a duration {range_}{instead}"
            )
        return duration


class DurationOrNever(msgspec.Struct, frozen=True):
    """A duration in a range, or `"never"`, which is given as None."""

    duration: Duration

    def parse(self, value: object, place: Place) -> object:
        """Check it."""
        return None if value == NEVER else self.duration.parse(value, place, f', or "{NEVER}"')


class Size(msgspec.Struct, frozen=True):
    """A number of bytes in a range, both ends included, written as text."""

    least: int
    most: int

    def parse(self, value: object, place: Place) -> object:
        """Check it."""
        hint = 'write a whole number and B, KiB, MiB or GiB, for example "256MiB"'
        if not isinstance(value, str):
            unit = f' (bytes would be "{value}B")' if type(value) is int and value >= 0 else ""
            return wrong_type(place, "a byte size in quotes", value, hint + unit)
        try:
            size = parse_size(value)
        except ValueError as error:
            return place.error("bad_size", f"{place.name}: {error}", hint)
        if not self.least <= size <= self.most:
            range_ = f'from "{format_size(self.least)}" to "{format_size(self.most)}"'
            return place.error("out_of_range", f'{place.name}: "{value}" is not {range_}', f"choose a size {range_}")
        return size


class Choice(msgspec.Struct, frozen=True):
    """One of some words. `why` says why there are no others."""

    choices: tuple[str, ...]
    why: str = ""

    def parse(self, value: object, place: Place) -> object:
        """Check it."""
        if not isinstance(value, str):
            return wrong_type(place, alternatives(self.choices), value, f"write {alternatives(self.choices)}")
        if value in self.choices:
            return value
        message = f"{place.name}: {_shown(value)} is not {alternatives(self.choices)}"
        return place.error("bad_choice", message, self.why or nearest(value, self.choices) or "write one of these")


class Listing(msgspec.Struct, frozen=True):
    """A list of `least` to `most` items, none of them twice; as a tuple, sorted if order means nothing."""

    item: Rule
    most: int = 64
    least: int = 0
    is_sorted: bool = False

    def parse(self, value: object, place: Place) -> object:
        """Check it and every item."""
        if not isinstance(value, list):
            hint = f'write it in brackets: {place.name} = ["{value if isinstance(value, str) else "..."}"]'
            return wrong_type(place, "a list", value, hint)
        if not self.least <= len(value) <= self.most:
            message = f"{place.name}: {len(value)} items; it may have {self.least} to {self.most}"
            return place.error("out_of_range", message, "take some of them out" if value else "leave the key out")
        items: list[Any] = []
        for number, one in enumerate(value):
            item = self.item.parse(one, place.child(number))
            if item is not INVALID and item in items:
                item = place.child(number).error(
                    "repeated_item", f"{place.name}: {_shown(one)} is there twice", "keep one"
                )
            items.append(item)
        if any(item is INVALID for item in items):
            return INVALID
        return tuple(sorted(items) if self.is_sorted else items)


def wrong_type(place: Place, expected: str, value: object, hint: str) -> object:
    """Report a value of another type than the one expected."""
    return place.error("bad_type", f"{place.name}: expected {expected}, found {describe(value)}", hint)


def describe(value: object) -> str:
    """Name a TOML value by its type and, where it is short, by itself."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {_number(value)}"
        case str():
            return f"the text {_shown(value)}"
        case datetime() | date() | time():
            return "a date or time"
        case list():
            return "an array of tables" if value and all(isinstance(item, dict) for item in value) else "a list"
        case _:
            return "a table"


def alternatives(words: Iterable[str]) -> str:
    """Write `"a", "b" or "c"`."""
    *some, last = (f'"{word}"' for word in words)
    return f"{', '.join(some)} or {last}" if some else last


def nearest(word: str, known: Iterable[str]) -> str:
    """Ask if the known word that resembles it most was meant; without one, say nothing."""
    lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(word.lower(), lower, 1)
    return f'did you mean "{lower[near[0]]}"?' if near else ""


def _shown(text: object) -> str:
    if not isinstance(text, str):
        return describe(text)
    return f'"{text[:60]}..."' if len(text) > 60 else f'"{text}"'


def _number(value: float) -> str:
    # Python refuses to write very long numbers in decimal; written as hexadecimal ones they get past the reader.
    return str(value) if not isinstance(value, int) or value.bit_length() < 128 else f"{hex(value)[:20]}..."
