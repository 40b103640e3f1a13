"""The statements and the schema of SQLite."""

from importlib.resources import files
from typing import Final

from obelisk_daemon.storage.sql.queries import shared_statements

SQL: Final = shared_statements()


def migrations() -> list[str]:
    """Give the scripts that make the schema, in order: script n leads from version n - 1 to n."""
    found = [f for f in files(__package__).joinpath("schemas").iterdir() if f.name.startswith("schema_")]
    return [script.read_text() for script in sorted(found, key=lambda f: f.name)]
