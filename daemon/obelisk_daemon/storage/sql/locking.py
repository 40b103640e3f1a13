"""The logical transaction that locks what is due: the one place that decides who may run what (DESIGN.md section 5).

What the executor says it can run is asked of the database again: the active generation decides, so that a stale
process takes nothing that this does not allow, nor what it knows only by other settings.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import groupby
from typing import Final, TypeAlias

import msgspec

from obelisk_daemon.execution.events import Entry, Locked
from obelisk_daemon.execution.state import fold
from obelisk_daemon.ids import ExecutionId, RunId
from obelisk_daemon.storage.records import Held, LockRequest, NewExecution, Recorded, Runnable
from obelisk_daemon.storage.sql import rows, writes
from obelisk_daemon.storage.sql.connection import Row
from obelisk_daemon.storage.sql.transaction import Transaction

_PAST_ALL_LABELS: Final = "\U0010ffff"
_Known: TypeAlias = Mapping[str, Mapping[str, Runnable]]
"""What the executor can run, by ffqn and digest; the functions in the order of their turn."""


class _Taken(msgspec.Struct, frozen=True):
    """An execution to lock, the function to run it with, and the digest that it leaves if its log replays."""

    row: Row
    function: Runnable
    upgrade_from: str | None


class _Queue(msgspec.Struct, frozen=True):
    """What waits of a function under one rank, submitted with the same labels.

    `rule` names it, and says what the active generation has for it; `due` is read as far as it is wanted.
    """

    rule: Row
    due: Iterable[Row]


def lock(tx: Transaction, request: LockRequest, runs: Sequence[RunId]) -> list[Held]:
    """Lock due executions for `runs`: highest priority first, in it one of each function in turn, oldest due first.

    An executor that was declared dead gets none.
    """
    if tx.execute("is_alive", (request.executor_id,)).fetchone() is None:
        return []
    chosen = _choose(tx, request)
    return [_lock(tx, request, taken, run_id) for taken, run_id in zip(chosen, runs, strict=False)]


def lock_one(tx: Transaction, request: LockRequest, row: Row, run_id: RunId) -> Held | None:
    """Lock an execution that is chosen already, if the rules let this executor run it."""
    known = _known(request.runnable)
    rule = tx.execute("rule_of", _place(row)).fetchone()
    if rule is None or rule["ffqn"] not in known or rule["since"] > request.generation or not _offers(request, rule):
        return None
    if tx.execute("is_alive", (request.executor_id,)).fetchone() is None:
        return None
    taken = _Lane(tx, request.abi, [_Queue(rule, [row])], known[rule["ffqn"]]).next(_Room(tx))
    return None if taken is None else _lock(tx, request, taken, run_id)


def as_allowed(tx: Transaction, new: NewExecution) -> tuple[NewExecution, int | None]:
    """Give what its executor has locked as it made it, with its rank, where the rules of its generation still hold.

    Else it waits to be locked again, and nobody knows its rank.
    """
    if new.state.status != "locked":
        return new, None
    rank = _rank_of_locked(tx, new)
    if rank is not None:
        return new, rank
    tx.left_unlocked.append(new.execution_id)
    return unlocked(new), None


def unlocked(new: NewExecution) -> NewExecution:
    """Give it as it is without a lock."""
    return msgspec.structs.replace(new, entries=new.entries[:1], state=fold(new.entries[:1]))


def _rank_of_locked(tx: Transaction, new: NewExecution) -> int | None:
    locked = new.entries[-1].event
    assert isinstance(locked, Locked)
    values, ranks = (new.created.ffqn, locked.digest, locked.generation), tx.connection.ranks
    if values not in ranks:
        row = tx.connection.execute("rank_of_locked_child", values).fetchone()
        if row is None:
            return None
        ranks[values] = int(row["rank"])
    return ranks[values]


def _lock(tx: Transaction, request: LockRequest, taken: _Taken, run_id: RunId) -> Held:
    execution_id, state = ExecutionId(taken.row["execution_id"]), rows.state_of(taken.row)
    event = taken.function.locked(run_id, state.attempt)
    if taken.upgrade_from is not None:
        event = msgspec.structs.replace(event, upgrade_from=taken.upgrade_from)
    state = writes.add_event(tx, execution_id, state, event, request.at)
    created_at, created = rows.read_created(tx, execution_id)
    entries = (Entry(state.version - 1, state.changed_at, event),)
    tx.recorded.append(Recorded(execution_id, created, created_at, entries, state, due_at=taken.row["due_at"]))
    return Held(execution_id, event, created, created_at, state)


def _choose(tx: Transaction, request: LockRequest) -> list[_Taken]:
    known = _known(request.runnable)
    turns = {ffqn: turn for turn, ffqn in enumerate(known)}
    room = _Room(tx)
    chosen: list[_Taken] = []
    for _, queues in groupby(_queues(tx, request, known), key=lambda queue: queue.rule["rank"]):
        mine = [queue for queue in queues if _offers(request, queue.rule)]
        by_function = [list(of) for _, of in groupby(mine, key=lambda queue: queue.rule["ffqn"])]
        by_function.sort(key=lambda of: turns[of[0].rule["ffqn"]])
        lanes = [_Lane(tx, request.abi, of, known[of[0].rule["ffqn"]]) for of in by_function]
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


def _queues(tx: Transaction, request: LockRequest, known: _Known) -> Iterator[_Queue]:
    """Give the queues in which something waits, due or not, and which this executor has code for; in order."""
    for queue in merge(_waiting(tx, request, known), _forsaken(tx, request), key=lambda queue: _place(queue.rule)):
        ffqn = queue.rule["ffqn"]
        if ffqn in known and _has_code(queue.rule, known[ffqn]) and queue.rule["since"] <= request.generation:
            yield queue


def _waiting(tx: Transaction, request: LockRequest, known: _Known) -> Iterator[_Queue]:
    """Give the queues of what nobody has in memory, each found from the one before."""
    after: tuple[int, str, str] = (-1, "", "")
    while (rule := tx.execute("next_queue", after).fetchone()) is not None:
        rank, ffqn, labels = _place(rule)
        may_run = rule["digest"] is not None and ffqn in known
        after = (rank, ffqn, labels if may_run else _PAST_ALL_LABELS)
        if may_run:
            yield _Queue(rule, _due(tx, rule, request))


def _due(tx: Transaction, rule: Row, request: LockRequest) -> Iterator[Row]:
    """Read it in parts: on a database of several hosts, what was read is locked to the others."""
    last: tuple[int, str] = (-1, "")
    while True:
        part = tx.execute("due_in_queue", (*_place(rule), request.at, *last, request.limit)).fetchall()
        yield from part
        if len(part) < request.limit:
            return
        last = _age(part[-1])


def _forsaken(tx: Transaction, request: LockRequest) -> Iterator[_Queue]:
    """Give what another executor has in memory, and has not gone on with in its time; mostly there is nothing."""
    found = tx.execute("forsaken", (request.executor_id, request.at)).fetchall()
    found.sort(key=lambda row: (*_place(row), *_age(row)))
    for place, due in groupby(found, key=_place):
        rule = tx.execute("rule_of", place).fetchone()
        if rule is not None:
            yield _Queue(rule, list(due))


def _place(row: Row) -> tuple[int, str, str]:
    """Name the queue of an execution."""
    return row["rank"], row["ffqn"], row["labels"]


def _age(row: Row) -> tuple[int, str]:
    """Put executions in order, the longest due first."""
    return row["due_at"], row["execution_id"]


def _has_code(rule: Row, known: Mapping[str, Runnable]) -> bool:
    """Tell if anything in a queue may run on code that the executor has: older code only where a policy keeps it."""
    return rule["digest"] in known or rule["on_upgrade"] in ("pin", "replay")


def _offers(request: LockRequest, rule: Row) -> bool:
    required = {*rows.labels_of(rule["function_labels"]), *rows.labels_of(rule["labels"])}
    return required <= request.labels


class _Room:
    """How many more executions of a component may run, in the whole store."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._left: dict[str, int | None] = {}

    def take(self, component: str) -> bool:
        if component not in self._left:
            if self._tx.execute("limits_running", (component,)).fetchone() is not None:
                self._tx.connection.guard(f"room {component}")
            row = self._tx.execute("room_to_run", (component,)).fetchone()
            self._left[component] = None if row is None else row["room"]
        left = self._left[component]
        if left is None:
            return True
        self._left[component] = left - 1
        return left > 0


