"""Manifests with any value at any key, for properties that hold of all of them."""

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from obelisk_config import keys
from obelisk_config.rules import Key
from obelisk_config.tables import MapOf, TableOf, TableOrTables, TablesOf, toml

scalars = st.sampled_from(
    [0, -1, 10**30, 0.5, float("nan"), float("inf"), True, "", "1s", "1MiB", "a", "\0", "http://a"]
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["host", "a", ""]), inner)
)


def every_key(table: TableOf, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key in table.keys:
        yield (*path, key.name)
        below = inner(key)
        if below is not None:
            yield from every_key(below, (*path, key.name))


def inner(key: Key) -> TableOf | None:
    rule = key.rule.one if isinstance(key.rule, TableOrTables) else key.rule
    rule = rule.table if isinstance(rule, TablesOf) else rule
    rule = rule.value if isinstance(rule, MapOf) else rule
    return rule if isinstance(rule, TableOf) else None


KEYS = tuple(every_key(keys.MANIFEST))


def text_with(path: tuple[str, ...], value: Any) -> str:
    """Write a manifest with a value at a path, in a component that is otherwise right. It may be no TOML."""
    for part in reversed(path[1:]):
        value = {part: value} if part != "functions" else {part: {"a:b/c.d": value}}
    if path[0] in ("activity", "workflow", "stub") and len(path) > 1:
        value = [{"name": "one", "path": "one.wasm"} | value]
    return f"{toml({path[0]: value})[2:-2]}\n"
