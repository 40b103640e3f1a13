"""The SQL of the store, by name. Each statement stands in `sql/queries.sql`."""

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

_NAMED: Final = re.compile(r"^-- name: (?P<name>\w+)\n(?P<sql>.*?);$", re.MULTILINE | re.DOTALL)


def _load() -> Mapping[str, str]:
    text = files(__package__).joinpath("sql/queries.sql").read_text()
    return {match["name"]: match["sql"].strip() for match in _NAMED.finditer(text)}


SQL: Final = _load()


def migrations() -> list[str]:
    """Give the scripts that make the schema, in order: script n leads from version n - 1 to n."""
    found = [f for f in files(__package__).joinpath("sql").iterdir() if f.name.startswith("schema_")]
    return [script.read_text() for script in sorted(found, key=lambda f: f.name)]
