"""Write digests into the text of a manifest, and leave every other character as it is.

The places come from the document and the text is cut there. tomlkit would do it on its own tree, but it writes the
tables of one array together, so a [[workflow]] between two [[activity]] moves.
"""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from obelisk_config.diagnostics import ManifestError
from obelisk_config.document import Document, KeyPath
from obelisk_config.place import at
from obelisk_config.syntax import parse
from obelisk_config.tables import toml

_KINDS: Final = ("activity", "workflow", "stub")


class _Edit(msgspec.Struct, frozen=True, order=True):
    """Put `text` in place of the characters from `start` up to, without, `end` of a line (from 0)."""

    line: int
    start: int
    end: int
    text: str


def pin(text: str, digests: Mapping[str, str], file: str = "obelisk.toml") -> str:
    """Set the digests of components and stubs, by name; a missing key comes after `path`. `file` is for messages.

    Raises:
        LookupError: no component or stub with a path has one of the names.
        ManifestError: the text is no TOML, or a path or digest in it has several lines; the operator must correct it.
    """
    document = parse(text.encode(), file)
    edits: list[_Edit] = []
    missing = dict(digests)
    line_end = "\r\n" if "\r\n" in text else "\n"
    for path, table in _with_a_path(document):
        digest = digests.get(table["name"])
        missing.pop(table["name"], None)
        if digest is not None and digest != table.get("digest"):
            edits.append(_edit(document, path, table, digest, line_end))
    if missing:
        raise LookupError(f"no component or stub with a path is named {' or '.join(missing)}")
    return _apply(text, edits)


def _with_a_path(document: Document) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    for kind in _KINDS:
        tables = document.values.get(kind)
        for number, table in enumerate(tables if isinstance(tables, list) else ()):
            if isinstance(table, dict) and "path" in table and isinstance(table.get("name"), str):
                yield (kind, number), table


def _edit(document: Document, path: KeyPath, table: dict[str, Any], digest: str, line_end: str) -> _Edit:
    key = "digest" if "digest" in table else "path"
    span = document.at((*path, key))
    start, end = span.column - 1, span.column - 1 + span.width
    if not _is_value(span.text[start:end], table[key]):
        message = f"the {key} of {toml(table['name'])} has several lines, so its digest can't be set"
        raise ManifestError([at(document, (*path, key), "several_lines", message, "write it on one line")])
    if key == "digest":
        return _Edit(span.line - 1, start, end, toml(digest))
    if document.at(path).text[document.at(path).column - 1 :].startswith("{"):
        return _Edit(span.line - 1, end, end, f", digest = {toml(digest)}")
    indent = span.text[: len(span.text) - len(span.text.lstrip())]
    return _Edit(span.line - 1, len(span.text), len(span.text), f"{line_end}{indent}digest = {toml(digest)}")


def _is_value(text: str, value: object) -> bool:
    """Say whether a text is all of a value; of one with several lines a span has only the first."""
    try:
        return bool(tomllib.loads(f"value = {text}") == {"value": value})
    except tomllib.TOMLDecodeError:
        return False


def _apply(text: str, edits: list[_Edit]) -> str:
    """Make the edits from the last to the first, so that none moves the place of another."""
    lines = text.split("\n")
    for edit in sorted(edits, reverse=True):
        line = lines[edit.line]
        lines[edit.line] = line[: edit.start] + edit.text + line[edit.end :]
    return "\n".join(lines)
