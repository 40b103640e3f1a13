"""The memory of a workflow: what it asked the host, in order, and what was delivered.

A replay runs the guest again from the start and answers it from here. Each request makes a deterministic key that
must equal the next recorded one (DESIGN.md section 6, "Replay"); past the end of the record the workflow is live, and
what it asks is collected in `new` for the next append.
"""

import string
from collections.abc import Callable
from typing import Final, Literal, TypeVar

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.codec import encode
from obelisk_daemon.execution.divergence import NondeterminismError, same_key
from obelisk_daemon.execution.events import (
    ChildRequest,
    DelayRequest,
    HistoryEvent,
    HistoryItem,
    Intent,
    JoinNext,
    JoinNextTooMany,
    JoinNextTry,
    JoinSetCreate,
    JoinSetRequest,
    JsonCallError,
    Persist,
    RefusedRequest,
    Response,
    ResponseItem,
    Schedule,
    Stub,
)
from obelisk_daemon.execution.joinsets import JoinSet, JoinSets, name_problem
from obelisk_daemon.execution.outcome import Outcome
from obelisk_daemon.execution.seeds import SeededBytes
from obelisk_daemon.execution.written import WrittenLog, asked_in, item_of
from obelisk_daemon.ids import DelayId, ExecutionId, child_id, delay_id, encode_ulid

_LATEST: Final = Instant(253_402_300_799_999_999)
"""The end of the year 9999, the last instant that can be written as a date."""
_ALPHANUMERIC: Final = string.ascii_letters + string.digits
T = TypeVar("T", bound=HistoryItem)


class MisuseError(Exception):
    """The guest called a host function with arguments that have no meaning: it traps."""


class HistoryLimitError(Exception):
    """The workflow asked more of the host than its `max_history_events` allow: it fails."""


