"""The SQL of the store, by name. Each statement stands in a file of `sql/`."""

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

_NAMED: Final = re.compile(r"^-- name: (?P<name>\w+)\n(?P<sql>.*?);$", re.MULTILINE | re.DOTALL)

_FILES: Final = ("queries.sql", "listing.sql", "retention.sql", "hosts.sql")


def _load() -> Mapping[str, str]:
    texts = [files(__package__).joinpath("sql", name).read_text() for name in _FILES]
    return {match["name"]: match["sql"].strip() for text in texts for match in _NAMED.finditer(text)}


SQL: Final = _load()


def migrations() -> list[str]:
    """Give the scripts that make the schema, in order: script n leads from version n - 1 to n."""
    found = [f for f in files(__package__).joinpath("sql").iterdir() if f.name.startswith("schema_")]
    return [script.read_text() for script in sorted(found, key=lambda f: f.name)]
