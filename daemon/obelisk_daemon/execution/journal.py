"""The memory of a workflow: what it asked the host, in order, and what was delivered.

A replay runs the guest again from the start and answers it from here. Each request makes a deterministic key that
must equal the next recorded one (DESIGN.md section 6, "Replay"); past the end of the record the workflow is live, and
what it asks is collected in `new` for the next append.
"""

import string
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    Created,
    DelayRequest,
    Entry,
    HistoryEvent,
    HistoryItem,
    JoinNext,
    JoinSetCreate,
    JoinSetRequest,
    Persist,
    Response,
    ResponseItem,
)
from obelisk_daemon.execution.seeds import SeededBytes
from obelisk_daemon.ids import ExecutionId, child_id, delay_id

_LATEST: Final = Instant(253_402_300_799_999_999)
"""The end of the year 9999, the last instant that can be written as a date."""
_NAME: Final = frozenset(string.ascii_letters + string.digits + "-_")
_ALPHANUMERIC: Final = string.ascii_letters + string.digits


class NondeterminismError(Exception):
    """The workflow asked for something else than its log says. `version` is where the two part."""

    def __init__(self, version: int, expected: HistoryItem, got: HistoryItem | str) -> None:
        found = got if isinstance(got, str) else _describe(got)
        super().__init__(f"at version {version}: expected {_describe(expected)}, got {found}")
        self.version = version
        self.expected = expected
        self.got = got


class MisuseError(Exception):
    """The guest called a host function with arguments that have no meaning: it traps."""


class Journal:
    """The record of one workflow and a cursor over it. `now` reads the clock, for live requests only."""

    def __init__(
        self, execution_id: ExecutionId, log: Sequence[Entry], responses: Sequence[Response], now: Callable[[], Instant]
    ) -> None:
        created = log[0].event
        assert isinstance(created, Created)
        self.execution_id = execution_id
        self.now: Instant = log[0].created_at
        """The time the guest may know: the latest of what it has consumed, equal live and in replay."""
        self.new: list[tuple[Instant, HistoryItem]] = []
        """Live requests that no append has taken yet."""
        self._clock = now
        self._record = [(e.version, e.created_at, e.event.event) for e in log if isinstance(e.event, HistoryEvent)]
        self._cursor = self._live = 0
        self._one_offs = 0
        self._random = SeededBytes(created.seed, "host")
        self._delivered: dict[str, list[Response]] = {}
        self._members: set[str] = set()
        self._consumed: dict[str, int] = {}
        for response in responses:
            self.deliver(response)

    @property
    def is_replaying(self) -> bool:
        """Tell if the guest is still being answered from the record."""
        return self._cursor < len(self._record)

    @property
    def asked(self) -> int:
        """Count what the guest has asked so far: it grows as long as the guest gets on."""
        return self._cursor + self._live

    def consumed(self, join_set: str) -> int:
        """Count the responses taken from a join set."""
        return self._consumed.get(join_set, 0)

    def call(self, ffqn: str, params: list[object]) -> str:
        """Ask for a child execution and its result; give the join set to `take` the response from."""
        join_set = self._open_one_off()
        self._ask(JoinSetRequest(join_set, ChildRequest(child_id(self.execution_id, join_set, 1), ffqn, params)))
        self._ask(JoinNext(join_set))
        return join_set

    def sleep(self, intent: tuple[str, int], name: str | None) -> tuple[str, Instant]:
        """Ask for a durable timer; give the join set and when it is due.

        `intent` is `("now", 0)`, `("at", microseconds since the epoch)` or `("in", microseconds)`.
        """
        join_set = self._open_one_off(name)
        request = DelayRequest(delay_id(self.execution_id, join_set, 1), intent, _LATEST)  # type: ignore[arg-type]
        asked = self._ask(JoinSetRequest(join_set, request))
        self._ask(JoinNext(join_set))
        assert isinstance(asked, JoinSetRequest)
        assert isinstance(asked.request, DelayRequest)
        return join_set, asked.request.due_at

    def random_u64(self, low: int, high_exclusive: int) -> int:
        """Draw an integer, recorded.

        Raises:
            MisuseError: the range is empty.
        """
        if low >= high_exclusive:
            raise MisuseError(f"random-u64: the range from {low} to {high_exclusive} (exclusive) is empty")
        drawn = low + self._random.below(high_exclusive - low)
        value = self._persist("random_u64", (low, high_exclusive - 1), drawn)
        assert isinstance(value, int)
        return value

    def random_string(self, shortest: int, longest_exclusive: int) -> str:
        """Draw a string of ASCII letters and digits, recorded.

        Raises:
            MisuseError: the range of lengths is empty.
        """
        if shortest >= longest_exclusive:
            raise MisuseError(f"random-string: the range from {shortest} to {longest_exclusive} (exclusive) is empty")
        length = shortest + self._random.below(longest_exclusive - shortest)
        drawn = "".join(_ALPHANUMERIC[self._random.below(len(_ALPHANUMERIC))] for _ in range(length))
        value = self._persist("random_string", (shortest, longest_exclusive - 1), drawn)
        assert isinstance(value, str)
        return value

    def take(self, join_set: str) -> ResponseItem | None:
        """Consume the next response of a join set; None while there is none."""
        taken = self._consumed.get(join_set, 0)
        delivered = self._delivered.get(join_set, ())
        if taken == len(delivered):
            return None
        self._consumed[join_set] = taken + 1
        response = delivered[taken]
        self.now = max(self.now, response.created_at)
        return response.item

    def deliver(self, response: Response) -> None:
        """Add a response. The same one twice counts once: a parent may be told of it before the commit."""
        member = _member(response.item)
        if member not in self._members:
            self._members.add(member)
            self._delivered.setdefault(response.join_set, []).append(response)

    def end(self, how: str = "the end of the function") -> None:
        """Say that the guest asks for nothing more, and why.

        Raises:
            NondeterminismError: the record goes on.
        """
        if self.is_replaying:
            version, _, expected = self._record[self._cursor]
            raise NondeterminismError(version, expected, how)

    def _open_one_off(self, name: str | None = None) -> str:
        if name is not None and (not name or len(name) > 64 or not set(name) <= _NAME):
            raise MisuseError(f"{name[:80]!r} is no name: 1 to 64 ASCII letters, digits, - and _ are")
        self._one_offs += 1
        join_set = f"o:{self._one_offs}" if name is None else f"o:{self._one_offs}-{name}"
        self._ask(JoinSetCreate(join_set))
        return join_set

    def _persist(self, kind: str, args: tuple[int, int], drawn: int | str) -> int | str:
        asked = self._ask(Persist(kind, args, drawn))  # type: ignore[arg-type]
        assert isinstance(asked, Persist)
        return asked.value

    def _ask(self, item: HistoryItem) -> HistoryItem:
        if self._cursor == len(self._record):
            at = max(self.now, self._clock())
            self.now = at
            item = _with_outcome(item, at)
            self.new.append((at, item))
            self._live += 1
            return item
        version, at, recorded = self._record[self._cursor]
        if not _same_key(recorded, item):
            raise NondeterminismError(version, recorded, item)
        self._cursor += 1
        self.now = max(self.now, at)
        return recorded