class Journal:
    """The record of one workflow and a cursor over it. `now` reads the clock, for live requests only."""

    def __init__(
        self,
        execution_id: ExecutionId,
        log: WrittenLog,
        now: Callable[[], Instant],
        max_events: int = 1 << 62,
    ) -> None:
        self.execution_id = execution_id
        self.now: Instant = log.events[0][1]
        """The time the guest may know: the latest of what it has consumed, equal live and in replay."""
        self.new: list[tuple[Instant, HistoryItem]] = []
        """Live requests that no append has taken yet."""
        self.sets = JoinSets()
        self.last_direct_call: ExecutionId | None = None
        self.last_one_off: ExecutionId | DelayId | None = None
        self._one_off = ""
        """The newest one-off join set."""
        self._unused_ids: set[ExecutionId] = set()
        self.warn: Callable[[str], None] = lambda _: None
        """Where it is told, once, that half of `max_events` are used up."""
        self._clock = now
        self.max_events = max_events
        self._record = asked_in(log.events)
        self._cursor = self._live = 0
        self._random = SeededBytes(log.created.seed, "host")
        self.sets.expect(log.responses)

    @property
    def is_replaying(self) -> bool:
        """Tell if the guest is still being answered from the record."""
        return self._cursor < len(self._record)

    @property
    def asked(self) -> int:
        """Count what the guest has asked so far: it grows as long as the guest gets on."""
        return self._cursor + self._live

    @property
    def recorded_outcome(self) -> Outcome | None:
        """How the function had ended when it began to close its join sets: the guest must not run again."""
        for _, _, body in reversed(self._record):
            item = item_of(body)
            if isinstance(item, JoinNext) and item.outcome is not None:
                return item.outcome
            if not isinstance(item, JoinNext) or not item.closing:
                return None
        return None

    def create_set(self, kind: Literal["o", "g"], label: str | None = None) -> str:
        """Open a one-off or generated join set.

        Raises:
            MisuseError: the label is no name.
        """
        if label is not None and (problem := name_problem(label)):
            raise MisuseError(problem)
        name = self._create(self.sets.next_name(kind, label))
        if kind == "o":
            self.sets.leave(self._one_off)  # the guest has what it waited for there
            self._one_off = name
        return name

    def create_named_set(self, name: str) -> str | None:
        """Open a join set with a name of the workflow's own; None when there is one with that name already."""
        return None if f"n:{name}" in self.sets else self._create(f"n:{name}")

    def call(self, ffqn: str, params: list[object], join_set: str | None = None) -> str:
        """Ask for a child execution and its result; give the join set to `take` the response from.

        The join set is a new one, unless the caller has made it already.
        """
        join_set = join_set or self.create_set("o")
        self.last_direct_call = self.last_one_off = self.submit(join_set, ffqn, params)
        self._ask(JoinNext(join_set))
        return join_set

    def sleep(self, intent: Intent, label: str | None) -> tuple[str, Instant]:
        """Ask for a durable timer and its end; give the join set, and when it is due."""
        join_set = self.create_set("o", label)
        request = self._submit_delay(join_set, intent)
        self.last_one_off = request.delay_id
        self._ask(JoinNext(join_set))
        return join_set, request.due_at

    def submit(self, join_set: str, ffqn: str, params: list[object]) -> ExecutionId:
        """Ask for a child execution in a join set.

        Raises:
            MisuseError: the join set is closed.
        """
        opened = self._opened(join_set)
        execution_id = child_id(self.execution_id, join_set, len(opened.members) + 1)
        self._ask(JoinSetRequest(join_set, ChildRequest(execution_id, ffqn, params)))
        opened.members[execution_id] = ffqn
        return execution_id

    def refuse(self, join_set: str, ffqn: str, params: str, error: JsonCallError) -> JsonCallError:
        """Record that a child could not be made, since the reason may be gone when the workflow is replayed."""
        self._opened(join_set)
        asked = self._ask(JoinSetRequest(join_set, RefusedRequest(ffqn, params, error)))
        assert isinstance(asked.request, RefusedRequest)
        return asked.request.error

    def refused_next(self, ffqn: str, params: str) -> JsonCallError | None:
        """Give why this request was refused, if the record says that it was: by now it might not be."""
        item = self.next_recorded
        if isinstance(item, JoinSetRequest) and isinstance(item.request, RefusedRequest):
            request = item.request
            return request.error if (request.ffqn, request.params) == (ffqn, params) else None
        if isinstance(item, Schedule) and (item.ffqn, item.params) == (ffqn, params):
            return item.error
        return None

    @property
    def next_recorded(self) -> HistoryItem | None:
        """Give what the guest must ask next; None when it is live."""
        return item_of(self._record[self._cursor][2]) if self.is_replaying else None

    def submit_delay(self, join_set: str, intent: Intent) -> DelayId:
        """Ask for a durable timer in a join set.

        Raises:
            MisuseError: the join set is closed.
        """
        return self._submit_delay(join_set, intent).delay_id

    def ask_next(self, join_set: str, function: str | None = None) -> bool:
        """Ask for the next response; False when all have been taken, else it can be taken or waited for.

        Raises:
            MisuseError: the join set is closed.
        """
        if self._opened(join_set).all_taken:
            self._ask(JoinNextTooMany(join_set, function))
            return False
        self._ask(JoinNext(join_set, function))
        return True

    def try_next(self, join_set: str) -> Literal["found", "pending", "all_processed"]:
        """Ask for the next response if it is there; when found it can be taken.

        Raises:
            MisuseError: the join set is closed.
        """
        opened = self._opened(join_set)
        live: Literal["found", "pending", "all_processed"] = "found" if opened.has_next else "pending"
        return self._ask(JoinNextTry(join_set, "all_processed" if opened.all_taken else live)).found

    def take(self, join_set: str) -> ResponseItem | None:
        """Consume the next response of a join set; None while there is none."""
        opened = self.sets[join_set]
        if opened.taken == len(opened.delivered):
            return None
        response = self.sets.take(opened)
        if response.created_at > self.now:
            self.now = response.created_at
        return response.item

    def begin_close(self, join_set: str, outcome: Outcome | None = None) -> JoinSet:
        """Close a join set: ask for all that it still owes, if it owes any."""
        closed = self.sets[join_set]
        closed.is_closed = True
        if not closed.all_taken:
            self._ask(JoinNext(join_set, closing=True, outcome=outcome))
        return closed

    def end_close(self, join_set: str) -> None:
        """Take all that is left in a closed join set, once every member has answered."""
        while self.take(join_set) is not None:
            pass

    def schedule(self, event: Schedule) -> Schedule:
        """Ask for a top-level execution; give the recorded request, with the time it is due."""
        self._unused_ids.discard(event.execution_id)
        return self._ask(event)

    def stub(self, event: Stub) -> Stub:
        """Record what a stub's execution was given, and what came of it."""
        return self._ask(event)

    def random_u64(self, low: int, high_exclusive: int) -> int:
        """Draw an integer, recorded.

        Raises:
            MisuseError: the range is empty.
        """
        if low >= high_exclusive:
            raise MisuseError(f"random-u64: the range from {low} to {high_exclusive} (exclusive) is empty")
        drawn = low + self._random.below(high_exclusive - low)
        value = self._ask(Persist("random_u64", (low, high_exclusive - 1), drawn)).value
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
        return str(self._ask(Persist("random_string", (shortest, longest_exclusive - 1), drawn)).value)

    def new_execution_id(self) -> ExecutionId:
        """Make the id of a top-level execution, recorded; its time is the one the guest knows."""
        randomness = int.from_bytes(self._random.take(10))
        drawn = f"E_{encode_ulid(self.now // 1_000, randomness)}"
        made = ExecutionId(str(self._ask(Persist("execution_id", (0, 0), drawn)).value))
        self._unused_ids.add(made)
        return made

    def is_unused(self, execution_id: ExecutionId) -> bool:
        """Tell if the host made an id for this workflow, which has asked for no execution of that id yet."""
        return execution_id in self._unused_ids

    @property
    def heard(self) -> int:
        """Give up to which `seq` all responses were delivered."""
        return self.sets.heard

    def deliver(self, response: Response) -> None:
        """Add a response; the same one twice counts once."""
        self.sets.deliver(response)

    def end(self, how: str = "the end of the function") -> None:
        """Say that the guest asks for nothing more, and why.

        Raises:
            NondeterminismError: the record goes on with something else than the closing of join sets.
        """
        if self.is_replaying:
            version, _, body = self._record[self._cursor]
            raise NondeterminismError(version, item_of(body), how)

    def skip_guest(self) -> None:
        """Take the rest of the record as asked, up to where the function had ended, without a guest to ask it."""
        while (item := self.next_recorded) is not None and not (
            isinstance(item, JoinNext) and item.outcome is not None
        ):
            self._repeat(item)

    def _repeat(self, item: HistoryItem) -> None:
        """Ask what the record says, for its effect on the join sets."""
        self._ask(item)
        name, takes = self.sets.repeat(item)
        for _ in range(takes):
            self.take(name)
        if isinstance(item, JoinNext) and item.closing:
            closed = self.sets[name]
            closed.is_closed = closed.all_delivered  # else it is to be closed again, by whoever goes on from here

    def _create(self, name: str) -> str:
        self._ask(JoinSetCreate(name))
        self.sets.create(name)
        return name

    def _opened(self, join_set: str) -> JoinSet:
        opened = self.sets[join_set]
        if opened.is_closed:
            raise MisuseError(f"the join set {join_set} is closed")
        return opened

    def _submit_delay(self, join_set: str, intent: Intent) -> DelayRequest:
        opened = self._opened(join_set)
        name = delay_id(self.execution_id, join_set, opened.next_number)
        asked = self._ask(JoinSetRequest(join_set, DelayRequest(name, intent, _LATEST)))
        assert isinstance(asked.request, DelayRequest)
        opened.members[name] = None
        return asked.request

    def _ask(self, item: T) -> T:
        if not self.is_replaying:
            return self._ask_live(item)
        version, at, body = self._record[self._cursor]
        if encode(HistoryEvent(item)) != body:
            item = _same_in_key(version, item_of(body), item)
        self._cursor += 1
        if self._cursor == len(self._record):
            self._record = []  # a workflow in memory needs no more of it
        if at > self.now:
            self.now = at
        return item

    def _ask_live(self, item: T) -> T:
        closes = isinstance(item, JoinNext) and item.closing
        if self.asked >= self.max_events and not closes:
            raise HistoryLimitError(f"more than {self.max_events} history events (max_history_events)")
        if self.asked + 1 == self.max_events // 2:
            half, limit = self.asked + 1, self.max_events
            self.warn(f"{half} history events: half of max_history_events ({limit}), at which this execution fails")
        at = self.now = max(self.now, self._clock())
        asked = _with_outcome(item, at)
        self.new.append((at, asked))
        self._live += 1
        return asked


def _same_in_key(version: int, recorded: HistoryItem, asked: T) -> T:
    """Give what was recorded, if it is what is asked for, whatever came of it.

    Raises:
        NondeterminismError: it is something else.
    """
    if not same_key(recorded, asked):
        raise NondeterminismError(version, recorded, asked)
    return recorded  # type: ignore[return-value] # equal keys are of one type


def _with_outcome(item: T, at: Instant) -> T:
    """Fix when something asked for live is due."""
    match item:
        case JoinSetRequest(request=DelayRequest() as delay):
            request = msgspec.structs.replace(delay, due_at=due(delay.intent, at))
            return msgspec.structs.replace(item, request=request)
        case Schedule(intent=intent):
            return msgspec.structs.replace(item, due_at=due(intent, at))
        case _:
            return item


def due(intent: Intent, at: Instant) -> Instant:
    """Give the instant that was meant, asked for at `at`."""
    kind, amount = intent
    return Instant(min({"now": at, "at": amount, "in": at + amount}[kind], _LATEST))
