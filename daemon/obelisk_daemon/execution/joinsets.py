"""The join sets of one workflow: who is in them, who has answered, and what has been taken."""

import string
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    DelayRequest,
    HistoryItem,
    JoinNext,
    JoinNextTry,
    JoinSetCreate,
    JoinSetRequest,
    Response,
    ResponseItem,
)
from obelisk_daemon.execution.outcome import Outcome
from obelisk_daemon.execution.written import ResponseRow, response_of
from obelisk_daemon.ids import DelayId, ExecutionId

_NAME: Final = frozenset(string.ascii_letters + string.digits + "-_")
_LONGEST_NAME: Final = 64

Member = ExecutionId | DelayId


class JoinSet(msgspec.Struct, eq=False):
    """One join set. Every operation costs the same however many members it has."""

    name: str
    members: dict[Member, str | None] = {}
    """Children with their ffqn, delays with None, in the order they were asked for."""
    delivered: list[Response] = []
    taken: int = 0
    is_closed: bool = False
    last: ResponseItem | None = None
    """What was taken last."""

    @property
    def next_number(self) -> int:
        """The number of the next member, from 1."""
        return len(self.members) + 1

    @property
    def all_taken(self) -> bool:
        """Tell if there is nothing to wait for."""
        return self.taken == len(self.members)

    @property
    def all_delivered(self) -> bool:
        """Tell if every member has answered."""
        return len(self.delivered) == len(self.members)

    @property
    def has_next(self) -> bool:
        """Tell if the next response is there."""
        return self.taken < len(self.delivered)

    def children_unanswered(self) -> list[tuple[ExecutionId, str]]:
        """Give the children that have not answered, with their ffqn."""
        return [(ExecutionId(member), ffqn) for member, ffqn in self._unanswered() if ffqn is not None]

    def delays_unanswered(self) -> list[DelayId]:
        """Give the delays that have not ended."""
        return [DelayId(member) for member, ffqn in self._unanswered() if ffqn is None]

    def _unanswered(self) -> list[tuple[Member, str | None]]:
        answered = {member_of(response.item) for response in self.delivered}
        return [(member, ffqn) for member, ffqn in self.members.items() if member not in answered]


class JoinSets(dict[str, JoinSet]):
    """The join sets of a workflow, by id, the oldest first, and the results it has taken."""

    __slots__ = ("_answered", "_generated", "_one_offs", "_unread", "_waiting", "heard", "results")

    def __init__(self) -> None:
        super().__init__()
        self._one_offs = self._generated = 0
        self._answered: set[Member] = set()
        self._waiting: dict[str, list[Response]] = {}
        self._unread: dict[str, list[ResponseRow]] = {}
        """Responses of join sets that nobody has asked for yet."""
        self.heard = 0
        """Up to which `seq` all responses were delivered."""
        self.results: dict[ExecutionId, tuple[str, Outcome]] = {}
        """Of children whose response was taken: their ffqn and how they ended."""

    def open(self) -> list[JoinSet]:
        """Give the join sets that are not closed, the oldest first."""
        return [join_set for join_set in self.values() if not join_set.is_closed]

    def next_name(self, kind: Literal["o", "g"], label: str | None = None) -> str:
        """Name the next one-off or generated join set."""
        if kind == "o":
            number = self._one_offs = self._one_offs + 1
        else:
            number = self._generated = self._generated + 1
        return f"{kind}:{number}" if label is None else f"{kind}:{number}-{label}"

    def create(self, name: str) -> JoinSet:
        """Add a join set; what was delivered to it before the replay came here is its."""
        join_set = self[name] = JoinSet(name)
        if name in self._waiting:
            join_set.delivered = self._waiting.pop(name)
        if name in self._unread:
            self._read(name)
        return join_set

    def leave(self, name: str) -> None:
        """Drop a join set that nobody can name any more, if all that it owed was taken; its results are kept."""
        join_set = self.get(name)
        if join_set is not None and join_set.taken == len(join_set.members):
            del self[name]

    def expect(self, rows: Iterable[ResponseRow]) -> None:
        """Add the responses of a log before any others: they are read when their join set is there."""
        unread = self._unread
        for row in rows:
            self.heard += row[0] == self.heard + 1
            if row[2] in unread:
                unread[row[2]].append(row)
            else:
                unread[row[2]] = [row]

    def _read(self, name: str) -> None:
        for row in self._unread.pop(name):
            self._add(response_of(row))

    def deliver(self, response: Response) -> None:
        """Add a response. The same one twice counts once: a parent may be told of it before the commit."""
        self.heard += response.seq == self.heard + 1
        if response.join_set in self._unread:
            self._read(response.join_set)
        self._add(response)

    def _add(self, response: Response) -> None:
        member = member_of(response.item)
        if member in self._answered:
            return
        self._answered.add(member)
        join_set = self.get(response.join_set)
        if join_set is None:
            self._waiting.setdefault(response.join_set, []).append(response)
        else:
            join_set.delivered.append(response)

    def repeat(self, item: HistoryItem) -> tuple[str, int]:
        """Do to a join set what a recorded request did, but for taking responses: give the set, and how many it takes.

        It takes none of those that are not there, which is the caller's to find out.
        """
        match item:
            case JoinSetCreate(join_set=name):
                self.create(name)
            case JoinSetRequest(join_set=name, request=ChildRequest() as child):
                self[name].members[child.execution_id] = child.ffqn
            case JoinSetRequest(join_set=name, request=DelayRequest() as delay):
                self[name].members[delay.delay_id] = None
            case JoinNext(join_set=name, closing=True):
                return name, len(self[name].members) - self[name].taken
            case JoinNext(join_set=name) | JoinNextTry(join_set=name, found="found"):
                return name, 1
            case _:
                return "", 0
        return name, 0

    def forget(self, name: str) -> None:
        """Drop a join set that nobody asks for any more, and what its members gave."""
        for member in self.pop(name).members:
            self._answered.discard(member)
            self.results.pop(ExecutionId(member), None)

    def take(self, join_set: JoinSet) -> Response:
        """Take the next response and keep a child's result for later questions."""
        response = join_set.delivered[join_set.taken]
        join_set.taken += 1
        item = join_set.last = response.item
        if isinstance(item, ChildFinished):
            ffqn = join_set.members[item.execution_id]
            assert ffqn is not None
            self.results[item.execution_id] = (ffqn, item.outcome)
        return response


def member_of(item: ResponseItem) -> Member:
    """Give who answered."""
    return item.execution_id if isinstance(item, ChildFinished) else item.delay_id


def name_problem(name: str) -> str | None:
    """Say what is wrong with a name for a join set; None for a good one."""
    if not name or len(name) > _LONGEST_NAME or not set(name) <= _NAME:
        return f"{name[:80]!r} is no name: 1 to {_LONGEST_NAME} ASCII letters, digits, - and _ are"
    return None
