"""The statements and the schema of SQLite."""

from typing import Final

from obelisk_daemon.storage.sql.queries import schema_scripts, shared_statements

SQL: Final = shared_statements()


def migrations() -> list[str]:
    """Give the scripts that make the schema, in order: script n leads from version n - 1 to n."""
    return schema_scripts()
