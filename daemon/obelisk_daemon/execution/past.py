"""What an execution was at a version of its log: its state, its join sets, what it had asked for and waited for.

The axis is that of the versions. Responses have a log of their own; at a version those had come whose time is not after
that of the last event before it.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    DelayRequest,
    Entry,
    HistoryEvent,
    HistoryItem,
    JoinNext,
    JoinSetCreate,
    JoinSetRequest,
    Response,
)
from obelisk_daemon.execution.joinsets import JoinSets, Member, member_of
from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.execution.state import State, begin, follow, unblock

LONGEST_VALUE: Final = 512
"""Bytes in the database."""
LEFT_OUT: Final = object()
MOST_OVER: Final = 500
"""Single calls and sleeps that are over and yet shown: a log may have a hundred thousand."""


class Waits(msgspec.Struct, frozen=True):
    """What a workflow waits for: the next response of a join set, or all when it closes it, asked for at `version`."""

    join_set: str
    version: int
    function: str | None
    closing: bool


class Asked(msgspec.Struct, frozen=True):
    """When a member of a join set was asked for, and when a delay is due."""

    version: int
    due_at: Instant | None = None


class PastMember(msgspec.Struct, frozen=True):
    """A member of a join set. A long value that a child returned is `LEFT_OUT` of the response."""

    member: Member
    ffqn: str | None
    asked: Asked
    response: Response | None
    is_taken: bool


class PastSet(msgspec.Struct, frozen=True):
    """A join set, made at `version` and used last at `used`."""

    name: str
    version: int
    used: int
    members: int
    answered: int
    taken: int
    is_closing: bool
    is_closed: bool


class Past:
    """Folds a log, event by event. Responses are delivered in their own order, before or after the events."""

    def __init__(self, first: Entry) -> None:
        self._state = begin(first)
        self._sets = JoinSets()
        self._made: dict[str, int] = {}
        self._used: dict[str, int] = {}
        self._asked: dict[Member, Asked] = {}
        self._owed: dict[str, int] = {}
        """How many responses were asked for that have not come."""
        self._closing: set[str] = set()
        self._waits: Waits | None = None
        self._arrival: dict[str, Instant] = {}
        self.responses = 0
        """How many have come."""
        self.forgotten = 0
        """How many join sets of single calls and sleeps are over for long, and not among `sets`."""
        self._over: deque[str] = deque()

    @property
    def state(self) -> State:
        """The state; one whose response has come is not blocked any more."""
        return self._state if self.waits_for is not None else unblock(self._state)

    @property
    def waits_for(self) -> Waits | None:
        """What it waits for."""
        if self._state.status == "finished" or self._waits is None or not self._owed.get(self._waits.join_set):
            return None
        return self._waits

    def step(self, entry: Entry) -> None:
        """Take the next event.

        Raises:
            InvariantError: it can't follow.
        """
        self._state = follow(self._state, entry)
        if isinstance(entry.event, HistoryEvent):
            self._ask(entry.version, entry.event.event)

    def deliver(self, response: Response, until: Instant | None = None) -> None:
        """Take a response, if it had come by a time. In one join set, none comes before an earlier one has."""
        arrival = max(self._arrival.get(response.join_set, response.created_at), response.created_at)
        self._arrival[response.join_set] = arrival
        if until is not None and arrival > until:
            return
        self.responses += 1
        self._sets.deliver(_light(response))
        self._take(response.join_set)

    def sets(self) -> list[PastSet]:
        """Give the join sets, the oldest first."""
        return [
            PastSet(
                name=one.name,
                version=self._made[one.name],
                used=self._used[one.name],
                members=len(one.members),
                answered=len(one.delivered),
                taken=one.taken,
                is_closing=one.name in self._closing,
                is_closed=one.name in self._closing and one.all_taken,
            )
            for one in self._sets.values()
        ]

    def members(self, name: str) -> Iterator[PastMember]:
        """Give the members of a join set, in the order in which they were asked for."""
        one = self._sets[name]
        answers = {member_of(response.item): response for response in one.delivered}
        taken = {member_of(response.item) for response in one.delivered[: one.taken]}
        for member, ffqn in one.members.items():
            yield PastMember(member, ffqn, self._asked[member], answers.get(member), member in taken)

    def _ask(self, version: int, item: HistoryItem) -> None:
        name, takes = self._sets.repeat(item)
        self._waits = None
        match item:
            case JoinSetCreate():
                self._made[name] = version
            case JoinSetRequest(request=ChildRequest(execution_id=child)):
                self._asked[child] = Asked(version)
            case JoinSetRequest(request=DelayRequest(delay_id=delay, due_at=due_at)):
                self._asked[delay] = Asked(version, due_at)
            case JoinNext(function=function, closing=closing):
                self._waits = Waits(name, version, function, closing)
                if closing:
                    self._closing.add(name)
        if name:
            self._used[name] = version
            self._owed[name] = takes if name in self._closing else self._owed.get(name, 0) + takes
            self._take(name)

    def _take(self, name: str) -> None:
        while self._owed.get(name) and name in self._sets and self._sets[name].has_next:
            self._sets.take(self._sets[name])
            self._owed[name] -= 1
            if name.startswith("o:") and self._sets[name].all_taken:
                self._note_over(name)

    def _note_over(self, name: str) -> None:
        """Forget the oldest of many single calls: the guest can't name its join set again."""
        self._over.append(name)
        if len(self._over) > MOST_OVER:
            oldest = self._over.popleft()
            for member in self._sets[oldest].members:
                del self._asked[member]
            self._sets.forget(oldest)
            del self._made[oldest], self._used[oldest], self._owed[oldest], self._arrival[oldest]
            self.forgotten += 1


def most_telling(sets: Iterable[PastSet], limit: int) -> list[PastSet]:
    """Choose the join sets to show where there are many: those that owe something, then those used last; in order."""
    chosen = sorted(sets, key=lambda one: (one.answered < one.members, one.used), reverse=True)[:limit]
    return sorted(chosen, key=lambda one: one.version)


def _light(response: Response) -> Response:
    """Leave a long value out: a log may have many thousands."""
    item = response.item
    if not isinstance(item, ChildFinished) or isinstance(item.outcome, Failed):
        return response
    if len(codec.encode(item.outcome)) <= LONGEST_VALUE:
        return response
    word = ChildFinished(item.execution_id, Returned({"ok" if item.outcome.is_ok else "err": LEFT_OUT}))
    return Response(response.seq, response.created_at, response.join_set, word)
