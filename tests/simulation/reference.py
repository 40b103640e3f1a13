"""What a workflow must have asked and returned, told from its program and its answers by code that shares none.

The log says what chance and time decided: the values drawn, when something was due, and what was there when it was
polled. All else follows from the program and from the responses in their order.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    DelayRequest,
    HistoryItem,
    JoinNext,
    JoinNextTooMany,
    JoinNextTry,
    JoinSetCreate,
    JoinSetRequest,
    Persist,
    Response,
    ResponseItem,
    Schedule,
    Stub,
)
from obelisk_daemon.execution.outcome import Failed, Outcome, Returned
from tests.simulation.programs import APPROVE, RUN, Program


class DiffersError(Exception):
    """The log is not what the program asks for."""


class CutOffError(Exception):
    """The log ends before the program does."""


class _Trapped(Exception):  # noqa: N818 - how a program ends
    pass


class _Set(msgspec.Struct):
    name: str
    answers: list[ResponseItem]
    members: int = 0
    taken: int = 0
    is_closed: bool = False


class Told(msgspec.Struct):
    """What follows from a program: its outcome (None: it traps), its log lines, and what it scheduled."""

    outcome: dict[str, object] | None
    lines: list[str]
    scheduled: list[str]


class Reference:
    """Carries a program out against a log that has ended."""

    def __init__(self, execution_id: str, history: Sequence[HistoryItem], responses: Sequence[Response]) -> None:
        self._id = execution_id
        self._history: Iterator[HistoryItem] = iter(history)
        self._responses = responses
        self._sets: list[_Set] = []
        """Those of the program's own, by its numbers."""
        self._opened: list[_Set] = []
        """All, the oldest first."""
        self._gone: set[int] = set()
        """Numbers of those that the program has closed or dropped."""
        self._dropped: list[_Set] = []
        self._approvals: list[str] = []
        self._counts = {"o": 0, "g": 0}
        self.lines: list[str] = []
        self.scheduled: list[str] = []

    def tell(self, program: Program, *, is_diverging: bool) -> Told:
        """Give what must have come of it.

        Raises:
            DiffersError: the log has something else.
            CutOffError: the log ends first, so that only an end from outside can have ended it.
        """
        try:
            outcome = self._carry_out(program, is_diverging=is_diverging)
        except _Trapped:
            outcome = None
        self._close_all()
        if (more := next(self._history, None)) is not None:
            raise DiffersError(f"the program has ended, and its log goes on with {more}")
        return Told(outcome, self.lines, self.scheduled)

    def _carry_out(self, program: Program, *, is_diverging: bool) -> dict[str, object]:
        gave: list[object] = [self._random(77)] if is_diverging else []
        for name, *arguments in program:
            if name == "fail":
                return {"err": json.dumps(gave)}
            gave.append(getattr(self, f"_{name}")(*arguments))
        return {"ok": json.dumps(gave)}

    def _close_all(self) -> None:
        carried = False
        for opened in self._opened:
            if not opened.is_closed and self._owes(opened):
                asked = self._asked(JoinNext)
                if asked.join_set != opened.name or not asked.closing or (asked.outcome is None) != carried:
                    raise DiffersError(f"{opened.name} is to be closed, and the log has {asked}")
                carried = True

    def _asked(self, asked: type[Any], /, **wanted: object) -> Any:
        """Give what the log has next, which must be of this kind and have these fields."""
        item = next(self._history, None)
        if item is None:
            raise CutOffError
        if type(item) is not asked or any(getattr(item, name) != value for name, value in wanted.items()):
            raise DiffersError(f"the program asks for {asked.__name__} {wanted}, and the log has {item}")
        return item

    def _before_request(self) -> None:
        while self._dropped:
            self._begin_close(self._dropped.pop(0))

    def _begin_close(self, closed: _Set) -> None:
        closed.is_closed = True
        if self._owes(closed):
            self._asked(JoinNext, join_set=closed.name, closing=True, outcome=None)

    def _owes(self, opened: _Set) -> bool:
        return opened.taken < opened.members

    def _new_set(self, name: str) -> _Set:
        self._asked(JoinSetCreate, join_set=name)
        made = _Set(name, [response.item for response in self._responses if response.join_set == name])
        self._opened.append(made)
        return made

    def _next_name(self, kind: str) -> str:
        self._counts[kind] += 1
        return f"{kind}:{self._counts[kind]}"

    def _member(self, opened: _Set, prefix: str) -> str:
        opened.members += 1
        return f"{prefix}{self._id.removeprefix('E_')}.{opened.name}_{opened.members}"

    def _child(self, opened: _Set, ffqn: str, params: list[object]) -> str:
        name = self._member(opened, "E_")
        request = self._asked(JoinSetRequest, join_set=opened.name).request
        if request != ChildRequest(name, ffqn, params):  # type: ignore[arg-type]
            raise DiffersError(f"the program calls {ffqn} {params} as {name}, and the log has {request}")
        return name

    def _timer(self, opened: _Set, ms: int) -> str:
        name = self._member(opened, "Delay_")
        request = self._asked(JoinSetRequest, join_set=opened.name).request
        if not isinstance(request, DelayRequest) or (request.delay_id, request.intent) != (name, ("in", ms * 1_000)):
            raise DiffersError(f"the program asks for {name} of {ms} ms, and the log has {request}")
        return name

    def _taken(self, opened: _Set) -> ResponseItem:
        if opened.taken >= len(opened.answers):
            raise CutOffError
        opened.taken += 1
        return opened.answers[opened.taken - 1]

    def _set(self) -> None:
        self._before_request()
        self._sets.append(self._new_set(self._next_name("g")))

    def _named(self, name: str) -> None:
        self._before_request()
        self._sets.append(self._new_set(f"n:{name}"))

    def _call(self, ffqn: str, param: object) -> object:
        self._before_request()
        opened = self._new_set(self._next_name("o"))
        self._child(opened, ffqn, [param])
        self._asked(JoinNext, join_set=opened.name, closing=False)
        item = self._taken(opened)
        assert isinstance(item, ChildFinished)
        return item.outcome.value if isinstance(item.outcome, Returned) else {"err": _failure(item.outcome)}

    def _sleep(self, ms: int) -> object:
        self._before_request()
        opened = self._new_set(self._next_name("o"))
        self._timer(opened, ms)
        self._asked(JoinNext, join_set=opened.name, closing=False)
        return not self._taken(opened).cancelled  # type: ignore[union-attr]

    def _random(self, above: int) -> object:
        self._before_request()
        return self._asked(Persist, kind="random_u64", args=(0, above - 1)).value

    def _schedule(self, program: str, ms: int) -> object:
        self._before_request()
        made = self._asked(Persist, kind="execution_id").value
        self._asked(Schedule, execution_id=made, ffqn=str(RUN), params=[program], intent=("in", ms * 1_000), error=None)
        self.scheduled.append(made)
        return made

    def _compute(self, _ms: int) -> None:
        return None

    def _log(self, line: str) -> None:
        self.lines.append(line)

    def _trap(self) -> None:
        raise _Trapped

    def _submit(self, chosen: int, ffqn: str, param: str) -> object:
        if chosen in self._gone:
            return "closed"
        self._before_request()
        return self._child(self._sets[chosen], ffqn, [param])

    def _delay(self, chosen: int, ms: int) -> object:
        if chosen in self._gone:
            return "closed"
        self._before_request()
        return self._timer(self._sets[chosen], ms)

    def _next(self, chosen: int) -> object:
        opened = self._sets[chosen]
        if chosen in self._gone:
            return "closed"
        self._before_request()
        if not self._owes(opened):
            self._asked(JoinNextTooMany, join_set=opened.name)
            return {"err": "all_processed"}
        self._asked(JoinNext, join_set=opened.name, closing=False)
        return {"ok": _answer(self._taken(opened))}

    def _try(self, chosen: int) -> object:
        opened = self._sets[chosen]
        if chosen in self._gone:
            return "closed"
        self._before_request()
        found = self._asked(JoinNextTry, join_set=opened.name).found
        if (found == "all_processed") == self._owes(opened):
            raise DiffersError(f"of {opened.members} members {opened.taken} are taken, and the log says {found}")
        return {"ok": _answer(self._taken(opened))} if found == "found" else {"err": found}

    def _approval(self, chosen: int, order: int) -> object:
        if chosen in self._gone:
            return "closed"
        self._before_request()
        self._approvals.append(self._child(self._sets[chosen], str(APPROVE), [order]))
        return self._approvals[-1]

    def _approve(self, chosen: int, result: bool) -> object:
        if chosen >= len(self._approvals):
            return "none"
        self._before_request()
        asked = self._asked(Stub, execution_id=self._approvals[chosen], result=json.dumps({"ok": result}))
        return {"ok": None} if asked.came == "ok" else {"err": asked.came}

    def _close(self, chosen: int) -> None:
        if chosen not in self._gone:
            self._gone.add(chosen)
            self._before_request()
            self._begin_close(self._sets[chosen])

    def _drop(self, chosen: int) -> None:
        if chosen not in self._gone:
            self._gone.add(chosen)
            self._dropped.append(self._sets[chosen])


def _answer(item: ResponseItem) -> object:
    if not isinstance(item, ChildFinished):
        return {"err": None} if item.cancelled else {"ok": None}
    outcome: Outcome = item.outcome
    if isinstance(outcome, Failed):
        return {"err": json.dumps(_failure(outcome), ensure_ascii=False)}
    ((side, value),) = outcome.value.items()
    return {side: json.dumps(value, ensure_ascii=False)}


def _failure(failed: Failed) -> str:
    return f"execution_failed: {failed.kind} ({failed.failure_id}): {failed.reason}"
