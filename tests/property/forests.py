"""Executions at random, in every table, written as rows: trees of any depth, some with more rows than fit one step."""

import json
import random
from collections.abc import Mapping
from typing import Final

from obelisk_daemon.ids import encode_ulid
from tests.stores import Execute, Place

Rows = dict[str, set[tuple[object, ...]]]
TABLES: Final = ("execution", "event", "response", "delay", "log_line", "failure", "failed_digest", "tag", "suspect")
_COLUMNS: Final = (
    "execution_id, parent_id, status, changed_at, version, response_count, tags, ffqn, component, digest, labels, rank,"
    " created_at, lifecycle, failed_attempts"
)


class Forest:
    """Random trees in a database, some finished: the same ones for the same seed."""

    def __init__(self, execute: Execute, seed: int) -> None:
        self._execute = execute
        self._random = random.Random(seed)

    def plant(self, trees: int) -> None:
        for number in range(trees):
            root = f"E_{encode_ulid(self._random.getrandbits(40), number)}"
            finished = self._random.random() < 0.8
            self._grow(root, None, finished, self._random.randint(1, 9))

    def _grow(self, known: str, parent: str | None, finished: bool, left: int) -> None:
        self._add(known, parent, finished)
        branches = self._random.randint(0, min(left, 3))
        for number in range(1, branches + 1):
            below = self._random.choice([f"n:a-b_{number}", f"o:{number}_1", f"g:1_{number}", f"n:é_{number}"])
            # a parent that was lost may have finished before its children
            below_finished = self._random.random() < 0.95 if finished else self._random.random() < 0.5
            self._grow(f"{known}.{below}", known, below_finished, left // 2)

    def _add(self, known: str, parent: str | None, finished: bool) -> None:
        draw, add = self._random.randint, self._execute
        events, responses = draw(1, 4) if draw(0, 9) else draw(20, 60), draw(0, 3) if draw(0, 9) else draw(20, 60)
        tags = {"k": f"v{draw(0, 3)}", "é": ""} if draw(0, 3) == 0 else None
        ended_at, status = draw(0, 20), "finished" if finished else "blocked"
        row = (known, parent, status, ended_at, events, responses, tags and json.dumps(tags))
        marks = ", ".join("?" * 7)
        add(f"INSERT INTO execution ({_COLUMNS}) VALUES ({marks}, 'f', 'c', 'd', '', 4, {ended_at}, 'active', 0)", row)
        for number in range(events):
            add("INSERT INTO event VALUES (?, ?, 0, ?)", (known, number, b"\x00"))
        for number in range(1, responses + 1):
            add("INSERT INTO response VALUES (?, ?, 0, 'o:1', ?)", (known, number, b"\x00"))
        for number in range(draw(0, 2) if draw(0, 9) else 40):
            line = (known, f"line {number}")
            add("INSERT INTO log_line (execution_id, created_at, level, message) VALUES (?, 0, 'info', ?)", line)
        for number in range(draw(0, 2) if draw(0, 9) else 40):
            failure = (f"Err_{known}{number}", known, None)
            add("INSERT INTO failure VALUES (?, ?, 'trap', '', '', ?, NULL)", failure)
        for number in range(draw(0, 1)):
            add("INSERT INTO failed_digest VALUES (?, ?, 1, NULL, NULL)", (known, f"d{number}"))
            add("INSERT INTO suspect VALUES (?, 3, 0, 0, 0, 0, NULL)", (known,))
            add("INSERT INTO delay VALUES (?, ?, 'o:1', 0, 0, 0)", (f"Delay_{known}", known))
        for key, value in (tags or {}).items():
            add("INSERT INTO tag VALUES (?, ?, ?, ?)", (key, value, ended_at, known))


def rows_of(place: Place) -> Rows:
    """Read all rows of all tables that have something of an execution.

    First in each are its id, and of an execution its parent, its status and when it changed last.
    """
    with place.rows() as execute:
        assert execute("SELECT * FROM removal") == []
        return {table: {_known(row) for row in execute(f"SELECT * FROM {table}")} for table in TABLES}


def _known(row: Mapping[str, object]) -> tuple[object, ...]:
    return (*[row.get(name) for name in ("execution_id", "parent_id", "status", "changed_at")], *row.values())


def kept_of(rows: Rows, before: int) -> Rows:
    """Tell in the plainest way which rows are kept: those of trees that have not finished as a whole long ago."""
    parents = {row[0]: row[1] for row in rows["execution"]}
    state = {row[0]: (row[2], row[3]) for row in rows["execution"]}

    def root_of(known: object) -> object:
        while parents[known] is not None:
            known = parents[known]
        return known

    unfinished = {root_of(known) for known, (status, _) in state.items() if status != "finished"}
    roots = {known for known, parent in parents.items() if parent is None}
    due = {known for known in roots - unfinished if state[known][1] <= before}
    return {table: {row for row in found if root_of(row[0]) not in due} for table, found in rows.items()}


def assert_no_torso(place: Place) -> None:
    """Assert that whatever is left has its parent and the beginning of its log, as it may be seen between two steps."""
    with place.rows() as execute:
        left = execute("SELECT execution_id, parent_id FROM execution")
        known = {row["execution_id"] for row in left}
        assert all(row["parent_id"] is None or row["parent_id"] in known for row in left)
        for table, number, first in (("event", "version", 0), ("response", "seq", 1)):
            logs = execute(
                f"SELECT execution_id, min({number}) AS least, max({number}) AS most, count(*) AS rows FROM {table}"
                " GROUP BY execution_id"
            )
            for log in logs:
                assert log["execution_id"] in known
                assert (log["least"], log["most"]) == (first, first + log["rows"] - 1)
        assert {row["execution_id"] for row in execute("SELECT execution_id FROM event")} == known