class _Lane:
    """What is due of one function under one rank and may run here, oldest first; read as far as it is wanted."""

    def __init__(self, tx: Transaction, abi: int, queues: Sequence[_Queue], known: Mapping[str, Runnable]) -> None:
        self._tx = tx
        self._rule = queues[0].rule
        self._abi = abi
        self._known = known
        self._due = iter(queues[0].due) if len(queues) == 1 else merge(*[queue.due for queue in queues], key=_age)

    def next(self, room: _Room) -> _Taken | None:
        for row in self._due:
            digest = self._digest_for(row)
            function = self._known.get(digest)
            if function is None:
                continue
            if not room.take(self._rule["component"]):
                return None
            moves = self._rule["on_upgrade"] == "replay" and row["started_at"] is not None and row["digest"] != digest
            return _Taken(row, function, row["digest"] if moves else None)
        return None

    def _digest_for(self, row: Row) -> str:
        """Give the code that an execution is to run on: the current one, or its own where the policy keeps it there."""
        current: str = self._rule["digest"]
        own: str = row["digest"]
        if own == current or row["started_at"] is None:
            return current
        match self._rule["on_upgrade"]:
            case "pin":
                return own
            case "replay":
                tried = self._tx.execute("failed_on", (row["execution_id"], current, self._abi)).fetchone()
                return current if tried is None else own
            case _:
                return current
