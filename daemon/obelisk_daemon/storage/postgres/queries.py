"""The statements as PostgreSQL has them: the shared ones in its dialect, and those that it has of its own."""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Final

import msgspec

from obelisk_daemon.storage.sql.connection import Values
from obelisk_daemon.storage.sql.queries import read_scripts, read_statements, schema_scripts, shared_statements

_COMMENT: Final = re.compile(r"--.*$", re.MULTILINE)
_PARAMETER: Final = re.compile(r"'[^']*'|(?<!:):(?P<name>[a-z]\w*)|\?(?P<number>\d*)")
_DIALECT: Final = (
    (re.compile(r" INDEXED BY \w+"), ""),
    # SQLite's way to say in which order tables are read
    (re.compile(r"\bCROSS JOIN (\w+(?: \w+)?) ON\b"), r"JOIN \1 ON"),
    (re.compile(r"SELECT value FROM json_each\(([^)]*)\)"), r"SELECT jsonb_array_elements_text((\1)::jsonb)"),
    (re.compile(r"\binstr\("), "strpos("),
    # PostgreSQL has to be told the type of a value that may be missing
    (re.compile(r"(:\w+) IS NULL"), r"\1::text IS NULL"),
)


class Statement(msgspec.Struct, frozen=True):
    """A statement with numbered parameters. `names` are those of its parameters, in order, where they have any."""

    sql: str
    names: tuple[str, ...] = ()

    def arrange(self, values: Values) -> Sequence[object]:
        """Put values in the order of the parameters."""
        if isinstance(values, Mapping):
            return [values[name] for name in self.names]
        return values


def _numbered(sql: str) -> Statement:
    names: dict[str, int] = {}
    counted = 0

    def number(match: re.Match[str]) -> str:
        nonlocal counted
        if (name := match["name"]) is not None:
            return f"${names.setdefault(name, len(names) + 1)}"
        if match["number"] is None:
            return match[0]
        counted += 1
        return f"${match['number'] or counted}"

    text = _PARAMETER.sub(number, _COMMENT.sub("", sql))
    return Statement(text, tuple(names))


def _translated(sql: str) -> str:
    for pattern, replacement in _DIALECT:
        sql = pattern.sub(replacement, sql)
    return sql


def _load(translate: Callable[[str], str] = _translated) -> dict[str, Statement]:
    shared = {name: translate(sql) for name, sql in shared_statements().items()}
    own = read_statements(files(__package__).joinpath("statements"))
    return {name: _numbered(sql) for name, sql in (shared | own).items()}


SQL: Final[Mapping[str, Statement]] = _load()

_LOCKED: Final = ("execution_row",)
"""What a transaction reads to decide by: nobody changes it until that ends."""
WRITING: Final[Mapping[str, Statement]] = {
    **SQL,
    **{name: Statement(f"{SQL[name].sql} FOR UPDATE") for name in _LOCKED},
}


_TYPES: Final = (
    (re.compile(r" STRICT\b(, WITHOUT ROWID)?"), ""),
    (re.compile(r"\b(position|audit_id) INTEGER PRIMARY KEY"), r"\1 BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    (re.compile(r"\bBLOB\b"), "BYTEA"),
    # ids and labels are compared byte by byte, whatever the language of the database is
    (re.compile(r"\bTEXT\b"), 'TEXT COLLATE "C"'),
)


def migrations() -> list[str]:
    """Give the scripts that make the schema, in order: the shared ones in its types, each with what only it has."""
    own = read_scripts(files(__package__).joinpath("schemas"))
    return [f"{_typed(shared)}\n{more}" for shared, more in zip(schema_scripts(), own, strict=True)]


def _typed(script: str) -> str:
    for pattern, replacement in _TYPES:
        script = pattern.sub(replacement, script)
    return script
