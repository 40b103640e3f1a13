"""Builders of what tests of the engine need: events, logs, executions, appends."""

import random
from collections.abc import Sequence

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import (
    ChildRequest,
    Created,
    DelayRequest,
    Entry,
    Event,
    GuestTerms,
    HistoryEvent,
    HistoryItem,
    JoinNext,
    JoinSetCreate,
    JoinSetRequest,
    Locked,
    RetryPolicy,
)
from obelisk_daemon.execution.outcome import Failed, FailureKind, FailureRecord, Outcome, Returned
from obelisk_daemon.execution.state import State, apply, block, fold, unload
from obelisk_daemon.ids import DelayId, ExecutionId, ExecutorId, FailureId, IdSource, RunId, child_id, delay_id
from obelisk_daemon.storage.records import Append, Awaits, Held, NewExecution
from tests.fakes.clock import START, ManualClock

DIGEST = "sha256:" + "ab" * 32
OTHER_DIGEST = "sha256:" + "cd" * 32
THIRD_DIGEST = "sha256:" + "ef" * 32
ACTIVITY = "testing:fibo/fibo.fibo"
WORKFLOW = "testing:fibo/workflow.fiboa"
EXECUTOR = ExecutorId("Exr_00000000000000000000000001")
OTHER_EXECUTOR = ExecutorId("Exr_00000000000000000000000002")
TERMS = GuestTerms({}, 64 << 20, 1_000_000)
POLICY = RetryPolicy(
    max_retries=5, initial=0.1, factor=2.0, max=60.0, jitter=0.1, retry_on=("error", "trap", "timeout")
)
OK = Returned({"ok": 55})
SECOND = 1_000_000
NEVER = Instant(1 << 62)
"""When a lease ends that no test is about."""


def id_source(clock: ManualClock, seed: int = 1) -> IdSource:
    """Make ids that are the same in every run of a test."""
    return IdSource(lambda: clock.now() // 1_000, random.Random(seed).getrandbits)


def execution_id(number: int = 1) -> ExecutionId:
    return ExecutionId(f"E_{number:026d}")


def run_id(number: int = 1) -> RunId:
    return RunId(f"Run_{number:026d}")


def created(
    ffqn: str = ACTIVITY, *, params: Sequence[object] = (10,), due_at: int = START, **changes: object
) -> Created:
    """Make the first event of an execution; a workflow's has terms."""
    terms = TERMS if ffqn == WORKFLOW else None
    event = Created(ffqn, list(params), "fibo", DIGEST, Instant(due_at), seed=7, terms=terms)
    return msgspec.structs.replace(event, **changes)


def locked(
    run: int = 1,
    attempt: int = 1,
    executor: ExecutorId = EXECUTOR,
    *,
    digest: str = DIGEST,
    policy: RetryPolicy = POLICY,
) -> Locked:
    """Make the lock of a run that may take 30 s."""
    return Locked(executor, run_id(run), attempt, digest, 1, 30 * SECOND, policy)


def log(*events: Event, start: int = START, step: int = 1_000) -> list[Entry]:
    """Put events in a log, each `step` microseconds after the one before."""
    return [Entry(version, Instant(start + version * step), event) for version, event in enumerate(events)]


def new_execution(
    event: Created, number: int = 1, *, child: ExecutionId | None = None, at: int = START
) -> NewExecution:
    """Make an execution that waits to be locked."""
    entries = (Entry(0, Instant(at), event),)
    spare = FailureId(f"Err_{number:026d}")
    return NewExecution(child or execution_id(number), entries, fold(entries), spare_failure=spare)


def failure(number: int = 1, kind: FailureKind = "trap", message: str = "unreachable") -> FailureRecord:
    return FailureRecord(FailureId(f"Err_{number:026d}"), kind, message, "at wasm 0x1")


def failed(number: int = 1, kind: FailureKind = "trap", message: str = "unreachable") -> Failed:
    return Failed(kind, FailureId(f"Err_{number:026d}"), message)


def history(*items: HistoryItem) -> list[Event]:
    return [HistoryEvent(item) for item in items]


def call_items(parent: ExecutionId, number: int, params: Sequence[object] = (10,)) -> list[HistoryItem]:
    """Give what a workflow asks for its `number`-th one-off, a call of the activity."""
    join_set = f"o:{number}"
    request = ChildRequest(child_id(parent, join_set, 1), ACTIVITY, list(params))
    return [JoinSetCreate(join_set), JoinSetRequest(join_set, request), JoinNext(join_set)]


def delay_items(parent: ExecutionId, number: int, due_at: int) -> list[HistoryItem]:
    """Give what a workflow asks for its `number`-th one-off, a sleep."""
    join_set = f"o:{number}"
    request = DelayRequest(delay_id(parent, join_set, 1), ("at", due_at), Instant(due_at))
    return [JoinSetCreate(join_set), JoinSetRequest(join_set, request), JoinNext(join_set)]


def one_delay(parent: ExecutionId, number: int) -> DelayId:
    return delay_id(parent, f"o:{number}", 1)


def held_by(run: "RunScript") -> Held:
    """Give what a run holds, as the run itself knows it."""
    lock = msgspec.structs.replace(locked(), run_id=run.run_id)
    return Held(run.execution_id, lock, created(), START, run.state)


class RunScript:
    """Builds the appends of one run, as the executor's runs do."""

    def __init__(self, held: Held) -> None:
        self.execution_id = held.execution_id
        self.run_id = held.run_id
        self.state: State = held.state

    def append(self, at: int, *events: Event, **details: object) -> Append:
        """Add events to the log and the state, with any other fields of `Append`."""
        entries = []
        for event in events:
            entry = Entry(self.state.version, Instant(max(at, self.state.changed_at)), event)
            self.state = apply(self.state, entry)
            entries.append(entry)
        return Append(self.execution_id, self.run_id, tuple(entries), self.state, **details)  # type: ignore[arg-type]

    def call(self, at: int, number: int, *, keep: bool, **details: object) -> Append:
        """Ask for a child and wait for it; the child is pending."""
        join_set = f"o:{number}"
        child = created(parent=(self.execution_id, join_set), due_at=at)
        new = new_execution(child, child=child_id(self.execution_id, join_set, 1), at=at)
        made = self.append(at, *history(*call_items(self.execution_id, number)), children=(new,), **details)
        return self._blocked(made, join_set, keep=keep)

    def sleep(self, at: int, number: int, due_at: int, *, keep: bool = True) -> Append:
        """Ask for a delay and wait for it."""
        items = delay_items(self.execution_id, number, due_at)
        request = items[1]
        assert isinstance(request, JoinSetRequest)
        made = self.append(at, *history(*items), delays=((f"o:{number}", request.request),))
        return self._blocked(made, f"o:{number}", keep=keep)

    def block_again(self, number: int, consumed: int = 0, *, keep: bool) -> Append:
        """Wait where a replay came to the end of its log."""
        awaits = Awaits(f"o:{number}", consumed + 1, is_new=False)
        made = Append(self.execution_id, self.run_id, (), self.state, awaits=awaits)
        return self._blocked(made, f"o:{number}", keep=keep)

    def _blocked(self, made: Append, join_set: str, *, keep: bool) -> Append:
        self.state = block(self.state, join_set)
        awaits = made.awaits or Awaits(join_set, 1, is_new=True)
        return msgspec.structs.replace(made, state=self.state if keep else unload(self.state), awaits=awaits)


def outcome_of(value: Outcome | None) -> object:
    """Give an outcome without its failure id."""
    return (value.kind, value.reason) if isinstance(value, Failed) else value and value.value
