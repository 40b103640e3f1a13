"""A TOML file with its values and the place of each: tomllib reads the values, tree-sitter finds the places.

A key path is a tuple of keys and, inside arrays, indexes: `("activity", 0, "limits", "memory")`.
"""

import re
import tomllib
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

from obelisk_config.diagnostics import Span

KeyPath: TypeAlias = tuple[str | int, ...]
Table: TypeAlias = dict[str, Any]

_DEEPEST: Final = 64
"""Nothing in a manifest nests this deep; below it a place is that of the value around it."""
_PART: Final = rb"""(?:(?<![\w-])[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""  # takes a part whole, or long ones take for ever
_DEEP_KEY: Final = re.compile(rb"%s(?:[ \t]*\.[ \t]*%s){%d}" % (_PART, _PART, _DEEPEST))
_TOML: Final = Language(tree_sitter_toml.language())
_KEYS: Final = ("bare_key", "quoted_key", "dotted_key")


class Piece(NamedTuple):
    """Where something is: a line (from 0), from byte `start` of it up to, without, byte `end`."""

    line: int
    start: int
    end: int


class Source:
    """The text of a file, which can give the span of any piece of it."""

    def __init__(self, data: bytes, file: str) -> None:
        self.data = data
        self.file = file
        self._lines = data.split(b"\n")

    def span(self, line: int, start: int, end: int) -> Span:
        """Make a span on a line (from 0), from byte `start` of the line up to, without, byte `end`."""
        raw = self._lines[line] if line < len(self._lines) else b""
        raw = raw.removesuffix(b"\r")
        column = len(raw[:start].decode(errors="replace")) + 1
        width = len(raw[start:end].decode(errors="replace"))
        return Span(self.file, line + 1, column, max(1, width), raw.decode(errors="replace"))

    def of(self, node: Node) -> Piece:
        """Give the place of a node; of one that has several lines, that of its first line."""
        (line, start), (last, end) = node.start_point, node.end_point
        return Piece(line, start, end if last == line else len(self.data))

    def deep_key(self) -> Span | None:
        """Find a dotted key with more parts than any manifest needs: reading it would take their number squared."""
        for found in _DEEP_KEY.finditer(self.data):
            node = Parser(_TOML).parse(self.data).root_node.descendant_for_byte_range(*found.span())
            if node is not None and node.type in _KEYS:  # and no string or comment
                return self.span(*self.of(node))
        return None


class Document:
    """A parsed manifest. `values` is what tomllib read; the places are found when first asked for."""

    def __init__(self, source: Source, values: Table) -> None:
        self.source = source
        self.values = values
        self._hidden: dict[int, list[Span]] = {}

    @cached_property
    def _index(self) -> "PlaceIndex":
        return PlaceIndex(self.source)

    def has(self, path: KeyPath) -> bool:
        """Say whether the file has a value there."""
        return path in self._index.values

    def at(self, path: KeyPath) -> Span:
        """Give the place of a value, for a table its header; for what isn't there, that of the table around it."""
        while path and path not in self._index.values:
            path = path[:-1]
        return self._shown(self._index.values[path])

    def key(self, path: KeyPath) -> Span:
        """Give the place of a key; for what has none (an array's item, or not in the file), as `at`."""
        found = self._index.keys.get(path)
        return self.at(path) if found is None else self._shown(found)

    def hide(self, path: KeyPath) -> None:
        """Write asterisks for a value, whenever its line is shown from now on."""
        if self.has(path):
            span = self.source.span(*self._index.values[path])
            self._hidden.setdefault(span.line, []).append(span)

    def _shown(self, piece: Piece) -> Span:
        span = self.source.span(*piece)
        for hidden in self._hidden.get(span.line, ()):
            span = span.without(hidden)
        return span


class PlaceIndex:
    """The place of every key and value of a source. No spans, which hold their line: one line may have all values.

    `repeated` holds what the source defines twice: the path and the place of the second.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.values: dict[KeyPath, Piece] = {(): Piece(0, 0, 1)}
        self.keys: dict[KeyPath, Piece] = {}
        self.repeated: list[tuple[KeyPath, Piece]] = []
        self._lengths: dict[KeyPath, int] = {}
        self._defined: set[KeyPath] = set()
        root = Parser(_TOML).parse(source.data).root_node
        for node in root.named_children:
            if node.type == "pair":
                self._pair((), node)
            elif node.type in ("table", "table_array_element"):
                self._table(node)

    def _table(self, node: Node) -> None:
        header = next((child for child in node.named_children if child.type in _KEYS), None)
        if header is None:
            return
        *outer, (name, last) = _key_parts(header)
        path: KeyPath = ()
        for part, place in outer:
            path = self._enter(path, part, place)
        path = (*path, name)
        if node.type == "table_array_element":
            self.keys.setdefault(path, self._source.of(last))
            self.values.setdefault(path, self._header(node))
            self._lengths[path] = self._lengths.get(path, 0) + 1
            path = (*path, self._lengths[path] - 1)
            self.values[path] = self._header(node)
        else:
            self._define(path, last, self._header(node))
        for child in node.named_children:
            if child.type == "pair":
                self._pair(path, child)

    def _header(self, node: Node) -> Piece:
        """Give the place of `[name]` or `[[name]]`; the node itself goes on to the next header."""
        closing = next((child for child in node.children if child.type in ("]", "]]")), node)
        return Piece(node.start_point[0], node.start_point[1], closing.end_point[1])

    def _enter(self, path: KeyPath, part: str, node: Node) -> KeyPath:
        """Go into the table `part`, the last one if it is an array of tables."""
        path = (*path, part)
        self.keys.setdefault(path, self._source.of(node))
        self.values.setdefault(path, self._source.of(node))
        return (*path, self._lengths[path] - 1) if path in self._lengths else path

    def _pair(self, path: KeyPath, node: Node) -> None:
        named = [child for child in node.named_children if child.type not in ("comment", "ERROR")]
        if len(path) > _DEEPEST or len(named) != 2 or named[0].type not in _KEYS:
            return
        *outer, (name, last) = _key_parts(named[0])
        for part, place in outer:
            path = self._enter(path, part, place)
        path = (*path, name)
        self._define(path, last, self._source.of(named[1]))
        self._value(path, named[1])

    def _value(self, path: KeyPath, node: Node) -> None:
        self.values.setdefault(path, self._source.of(node))
        if len(path) > _DEEPEST:
            return
        if node.type == "inline_table":
            for child in node.named_children:
                if child.type == "pair":
                    self._pair(path, child)
        elif node.type == "array":
            items = (child for child in node.named_children if child.type != "comment")
            for number, child in enumerate(items):
                self._value((*path, number), child)

    def _define(self, path: KeyPath, key: Node, value: Piece) -> None:
        if path in self._defined or path in self._lengths:
            self.repeated.append((path, self._source.of(key)))
            return
        self._defined.add(path)
        self.keys[path] = self._source.of(key)
        self.values[path] = value


def _key_parts(key: Node) -> list[tuple[str, Node]]:
    """Give the parts of a key in order; a dotted key nests to the left, and may be too long for recursion."""
    parts: list[tuple[str, Node]] = []
    while key.type == "dotted_key":
        key, last = key.named_children[0], key.named_children[-1]
        parts.append((_key_text(last), last))
    parts.append((_key_text(key), key))
    return parts[::-1]


def _key_text(node: Node) -> str:
    text = (node.text or b"").decode(errors="replace")
    if node.type == "bare_key":
        return text
    try:
        return next(iter(tomllib.loads(f"{text} = 0")))
    except (tomllib.TOMLDecodeError, StopIteration):
        return text
