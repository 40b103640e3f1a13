"""Whatever the bytes are, the answer is a draft or a ManifestError: nothing else is raised."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from obelisk_config import ManifestError, draft, keys, render
from obelisk_config.example import example
from obelisk_config.rules import Key
from obelisk_config.tables import MapOf, TableOf, TableOrTables, TablesOf, toml

EXAMPLE = example().encode()
FILE = Path("/etc/obelisk.toml")

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


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Put a value at a path, in a component that is otherwise right."""
    for part in reversed(path[1:]):
        value = {part: value} if part != "functions" else {part: {"a:b/c.d": value}}
    if path[0] in ("activity", "workflow", "stub") and len(path) > 1:
        value = [{"name": "one", "path": "one.wasm"} | value]
    return {path[0]: value}


def read(data: bytes) -> None:
    with contextlib.suppress(ManifestError):
        drafted = draft(data, FILE)
        assert render(drafted.diagnostics)
        for diagnostic in drafted.diagnostics:
            assert diagnostic.hint, diagnostic
            assert diagnostic.span.line >= 1


@given(st.sampled_from(KEYS), values)
def test_any_value_of_any_key_is_taken_or_reported(path: tuple[str, ...], value: Any) -> None:
    text = "".join(f"{toml({name: one})[2:-2]}\n" for name, one in nested(path, value).items())
    read(text.encode(errors="surrogatepass"))


@given(st.integers(0, len(EXAMPLE)), st.integers(0, 40), st.binary(max_size=6))
def test_a_damaged_manifest_is_taken_or_reported(start: int, length: int, inserted: bytes) -> None:
    read(EXAMPLE[:start] + inserted + EXAMPLE[start + length :])


def test_every_beginning_of_a_manifest_is_taken_or_reported() -> None:
    for end in range(0, len(EXAMPLE), 7):
        read(EXAMPLE[:end])
