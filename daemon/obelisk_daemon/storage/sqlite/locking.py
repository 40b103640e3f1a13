"""The logical transaction that locks what is due: the one place that decides who may run what (DESIGN.md section 5).

What the executor says it can run is asked of the database again: the active generation decides, so that a stale
process takes nothing that this does not allow.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import groupby
from typing import Final, TypeAlias

import msgspec

from obelisk_daemon.ids import ExecutionId, RunId
from obelisk_daemon.storage.records import Held, LockRequest, Runnable
from obelisk_daemon.storage.sqlite import rows, writes
from obelisk_daemon.storage.sqlite.queries import SQL
from obelisk_daemon.storage.sqlite.writer import Transaction

_PAST_ALL_LABELS: Final = "\U0010ffff"
_Known: TypeAlias = Mapping[str, Mapping[str, Runnable]]
"""What the executor can run, by ffqn and digest; the functions in the order of their turn."""


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
    known = _known(request.runnable)
    turns = {ffqn: turn for turn, ffqn in enumerate(known)}
    room = _Room(tx)
    chosen: list[_Taken] = []
    for _, queues in groupby(_queues(tx, known), key=lambda queue: queue["rank"]):
        mine = [queue for queue in queues if _offers(request, queue)]
        by_function = [list(of) for _, of in groupby(mine, key=lambda queue: queue["ffqn"])]
        by_function.sort(key=lambda of: turns[of[0]["ffqn"]])
        lanes = [_Lane(tx, request, of, known[of[0]["ffqn"]]) for of in by_function]
        while lanes and len(chosen) < request.limit:
            for lane in list(lanes):
                taken = lane.next(room)
                if taken is None:
                    lanes.remove(lane)
                elif len(chosen) < request.limit:
                    chosen.append(taken)
        if len(chosen) == request.limit:
            break
    return chosen


def _known(runnable: Iterable[Runnable]) -> _Known:
    known: dict[str, dict[str, Runnable]] = {}
    for function in runnable:
        known.setdefault(function.ffqn, {})[function.digest] = function
    return known


def _queues(tx: Transaction, known: _Known) -> Iterator[sqlite3.Row]:
    """Give the queues in which something waits, due or not, of functions that the executor knows and all may run."""
    after: tuple[int, str, str] = (-1, "", "")
    while (queue := tx.execute(SQL["next_queue"], after).fetchone()) is not None:
        is_known = queue["digest"] is not None and queue["ffqn"] in known
        after = (queue["rank"], queue["ffqn"], queue["labels"] if is_known else _PAST_ALL_LABELS)
        if is_known and _has_code(queue, known[queue["ffqn"]]):
            yield queue


def _has_code(queue: sqlite3.Row, known: Mapping[str, Runnable]) -> bool:
    """Tell if anything in a queue may run on code that the executor has: older code only where a policy keeps it."""
    return queue["digest"] in known or queue["on_upgrade"] in ("pin", "replay")


def _offers(request: LockRequest, queue: sqlite3.Row) -> bool:
    required = {*rows.labels_of(queue["function_labels"]), *rows.labels_of(queue["labels"])}
    return required <= request.labels


class _Room:
    """How many more executions of a component may run, in the whole store."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._left: dict[str, int | None] = {}

    def take(self, component: str) -> bool:
        if component not in self._left:
            row = self._tx.execute(SQL["room_to_run"], (component,)).fetchone()
            self._left[component] = None if row is None else row["room"]
        left = self._left[component]
        if left is None:
            return True
        self._left[component] = left - 1
        return left > 0


class _Lane:
    """What is due of one function under one rank and may run here, oldest first; read as far as it is wanted.

    Each of `queues` holds those that were submitted with the same labels.
    """

    def __init__(
        self, tx: Transaction, request: LockRequest, queues: Sequence[sqlite3.Row], known: Mapping[str, Runnable]
    ) -> None:
        self._tx = tx
        self._queue = queues[0]
        self._abi = request.abi
        self._known = known
        due = [
            tx.execute(SQL["due_in_queue"], (q["rank"], q["ffqn"], q["labels"], request.at, request.executor_id))
            for q in queues
        ]
        self._due = merge(*due, key=lambda row: (row["due_at"], row["execution_id"]))

    def next(self, room: _Room) -> _Taken | None:
        for row in self._due:
            digest = self._digest_for(row)
            function = self._known.get(digest)
            if function is None:
                continue
            if not room.take(self._queue["component"]):
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
