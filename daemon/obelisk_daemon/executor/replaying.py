"""Replaying a stored log on some code, without writing anything: would it go on from there?

The guest runs against the record as in a run after a restart, and is stopped where the record ends. What it would ask
for then is only told.
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final, Literal, NoReturn, TypeAlias, TypeVar

import msgspec

from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.divergence import NondeterminismError, describe
from obelisk_daemon.execution.events import Finished, HistoryEvent, HistoryItem, JoinNext, ResponseItem, Schedule
from obelisk_daemon.execution.joinsets import JoinSet
from obelisk_daemon.execution.journal import Journal
from obelisk_daemon.execution.outcome import Failed, FailureKind, Outcome, Returned
from obelisk_daemon.execution.saved_log import SavedLog
from obelisk_daemon.execution.wit_json import same, to_json
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.execution.written import written
from obelisk_daemon.executor.workflow_guest import Program, Stopped, call_workflow, close_open_sets, ending_of
from obelisk_daemon.ids import ExecutionId, FailureId
from obelisk_daemon.wasm.host.context import LogLevel, StubOutcome

VerdictKind: TypeAlias = Literal["finished_equal", "blocked", "reaches_end", "would_finish", "diverges"]
T = TypeVar("T", bound=HistoryItem)

LONGEST: Final = timedelta(seconds=60)
"""What one replay may take. Fuel bounds it as well, but fifty thousand million instructions take minutes."""
_SHOWN: Final = 300
_DECIDED_OUTSIDE: Final[frozenset[FailureKind]] = frozenset(
    ("timed_out", "out_of_fuel", "out_of_memory", "limit_exceeded", "nondeterminism", "cancelled", "uncategorized")
)
"""Ends that say nothing of what the guest would have done next: it was stopped, by a limit or by somebody."""


class Verdict(msgspec.Struct, frozen=True):
    """What a replay found. `version` is where: of the event that differs, or of the next one.

    `outcome` is how the guest ended, in JSON, where it did.
    """

    kind: VerdictKind
    version: int
    expected: str = ""
    got: str = ""
    outcome: dict[str, object] | None = None

    @property
    def passed(self) -> bool:
        """Tell if the code goes on with the log."""
        return self.kind != "diverges"

    @property
    def summary(self) -> str:
        """Say it in a sentence."""
        match self.kind:
            case "finished_equal":
                return f"finished equal: {_shown(self.outcome)}"
            case "blocked":
                return f"blocked at the same place: {self.got}"
            case "reaches_end":
                return f"reaches the end of the log at version {self.version}, and would go on with {self.got}"
            case "would_finish":
                return f"reaches the end of the log at version {self.version}, and would finish: {_shown(self.outcome)}"
            case "diverges":
                return f"diverges at version {self.version}: expected {self.expected}, got {self.got}"


async def replay(
    program: Program, saved: SavedLog, functions: Mapping[str, FunctionType], longest: timedelta = LONGEST
) -> Verdict:
    """Replay a log; `functions` are those that a call by JSON finds.

    Raises:
        CallerError: `replay_too_long`; `invalid_log`: a response is missing that the log goes on after.
        HostExhaustedError: this machine has no room for the guest now.
    """
    try:
        async with asyncio.timeout(longest.total_seconds()):
            return await _Replay(program, saved, functions).run()
    except TimeoutError:
        seconds = longest.total_seconds()
        message = f"the replay took longer than {seconds:g} s: the component computes too much, or the log is too long"
        raise CallerError("replay_too_long", message) from None


class _EndOfLog(Exception):  # noqa: N818 - where a replay is meant to come to
    """The guest wants more than the log has. `is_waiting`: a response, after all that the log has it ask for."""

    def __init__(self, wanted: str, *, is_waiting: bool = False) -> None:
        super().__init__(wanted)
        self.wanted = wanted
        self.is_waiting = is_waiting


class _RecordedJournal(Journal):
    """A journal that ends with its record."""

    def _ask_live(self, item: T) -> T:
        raise _EndOfLog(describe(item))


class _Replay:
    """One replay. It is the `WorkflowHost` of its guest."""

    def __init__(self, program: Program, saved: SavedLog, functions: Mapping[str, FunctionType]) -> None:
        self._program = program
        self._saved = saved
        self._functions = functions
        self._last = saved.entries[-1]
        self._ended: Returned | Stopped | None = None
        now = self._last.created_at
        self.journal: Journal = _RecordedJournal(
            saved.execution_id, written(saved.entries, saved.responses), lambda: now
        )
        self.dropped: list[str] = []

    async def run(self) -> Verdict:
        journal = self.journal
        try:
            self._ended = ended = await call_workflow(self._program, self._saved.created, self, _Silence())
            if not _is_closing(journal.next_recorded):
                journal.end(ending_of(ended))
            await close_open_sets(journal, _closing_outcome(ended), self._settle)
            journal.end(ending_of(ended))
        except NondeterminismError as diverged:
            return Verdict("diverges", diverged.version, diverged.expected, diverged.got)
        except _EndOfLog as end:
            return self._at_the_end(end)
        return self._judge_end(ended)

    def _at_the_end(self, end: _EndOfLog) -> Verdict:
        """Judge a guest that wants more than the log has."""
        version = self._last.version
        if self._ended is not None:
            verdict = self._judge_end(self._ended)
            waits = end.is_waiting and verdict.passed
            return msgspec.structs.replace(verdict, kind="blocked", got=end.wanted) if waits else verdict
        if isinstance(self._last.event, Finished) and not _is_decided_outside(self._last.event.outcome):
            return Verdict("diverges", version, _finish(self._last.event.outcome), end.wanted)
        return Verdict("blocked" if end.is_waiting else "reaches_end", version + 1, got=end.wanted)

    def _judge_end(self, ended: Returned | Stopped) -> Verdict:
        """Judge a guest that has ended and had asked for all that the log has."""
        outcome = _json(ended)
        for version, recorded in _recorded_ends(self._saved):
            if _agree(recorded, ended):
                continue
            if not _is_decided_outside(recorded):
                return Verdict("diverges", version, _finish(recorded), f"the end with {_shown(outcome)}", outcome)
            return Verdict("would_finish", self._last.version + 1, outcome=outcome)
        if isinstance(self._last.event, Finished):
            return Verdict("finished_equal", self._last.version, outcome=outcome)
        return Verdict("would_finish", self._last.version + 1, outcome=outcome)

    def function_type(self, ffqn: str) -> FunctionType | None:
        """Look up a function that a call by JSON names."""
        return self._functions.get(ffqn)

    async def wait(self, join_set: str) -> ResponseItem:
        """Find that the log has no response for this."""
        self._out_of_responses(f"waits for a response in join set {join_set}")

    async def flush(self) -> None:
        """Find that the guest is past the record: nothing is committed before."""
        raise _EndOfLog("a result for a stub, or an execution under an id that it was given")

    async def close(self, join_set: str) -> None:
        """Close a join set."""
        if not self.journal.sets[join_set].is_closed:
            await self._settle(self.journal.begin_close(join_set))

    async def is_taken(self, event: Schedule) -> bool:
        """Never come here: a commit is wanted first."""
        raise AssertionError(f"{event.execution_id} was asked for beyond the log")

    async def find_stub(self, execution_id: ExecutionId) -> str | None:
        """Never come here: a commit is wanted first."""
        raise AssertionError(f"{execution_id} was asked for beyond the log")

    async def finish_stub(self, execution_id: ExecutionId, ffqn: str, result: dict[str, object]) -> StubOutcome:
        """Never come here: a commit is wanted first."""
        raise AssertionError(f"{execution_id} was given {result} by {ffqn} beyond the log")

    async def _settle(self, closed: JoinSet) -> None:
        if not closed.all_delivered:
            self._out_of_responses(f"waits for what is left in the closed join set {closed.name}")
        self.journal.end_close(closed.name)

    def _out_of_responses(self, wanted: str) -> NoReturn:
        if self.journal.is_replaying:
            raise CallerError("invalid_log", f"the log goes on, but the guest {wanted}: the responses are incomplete")
        raise _EndOfLog(wanted, is_waiting=True)


class _Silence:
    """Takes what a guest prints and logs: it was stored when it ran."""

    def line(self, level: LogLevel, message: str) -> None:
        """Drop a line."""

    def output(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        """Drop a print."""


def _is_closing(item: HistoryItem | None) -> bool:
    return isinstance(item, JoinNext) and item.closing


def _recorded_ends(saved: SavedLog) -> Iterator[tuple[int, Outcome]]:
    """Give how the function had ended, and where that is: where its join sets begin to close, and at the end."""
    for entry in saved.entries:
        match entry.event:
            case HistoryEvent(event=JoinNext(outcome=outcome)) if outcome is not None:
                yield entry.version, outcome
            case Finished(outcome=outcome):
                yield entry.version, outcome


def _closing_outcome(ended: Returned | Stopped) -> Outcome:
    if isinstance(ended, Returned):
        return ended
    return Failed(ended.kind, FailureId("Err_of_a_replay"), ended.message)


def _is_decided_outside(outcome: Outcome) -> bool:
    return isinstance(outcome, Failed) and outcome.kind in _DECIDED_OUTSIDE


def _agree(recorded: Outcome, ended: Returned | Stopped) -> bool:
    match recorded, ended:
        case Returned(), Returned():
            return same(recorded.value, ended.value)
        case Failed(), Stopped():
            return recorded.kind == ended.kind
        case _:
            return False


def _finish(outcome: Outcome) -> str:
    told = outcome.value if isinstance(outcome, Returned) else {"execution_failure": outcome.kind}
    return f"the end with {_shown(to_json(told))}"


def _json(ended: Returned | Stopped) -> dict[str, object]:
    if isinstance(ended, Returned):
        value: dict[str, object] = to_json(ended.value)
        return value
    failure = {"kind": ended.kind, "reason": ended.message}
    return {"execution_failure": failure | ({"backtrace": ended.backtrace} if ended.backtrace else {})}


def _shown(outcome: object) -> str:
    text = msgspec.json.encode(outcome).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
