"""The place of every key and value."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obelisk_config import KeyPath
from obelisk_config.document import Document, Source
from obelisk_config.tables import toml

TEXT = """\
# a comment
top = 1
a.b."c d" = 2

[daemon]
log = { format = "auto", x.y = [1, { z = 3 }] }   # after it

[[activity]]
name = 'eins'
limits.memory = "1MiB"
env = {}

[activity.functions."ns:pkg/ifc.fn"]
timeout = "2s"

[[activity]]
"name" = "é"  # zwei
labels = [
  "eu",  # why
  "gpu",
]

[activity.functions]
'x:y/z.w' = { timeout = "1s" }

[[activity.rules]]
k = \"""
long\"""
[[activity.rules]]
k = 2
"""


def document(text: str) -> Document:
    return Document(Source(text.encode(), "m.toml"), tomllib.loads(text))


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("top",), (2, 7, "1")),
        (("a", "b", "c d"), (3, 13, "2")),
        (("a", "b"), (3, 3, "b")),
        (("daemon",), (5, 1, "[daemon]")),
        (("daemon", "log", "format"), (6, 18, '"auto"')),
        (("daemon", "log", "x", "y", 0), (6, 33, "1")),
        (("daemon", "log", "x", "y", 1, "z"), (6, 42, "3")),
        (("activity",), (8, 1, "[[activity]]")),
        (("activity", 0), (8, 1, "[[activity]]")),
        (("activity", 0, "name"), (9, 8, "'eins'")),
        (("activity", 0, "limits", "memory"), (10, 17, '"1MiB"')),
        (("activity", 0, "env"), (11, 7, "{}")),
        (("activity", 0, "functions", "ns:pkg/ifc.fn"), (13, 1, '[activity.functions."ns:pkg/ifc.fn"]')),
        (("activity", 0, "functions", "ns:pkg/ifc.fn", "timeout"), (14, 11, '"2s"')),
        (("activity", 1), (16, 1, "[[activity]]")),
        (("activity", 1, "name"), (17, 10, '"é"')),
        (("activity", 1, "labels", 1), (20, 3, '"gpu"')),
        (("activity", 1, "functions", "x:y/z.w", "timeout"), (24, 25, '"1s"')),
        (("activity", 1, "rules", 0, "k"), (27, 5, '"""')),
        (("activity", 1, "rules", 1, "k"), (30, 5, "2")),
    ],
)
def test_a_value_has_its_place(path: KeyPath, place: tuple[int, int, str]) -> None:
    span = document(TEXT).at(path)
    assert (span.line, span.column, span.text[span.column - 1 :][: span.width]) == place


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("a", "b", "c d"), (3, 5, '"c d"')),
        (("daemon",), (5, 2, "daemon")),
        (("daemon", "log", "x", "y"), (6, 28, "y")),
        (("activity", 0, "functions", "ns:pkg/ifc.fn"), (13, 21, '"ns:pkg/ifc.fn"')),
        (("activity", 1, "functions", "x:y/z.w"), (24, 1, "'x:y/z.w'")),
    ],
)
def test_a_key_has_its_place(path: KeyPath, place: tuple[int, int, str]) -> None:
    span = document(TEXT).key(path)
    assert (span.line, span.column, span.text[span.column - 1 :][: span.width]) == place


def test_columns_count_characters_and_not_bytes() -> None:
    span = document('a = { "é世" = 1, b = "ü" }').at(("a", "b"))
    assert (span.column, span.width) == (21, 3)


def test_what_is_not_there_has_the_place_of_the_table_around_it() -> None:
    assert document(TEXT).at(("activity", 0, "digest")) == document(TEXT).at(("activity", 0))
    assert document(TEXT).at(("nowhere", 7)).line == 1
    assert not document(TEXT).has(("activity", 0, "digest"))


def test_places_are_the_same_with_windows_line_ends() -> None:
    there = document(TEXT.replace("\n", "\r\n"))
    assert there.at(("activity", 1, "name")) == document(TEXT).at(("activity", 1, "name"))


def paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, child in children:
        yield from paths(child, (*path, part))


def written(tables: dict[str, Any], arrays: dict[str, list[dict[str, Any]]]) -> str:
    """Write tables as `[a]` and arrays as `[[a]]`, what they hold on one line each."""
    blocks = [f"[{toml({name: 0})[2:-6]}]\n{pairs(table)}" for name, table in tables.items()]
    blocks += [f"[[{toml({name: 0})[2:-6]}]]\n{pairs(one)}" for name, many in arrays.items() for one in many]
    return "".join(blocks)


def pairs(table: dict[str, Any]) -> str:
    return "".join(f"{toml({name: value})[2:-2]}\n" for name, value in table.items())


names = st.text(max_size=6)
values = st.recursive(
    st.integers(-(2**60), 2**60) | st.booleans() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(names, st.dictionaries(names, values, max_size=3), max_size=3),
    st.dictionaries(names, st.lists(st.dictionaries(names, values, max_size=3), min_size=1, max_size=3), max_size=3),
)
def test_everything_tomllib_reads_has_a_place(tables: dict[str, Any], arrays: dict[str, list[dict[str, Any]]]) -> None:
    text = written({name: table for name, table in tables.items() if name not in arrays}, arrays)
    there = document(text)
    assert [path for path in paths(there.values) if not there.has(path)] == []
