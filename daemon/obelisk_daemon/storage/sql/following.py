"""What whoever follows executions reads: what is new of one, and what is below it."""

from typing import Final

from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Kept, Position, Progress, Summary, Tree
from obelisk_daemon.storage.sql import rows
from obelisk_daemon.storage.sql.connection import Connection, Cursor, Row

_SOURCES: Final[tuple[tuple[Kept, str, str], ...]] = (
    ("events", "events_from", "body"),
    ("responses", "responses_from", "body"),
    ("lines", "log_lines_after", "message"),
)
_LARGEST_PAGE: Final = 1 << 20
"""Bytes, after which a page ends however few rows are in it: what guests give may be large."""


def progress(connection: Connection, execution_id: ExecutionId, after: Position, limit: int, *, logs: bool) -> Progress:
    """Read what is new of an execution after a position, in one snapshot.

    Raises:
        NotFoundError: `execution_not_found`.
    """
    places = {"events": after.version, "responses": after.responses + 1, "lines": after.line}
    with connection.snapshot():
        summary = _summary(connection, execution_id)
        pages = {
            kind: page(connection.execute(query, (execution_id, places[kind], limit + 1)), of, limit)
            for kind, query, of in _SOURCES
            if logs or kind != "lines"
        }
    lines = pages["lines"][0] if logs else []
    return Progress(
        summary=summary,
        entries=[rows.entry_of(row) for row in pages["events"][0]],
        responses=[rows.response_of(row) for row in pages["responses"][0]],
        lines=[rows.log_line_of(row) for row in lines],
        more=frozenset(kind for kind, (_, more) in pages.items() if more),
    )


def page(cursor: Cursor, of: str, limit: int) -> tuple[list[Row], bool]:
    """Give rows up to a limit, by their number and by the size of a column; and whether there are more.

    If there is one, there is at least one on the page.
    """
    found: list[Row] = []
    size = 0
    for row in cursor:
        if len(found) == limit or size >= _LARGEST_PAGE:
            return found, True
        found.append(row)
        size += len(row[of])
    return found, False


def tree(connection: Connection, execution_id: ExecutionId, depth: int, limit: int) -> Tree:
    """Read an execution and its descendants, level by level.

    Raises:
        NotFoundError: `execution_not_found`.
    """
    with connection.snapshot():
        level = [_summary(connection, execution_id)]
        nodes, cut = list(level), set()
        for below in range(depth + 1):
            parents, level = level, []
            for parent in parents:
                room = limit - len(nodes) if below < depth else 0
                found = connection.execute("first_children", (parent.execution_id, room + 1)).fetchall()
                if len(found) > room:
                    cut.add(parent.execution_id)
                children = [rows.summary_of(row) for row in found[:room]]
                level += children
                nodes += children
    return Tree(tuple(nodes), frozenset(cut))


def _summary(connection: Connection, execution_id: ExecutionId) -> Summary:
    row = connection.execute("execution_row", (execution_id,)).fetchone()
    if row is None:
        raise rows.not_found(execution_id)
    return rows.summary_of(row)
