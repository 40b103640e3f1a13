"""The logical transaction that locks what is due: the one place that decides who may run what (DESIGN.md section 5).

What the executor says it can run is asked of the database again: the active generation decides, so that a stale
process takes nothing that this does not allow.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from obelisk_daemon.ids import ExecutionId, RunId
from obelisk_daemon.storage.records import Held, LockRequest, Runnable
from obelisk_daemon.storage.sqlite import rows, writes
from obelisk_daemon.storage.sqlite.queries import SQL
from obelisk_daemon.storage.sqlite.writer import Transaction


class _Taken(msgspec.Struct, frozen=True):
    """An execution to lock, the function to run it with, and the digest that it leaves if its log replays."""

    row: sqlite3.Row
    function: Runnable
    upgrade_from: str | None


def lock(tx: Transaction, request: LockRequest, runs: Sequence[RunId]) -> list[Held]:
    """Lock due executions for `runs`: highest priority first, in it one of each function in turn, oldest due first."""
    chosen = _choose(tx, request)
    return [_lock(tx, request, taken, run_id) for taken, run_id in zip(chosen, runs, strict=False)]


def _lock(tx: Transaction, request: LockRequest, taken: _Taken, run_id: RunId) -> Held:
    execution_id, state = ExecutionId(taken.row["execution_id"]), rows.state_of(taken.row)
    event = taken.function.locked(run_id, state.attempt)
    if taken.upgrade_from is not None:
        event = msgspec.structs.replace(event, upgrade_from=taken.upgrade_from)
    state = writes.add_event(tx, execution_id, state, event, request.at)
    created_at, created = rows.read_created(tx, execution_id)
    return Held(execution_id, event, created, created_at, state)


def _choose(tx: Transaction, request: LockRequest) -> list[_Taken]:
    turns = {ffqn: turn for turn, ffqn in enumerate(dict.fromkeys(f.ffqn for f in request.runnable))}
    room = _Room(tx)
    chosen: list[_Taken] = []
    for _, queues in groupby(_queues(tx), key=lambda queue: queue["rank"]):
        mine = [queue for queue in queues if queue["ffqn"] in turns and _offers(request, queue)]
        mine.sort(key=lambda queue: turns[queue["ffqn"]])
        lanes = [_Lane(tx, request, queue, room) for queue in mine]
        while lanes and len(chosen) < request.limit:
            for lane in list(lanes):
                taken = lane.next()
                if taken is None:
                    lanes.remove(lane)
                elif len(chosen) < request.limit:
                    chosen.append(taken)
        if len(chosen) == request.limit:
            break
    return chosen


def _queues(tx: Transaction) -> Iterator[sqlite3.Row]:
    """Give the queues in which something waits, due or not; of a function that nobody may run, none."""
    after: tuple[int, str, str] = (-1, "", "")
    while (queue := tx.execute(SQL["next_queue"], after).fetchone()) is not None:
        after = (queue["rank"], queue["ffqn"], queue["labels"])
        if queue["digest"] is not None:
            yield queue


def _offers(request: LockRequest, queue: sqlite3.Row) -> bool:
    required = {*rows.labels_of(queue["function_labels"]), *rows.labels_of(queue["labels"])}
    return required <= request.labels


class _Room:
    """How many more executions of a component may run, in the whole store."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._limits = {row["component"]: row["max_running"] for row in tx.execute(SQL["max_running"])}
        self._left: dict[str, int] = {}

    def take(self, component: str) -> bool:
        if component not in self._limits:
            return True
        if component not in self._left:
            (running,) = self._tx.execute(SQL["locked_of"], (component,)).fetchone()
            self._left[component] = self._limits[component] - running
        self._left[component] -= 1
        return self._left[component] >= 0


class _Lane:
    """What is due in one queue and may run here, oldest first; read from the database as far as it is wanted."""

    def __init__(self, tx: Transaction, request: LockRequest, queue: sqlite3.Row, room: _Room) -> None:
        self._tx = tx
        self._queue = queue
        self._abi = request.abi
        self._room = room
        self._known = {f.digest: f for f in request.runnable if f.ffqn == queue["ffqn"]}
        values = (queue["rank"], queue["ffqn"], queue["labels"], request.at, request.executor_id)
        self._due = tx.execute(SQL["due_in_queue"], values)

    def next(self) -> _Taken | None:
        for row in self._due:
            digest = self._digest_for(row)
            function = self._known.get(digest)
            if function is None:
                continue
            if not self._room.take(self._queue["component"]):
                return None
            moves = self._queue["on_upgrade"] == "replay" and row["started_at"] is not None and row["digest"] != digest
            return _Taken(row, function, row["digest"] if moves else None)
        return None

    def _digest_for(self, row: sqlite3.Row) -> str:
        """Give the code that an execution is to run on: the current one, or its own where the policy keeps it there."""
        current: str = self._queue["digest"]
        own: str = row["digest"]
        if own == current or row["started_at"] is None:
            return current
        match self._queue["on_upgrade"]:
            case "pin":
                return own
            case "replay":
                tried = self._tx.execute(SQL["failed_on"], (row["execution_id"], current, self._abi)).fetchone()
                return current if tried is None else own
            case _:
                return current
