"""Executions at random, in every table, written as rows: trees of any depth, some with more rows than fit one step."""

import json
import random
import sqlite3
from pathlib import Path
from typing import Final

from obelisk_daemon.ids import encode_ulid
from obelisk_daemon.storage.sqlite.schema import open_for_writing

Rows = dict[str, set[tuple[object, ...]]]
TABLES: Final = ("execution", "event", "response", "delay", "log_line", "failure", "failed_digest", "tag")
_COLUMNS: Final = (
    "execution_id, parent_id, status, changed_at, version, response_count, tags, ffqn, component, digest, labels, rank,"
    " created_at, lifecycle, failed_attempts"
)


class Forest:
    """A database file with random trees. `times` are those at which some of them finished."""

    def __init__(self, file: Path, seed: int, trees: int = 6) -> None:
        self.file = file
        self._random = random.Random(seed)
        self._connection = open_for_writing(file)
        self._connection.execute("BEGIN")
        for number in range(trees):
            root = f"E_{encode_ulid(self._random.getrandbits(40), number)}"
            finished = self._random.random() < 0.8
            self._grow(root, None, finished, self._random.randint(1, 9))
        self._connection.execute("COMMIT")
        self._connection.close()

    def _grow(self, known: str, parent: str | None, finished: bool, left: int) -> None:
        self._add(known, parent, finished)
        branches = self._random.randint(0, min(left, 3))
        for number in range(1, branches + 1):
            below = self._random.choice([f"n:a-b_{number}", f"o:{number}_1", f"g:1_{number}", f"n:é_{number}"])
            # a parent that was lost may have finished before its children
            below_finished = self._random.random() < 0.95 if finished else self._random.random() < 0.5
            self._grow(f"{known}.{below}", known, below_finished, left // 2)

    def _add(self, known: str, parent: str | None, finished: bool) -> None:
        draw, add = self._random.randint, self._connection.execute
        events, responses = draw(1, 4) if draw(0, 9) else draw(20, 60), draw(0, 3) if draw(0, 9) else draw(20, 60)
        tags = {"k": f"v{draw(0, 3)}", "é": ""} if draw(0, 3) == 0 else None
        ended_at, status = draw(0, 20), "finished" if finished else "blocked"
        row = (known, parent, status, ended_at, events, responses, tags and json.dumps(tags))
        marks = ", ".join("?" * 7)
        add(f"INSERT INTO execution ({_COLUMNS}) VALUES ({marks}, 'f', 'c', 'd', '', 4, {ended_at}, 'active', 0)", row)
        for number in range(events):
            add("INSERT INTO event VALUES (?, ?, 0, x'00')", (known, number))
        for number in range(1, responses + 1):
            add("INSERT INTO response VALUES (?, ?, 0, 'o:1', x'00')", (known, number))
        for number in range(draw(0, 2) if draw(0, 9) else 40):
            line = (known, f"line {number}")
            add("INSERT INTO log_line (execution_id, created_at, level, message) VALUES (?, 0, 'info', ?)", line)
        for number in range(draw(0, 2) if draw(0, 9) else 40):
            failure = (f"Err_{known}{number}", known, None)
            add("INSERT INTO failure VALUES (?, ?, 'trap', '', '', ?, NULL)", failure)
        for number in range(draw(0, 1)):
            add("INSERT INTO failed_digest VALUES (?, ?, 1, NULL, NULL)", (known, f"d{number}"))
            add("INSERT INTO delay VALUES (?, ?, 'o:1', 0, 0, 0)", (f"Delay_{known}", known))
        for key, value in (tags or {}).items():
            add("INSERT INTO tag VALUES (?, ?, ?, ?)", (key, value, ended_at, known))


def rows_of(file: Path) -> Rows:
    """Read all rows of all tables that have something of an execution; its id is the first value of each."""
    connection = sqlite3.connect(file)
    found: Rows = {}
    for table in TABLES:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        place = names.index("execution_id")
        found[table] = {(row[place], *row) for row in connection.execute(f"SELECT * FROM {table}")}
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("SELECT count(*) FROM removal").fetchone() == (0,)
    connection.close()
    return found


def kept_of(rows: Rows, before: int) -> Rows:
    """Tell in the plainest way which rows are kept: those of trees that have not finished as a whole long ago."""
    parents = {row[0]: row[5] for row in rows["execution"]}
    state = {row[0]: (row[13], row[11]) for row in rows["execution"]}

    def root_of(known: object) -> object:
        while parents[known] is not None:
            known = parents[known]
        return known

    unfinished = {root_of(known) for known, (status, _) in state.items() if status != "finished"}
    roots = {known for known, parent in parents.items() if parent is None}
    due = {known for known in roots - unfinished if state[known][1] <= before}
    return {table: {row for row in found if root_of(row[0]) not in due} for table, found in rows.items()}


def assert_no_torso(file: Path) -> None:
    """Assert that whatever is left has its parent and the beginning of its log, as it may be seen between two steps."""
    connection = sqlite3.connect(file)
    known = {row[0]: row[1] for row in connection.execute("SELECT execution_id, parent_id FROM execution")}
    assert all(parent is None or parent in known for parent in known.values())
    for table, number, first in (("event", "version", 0), ("response", "seq", 1)):
        logs = f"SELECT execution_id, min({number}), max({number}), count(*) FROM {table} GROUP BY execution_id"
        for execution_id, least, most, count in connection.execute(logs):
            assert execution_id in known
            assert (least, most) == (first, first + count - 1)
    whole = connection.execute("SELECT count(DISTINCT execution_id) FROM event").fetchone()
    assert whole == (len(known),)
    connection.close()
