"""The statements by name. Each stands in a file of `statements/`; a database may have others for some of them."""

import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

OWNED: Final = ("event", "response", "delay", "log_line", "failure", "failed_digest", "tag", "suspect")
"""Tables whose rows belong to an execution."""
COUNTED: Final = ("execution", "event", "response", "delay", "log_line", "failure")
"""Tables that an operator sees the size of."""
_NAMED: Final = re.compile(r"^-- name: (?P<name>\w+)\n(?P<sql>.*?);$", re.MULTILINE | re.DOTALL)
_PER_TABLE: Final = {"orphans": OWNED, "rows_of": COUNTED}


def shared_statements() -> dict[str, str]:
    """Read the statements that all databases have, as SQLite has them."""
    return read_statements(files(__package__).joinpath("statements"))


def schema_scripts() -> list[str]:
    """Read the scripts that make the schema, as SQLite has it, in order: script n leads from version n - 1 to n."""
    return read_scripts(files(__package__).joinpath("schemas"))


def read_scripts(directory: Traversable) -> list[str]:
    """Read the scripts of a directory in order."""
    return [script.read_text() for script in sorted(directory.iterdir(), key=lambda one: one.name)]


def read_statements(directory: Traversable) -> dict[str, str]:
    """Read all files of a directory; what is for several tables is there once for each, as `orphans_event`."""
    texts = [file.read_text() for file in sorted(directory.iterdir(), key=lambda one: one.name)]
    found = {match["name"]: match["sql"].strip() for text in texts for match in _NAMED.finditer(text)}
    return dict(_for_tables(found))


def _for_tables(found: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (f"{name}_{table}" if table else name, sql.replace(":table", table))
        for name, sql in found.items()
        for table in _PER_TABLE.get(name, ("",))
    ]
