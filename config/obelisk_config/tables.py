"""Rules for tables: those whose keys are known, and those that map names of the author's choice."""

from typing import Any, Final

import msgspec

from obelisk_config.diagnostics import Diagnostic
from obelisk_config.document import Document, Source
from obelisk_config.place import INVALID, Invalid, Place
from obelisk_config.rules import FormError, Key, Rule, Text, nearest, wrong_type

Parsed = dict[str, Any]


class TableOf(msgspec.Struct, frozen=True):
    """A table with known keys. It gives those that the author wrote and that are valid, and adds no defaults.

    `elsewhere` are keys that belong to another place, each with a hint that says where or when.
    """

    name: str
    keys: tuple[Key, ...]
    elsewhere: dict[str, str] = {}

    def parse(self, value: object, place: Place) -> Parsed | Invalid:
        """Check every key and report unknown and missing ones; what is valid is given even so."""
        if not isinstance(value, dict):
            wrong_type(place, f"the table {self.name}", value, f"its keys are {self._names()}")
            return INVALID
        known = {key.name: key for key in self.keys}
        parsed: Parsed = {}
        for name, one in value.items():
            if name not in known:
                hint = self.elsewhere.get(name) or nearest(name, known) or f"its keys are {self._names()}"
                place.child(name).key_error("unknown_key", f'{self.name} has no key "{name[:80]}"', hint)
                continue
            result = known[name].rule.parse(one, place.child(name))
            if result is not INVALID:
                parsed[name] = result
        for key in self.keys:
            if key.required and key.name not in value:
                example = f"add {key.name} = {toml(key.example)}"
                place.error("missing_key", f"{self.name} needs the key {key.name}", example)
        return parsed

    def _names(self) -> str:
        return ", ".join(key.name for key in self.keys)

    def defaults(self) -> Parsed:
        """Give the defaults of all keys that have one, in their own types."""
        return {key.name: default_of(key) for key in self.keys if key.default is not None}

    def authored_defaults(self) -> Parsed:
        """Give the same as an author would write them."""
        return {key.name: key.default for key in self.keys if key.default is not None}


class TablesOf(msgspec.Struct, frozen=True):
    """An array of `least` to `most` tables. It gives (index, what is valid) of each."""

    table: TableOf
    most: int = 10_000
    least: int = 0

    def parse(self, value: object, place: Place) -> list[tuple[int, Parsed]] | Invalid:
        """Check every table."""
        if not isinstance(value, list):
            hint = f"write the header as {self.table.name}, once for each"
            wrong_type(place, f"an array of tables, {self.table.name}", value, hint)
            return INVALID
        if not self.least <= len(value) <= self.most:
            message = f"{len(value)} {self.table.name}; there may be {self.least or 'up'} to {self.most}"
            return place.error("out_of_range", message, "take some of them out" if value else "leave the key out")
        tables = [(number, self.table.parse(one, place.child(number))) for number, one in enumerate(value)]
        return [(number, table) for number, table in tables if not isinstance(table, Invalid)]


class TableOrTables(msgspec.Struct, frozen=True):
    """One table, or an array of tables. It gives (index, what is valid) of each; the one table has the index None."""

    one: TableOf
    many: TablesOf

    def parse(self, value: object, place: Place) -> list[tuple[int | None, Parsed]] | Invalid:
        """Check the table or every table."""
        if isinstance(value, list):
            tables = self.many.parse(value, place)
            return tables if isinstance(tables, Invalid) else [*tables]
        table = self.one.parse(value, place)
        return table if isinstance(table, Invalid) else [(None, table)]


class MapOf(msgspec.Struct, frozen=True):
    """A table that maps names of a form to values, at most `most` of them."""

    name: Text
    value: Rule
    most: int = 1000

    def parse(self, value: object, place: Place) -> Parsed | Invalid:
        """Check every name and value."""
        if not isinstance(value, dict):
            wrong_type(place, "a table", value, f'write {place.name} = {{ NAME = "value" }}')
            return INVALID
        if len(value) > self.most:
            place.error(
                "out_of_range",
                f"{place.name}: {len(value)} keys; it may have up to {self.most}",
                "take some of them out",
            )
            return INVALID
        parsed: Parsed = {}
        for name, one in value.items():
            here = place.child(name)
            try:
                self.name.check(name)
            except FormError as error:
                here.key_error(error.code or self.name.code, str(error), error.hint or self.name.hint)
                continue
            result = self.value.parse(one, here)
            if result is not INVALID:
                parsed[name] = result
        return parsed


class DefaultError(Exception):
    """A default doesn't satisfy its own rule: a mistake in `keys`."""


def default_of(key: Key) -> object:
    """Give the default of a key in its own type, by the same rule as an author's value."""
    reported: list[Diagnostic] = []
    value = key.rule.parse(key.default, Place(Document(Source(b"", "defaults"), {}), (key.name,), reported))
    if reported:
        raise DefaultError(reported[0].message)
    return value


_BARE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def toml(value: object) -> str:
    """Write a value as TOML, on one line. Whole numbers from 10,000 get underscores."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f"{value:_}" if abs(value) >= 10_000 else str(value)
        case str():
            return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            pairs = ", ".join(f"{toml_key(name)} = {toml(one)}" for name, one in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case _:
            return str(value)


def toml_key(name: str) -> str:
    """Write a key, in quotes where it needs them."""
    return name if name and set(name) <= _BARE else toml(name)
