"""Logical transactions that delete what is too old: leaves first and the root last.

An id below another one begins with it and a dot, so a tree is one range of the primary key, in which every execution
comes before its descendants. From the end of the range backwards, no execution is left without its parent, and the
root, whose id may be submitted again once it is gone, goes when nothing is left that a new one could be mistaken for.
A tree that takes several transactions is noted in `removal` with the first: it is removed to its end after a crash, and
also when the manifest keeps it longer meanwhile, so that nobody is left with half a tree.
"""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from obelisk_daemon.clock import Instant
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.retention import Removed, Window
from obelisk_daemon.storage.sql.connection import Connection, Row
from obelisk_daemon.storage.sql.transaction import Transaction

_PARTS: Final = ("forget_responses", "forget_delays", "forget_failed_digests", "forget_suspects", "forget_events")
"""What is deleted of whole executions in one go, before their rows."""
_PAGE: Final = 4096
"""Bytes of a long value that cost about as much as a row: SQLite frees them page by page."""


def finished_before(connection: Connection, before: Instant, after: str, window: int) -> Window:
    """Look at the next executions, in one snapshot."""
    with connection.snapshot():
        row = connection.execute("end_of_window", (after, window - 1)).fetchone()
        last = None if row is None else row["execution_id"]
        values = {"after": after, "last": last or "~", "before": before}
        due = connection.execute("due_for_removal", values).fetchall()
    return Window(tuple(ExecutionId(one["execution_id"]) for one in due), last)


class _Step(NamedTuple):
    """What was removed of a tree. `cost` is in rows, of which a long value is many; `is_done` tells if that was all."""

    executions: int
    rows: int
    cost: int
    is_done: bool


def remove_trees(tx: Transaction, roots: Sequence[ExecutionId], before: Instant, budget: int) -> Removed:
    """Remove trees in order, until about so many rows are gone, or fewer where their values are long."""
    executions = rows = cost = 0
    for number, root in enumerate(roots):
        if cost >= budget:
            return Removed(number, executions, rows)
        if tx.execute("may_be_removed", {"root": root, "before": before}).fetchone() is None:
            continue
        step = _remove_end(tx, root, budget)
        executions, rows, cost = executions + step.executions, rows + step.rows, cost + step.cost
        tx.execute("forget_removal" if step.is_done else "note_removal", (root,))
        if not step.is_done:
            return Removed(number, executions, rows)
    return Removed(len(roots), executions, rows)


def _remove_end(tx: Transaction, root: ExecutionId, budget: int) -> _Step:
    """Remove the end of a tree, as much as a budget of rows allows.

    Of one execution that is more than that, what is left meanwhile of its log is its beginning.
    """
    chosen, pages = _last_of(tx, root, budget)
    lowest, highest = chosen[-1]["execution_id"], chosen[0]["execution_id"]
    rows, most = 0, budget
    if len(chosen) == 1:
        most = _fitting(chosen[0], pages, budget)
    for name in ("shorten_logs", "shorten_failures"):
        rows += tx.execute(name, (lowest, highest, most)).rowcount
    if len(chosen) == 1:
        for name in ("shorten_responses", "shorten_events"):
            rows += tx.execute(name, (lowest, most)).rowcount
    if rows >= most:
        return _Step(0, rows, rows + pages, is_done=False)
    for name in _PARTS:
        rows += tx.execute(name, (lowest, highest)).rowcount
    rows += sum(_forget_tags(tx, row) for row in chosen if row["tags"] is not None)
    rows += tx.execute("forget_executions", (lowest, highest)).rowcount
    return _Step(len(chosen), rows, rows + pages, is_done=lowest == root)


def _last_of(tx: Transaction, root: ExecutionId, budget: int) -> tuple[list[Row], int]:
    """Read the last executions of a tree, backwards: those within a budget, but at least one; and their pages."""
    chosen: list[Row] = []
    expected = pages = 0
    for row in tx.execute("last_of_tree", (root, root + "/", budget)).fetchall():
        (size,) = tx.execute("bytes_at_end", (row["execution_id"], budget)).fetchone()
        of_row = (size + row["outcome_bytes"]) // _PAGE
        expected += 1 + row["version"] + row["response_count"] + of_row
        if chosen and expected > budget:
            break
        chosen.append(row)
        pages += of_row
    return chosen, pages


def _fitting(row: Row, pages: int, budget: int) -> int:
    """Give how many events of an execution with long values, and how many responses, are within a budget."""
    rows: int = min(row["version"], budget) + min(row["response_count"], budget)
    return max(1, budget * rows // (rows + pages))


def _forget_tags(tx: Transaction, row: Row) -> int:
    values = [(key, value, row["created_at"], row["execution_id"]) for key, value in json.loads(row["tags"]).items()]
    tx.executemany("forget_tag", values)
    return len(values)


def remove_generations(tx: Transaction, kept: int, limit: int) -> int:
    """Remove the oldest generations beyond those that are kept."""
    found = tx.execute("outdated_generations", (kept, limit)).fetchall()
    numbers = [(row["number"],) for row in found]
    tx.executemany("forget_generation_components", numbers)
    tx.executemany("forget_generation", numbers)
    return len(numbers)