def _with_outcome(item: HistoryItem, at: Instant) -> HistoryItem:
    """Fix when a delay asked for live is due."""
    if not isinstance(item, JoinSetRequest) or not isinstance(item.request, DelayRequest):
        return item
    kind, amount = item.request.intent
    due_at = Instant(min({"now": at, "at": amount, "in": at + amount}[kind], _LATEST))
    return JoinSetRequest(item.join_set, msgspec.structs.replace(item.request, due_at=due_at))


def _same_key(recorded: HistoryItem, asked: HistoryItem) -> bool:
    """Compare what was asked, not what came of it."""
    if isinstance(recorded, Persist) and isinstance(asked, Persist):
        return (recorded.kind, recorded.args) == (asked.kind, asked.args)
    if isinstance(recorded, JoinSetRequest) and isinstance(asked, JoinSetRequest):
        ours, theirs = recorded.request, asked.request
        if isinstance(ours, DelayRequest) and isinstance(theirs, DelayRequest):
            return (ours.delay_id, ours.intent) == (theirs.delay_id, theirs.intent)
    # as written, NaN equals itself, and 1, 1.0 and True, or 0.0 and -0.0, are not the same
    return codec.encode(recorded) == codec.encode(asked)


def _member(item: ResponseItem) -> str:
    return item.execution_id if isinstance(item, ChildFinished) else item.delay_id


def _describe(item: HistoryItem) -> str:
    match item:
        case JoinSetRequest():
            return f"{_describe_request(item.request)} in join set {item.join_set}"
        case JoinSetCreate(join_set=join_set):
            return f"a new join set {join_set}"
        case JoinNext(join_set=join_set):
            return f"join-next on {join_set}"
        case Persist(kind=kind, args=args):
            return f"{kind.replace('_', '-')} from {args[0]} to {args[1]}"


def _describe_request(request: ChildRequest | DelayRequest) -> str:
    if isinstance(request, ChildRequest):
        return f"a call of {request.ffqn} with {_short(request.params)}"
    return f"a delay {request.intent[0]} {request.intent[1]} us"


def _short(params: list[object]) -> str:
    text = repr(params)
    return text if len(text) <= 200 else text[:200] + "..."
