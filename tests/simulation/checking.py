"""What must hold when all is over: the invariants of DESIGN.md section 4, and results equal to the reference's."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import (
    CancellationRequested,
    ChildFinished,
    Created,
    DelayFinished,
    DelayRequest,
    Entry,
    Finished,
    HistoryEvent,
    JoinSetRequest,
    Locked,
    Response,
    TemporarilyFailed,
    TemporarilyTimedOut,
)
from obelisk_daemon.execution.joinsets import member_of
from obelisk_daemon.execution.outcome import Failed, Outcome, Returned
from obelisk_daemon.storage.sql import rows
from obelisk_daemon.storage.sql.checking import check_rows
from tests.simulation.components import CANARY, DIVERGING
from tests.simulation.database import Database
from tests.simulation.programs import APPROVE, DO, FIBO, FIBOA, RUN, TRY
from tests.simulation.reference import CutOffError, DiffersError, Reference, Told


class Execution(msgspec.Struct):
    """All that is stored of one execution."""

    execution_id: str
    digest: str
    entries: list[Entry]
    responses: list[Response]
    lines: list[str]

    @property
    def created(self) -> Created:
        """Give its first event."""
        first = self.entries[0].event
        assert isinstance(first, Created)
        return first

    @property
    def locks(self) -> int:
        """Count how often it was locked."""
        return sum(isinstance(entry.event, Locked) for entry in self.entries)

    @property
    def outcome(self) -> Outcome | None:
        """Give how it ended."""
        last = self.entries[-1].event
        return last.outcome if isinstance(last, Finished) else None

    @property
    def is_cancelled(self) -> bool:
        """Tell if it ended by a cancellation."""
        return isinstance(self.outcome, Failed) and self.outcome.kind == "cancelled"


def violations(database: Database, starts: Mapping[str, int], submitted: Iterable[str]) -> Iterator[str]:
    """Say what does not hold.

    `starts` counts the guests that were started and reach others, by execution; `submitted` has the acknowledged ids.
    """
    connection = database.connection(lambda: 0)  # type: ignore[arg-type, return-value]
    for damage in check_rows(connection, full=True).damage:
        yield f"{damage.table} {damage.subject}: {damage.message}"
    yield from _left_behind(database)
    if CANARY.encode() in database.raw.serialize():
        yield "a secret is in the database"
    known = _read(database)
    for execution_id in sorted(set(submitted) - known.keys()):
        yield f"{execution_id} was acknowledged, and is gone"
    for execution in known.values():
        yield from (f"{execution.execution_id}: {message}" for message in _wrong(execution, known))
        begun, locks = starts.get(execution.execution_id, 0), execution.locks
        if begun > locks:
            yield f"{execution.execution_id} was started {begun} times, and locked {locks} times"


def _left_behind(database: Database) -> Iterator[str]:
    of_all = "SELECT execution_id FROM execution WHERE"
    for sql, what in (
        (f"{of_all} executor_id IS NOT NULL OR run_id IS NOT NULL", "is still held"),
        (f"{of_all} lifecycle <> 'active'", "is still paused or being cancelled"),
        (f"{of_all} status <> 'finished'", "has not finished"),
        ("SELECT delay_id FROM delay", "is left, and nobody waits for it"),
    ):
        yield from (f"{row[0]} {what}" for row in database.raw.execute(sql))


def _read(database: Database) -> dict[str, Execution]:
    raw = database.raw
    known = {
        row["execution_id"]: Execution(row["execution_id"], row["digest"], [], [], [])
        for row in raw.execute("SELECT execution_id, digest FROM execution ORDER BY created_at, execution_id")
    }
    for row in raw.execute("SELECT * FROM event ORDER BY execution_id, version"):
        known[row["execution_id"]].entries.append(rows.entry_of(row))
    for row in raw.execute("SELECT * FROM response ORDER BY execution_id, seq"):
        known[row["execution_id"]].responses.append(rows.response_of(row))
    for row in raw.execute("SELECT execution_id, message FROM log_line WHERE level = 'info' ORDER BY position"):
        known[row["execution_id"]].lines.append(row["message"])
    return known


def _wrong(one: Execution, known: Mapping[str, Execution]) -> Iterator[str]:
    yield from _wrong_responses(one, known)
    yield from _wrong_attempts(one)
    if isinstance(one.outcome, Failed) and one.outcome.kind in ("evicted", "rejected"):
        if one.locks or one.created.parent is not None:
            yield f"it was begun, or is a child, and ended with {one.outcome}"
        return
    is_asked = any(isinstance(entry.event, CancellationRequested) for entry in one.entries)
    if one.is_cancelled and not is_asked:
        yield "it was cancelled, and nobody asked for it"
    match one.created.ffqn:
        case ffqn if ffqn == str(RUN):
            yield from _wrong_flow(one, known)
        case ffqn if ffqn in (str(DO), str(TRY)):
            yield from _wrong_activity(one)
        case ffqn if ffqn in (str(FIBO), str(FIBOA)):
            yield from _wrong_fibonacci(one)
        case ffqn if ffqn == str(APPROVE):
            if isinstance(one.outcome, Returned) and not isinstance(one.outcome.value["ok"], bool):
                yield f"a stub was given {one.outcome}"


def _wrong_responses(one: Execution, known: Mapping[str, Execution]) -> Iterator[str]:
    members = Counter(member_of(response.item) for response in one.responses)
    yield from (f"{member} has answered {times} times" for member, times in members.items() if times > 1)
    due = _delays(one)
    for response in one.responses:
        match response.item:
            case ChildFinished(execution_id=child, outcome=outcome):
                told = known[child]
                if told.created.parent != (one.execution_id, response.join_set):
                    yield f"{child} has answered, and is not a child of its join set {response.join_set}"
                if codec.encode(told.outcome) != codec.encode(outcome):
                    yield f"{child} ended with {told.outcome}, and told {outcome}"
            case DelayFinished(delay_id=delay, cancelled=False):
                if response.created_at < due[delay]:
                    yield f"{delay} came {due[delay] - response.created_at} us before its time"


def _delays(one: Execution) -> dict[str, int]:
    requests = (
        entry.event.event.request
        for entry in one.entries
        if isinstance(entry.event, HistoryEvent) and isinstance(entry.event.event, JoinSetRequest)
    )
    return {request.delay_id: request.due_at for request in requests if isinstance(request, DelayRequest)}


def _wrong_attempts(one: Execution) -> Iterator[str]:
    """Check that attempts are numbered without gaps, and are not more than the retries allow."""
    counted = 0
    for entry in one.entries:
        match entry.event:
            case Locked(attempt=attempt, retry=retry):
                if attempt != counted + 1:
                    yield f"attempt {attempt} follows {counted} that were counted"
                if one.created.terms is None and attempt > retry.max_retries + 1:
                    yield f"attempt {attempt} of {retry.max_retries} retries"
            case TemporarilyFailed() | TemporarilyTimedOut():
                counted += 1
            case HistoryEvent():
                counted = 0


def _wrong_flow(one: Execution, known: Mapping[str, Execution]) -> Iterator[str]:
    try:
        told = _told(one)
    except DiffersError as differs:
        yield str(differs)
        return
    except CutOffError:
        if not one.is_cancelled:
            yield f"its log ends before its program, and it ended with {one.outcome}"
        return
    if one.is_cancelled:
        return
    if told.outcome is None:
        if not (isinstance(one.outcome, Failed) and one.outcome.kind == "trap"):
            yield f"its program traps, and it ended with {one.outcome}"
    elif one.outcome != Returned(told.outcome):
        yield f"it ended with {one.outcome}, and should have with {told.outcome}"
    if told.lines != one.lines:
        yield f"it logged {one.lines}, and should have {told.lines}"
    yield from (f"{child}, which it scheduled, is not there" for child in told.scheduled if child not in known)


def _told(one: Execution) -> Told:
    """Give what its program makes of it, on the code it has; of one that was forced to other code, on any."""
    history = [entry.event.event for entry in one.entries if isinstance(entry.event, HistoryEvent)]
    (program,) = one.created.params
    digests = [entry.event.digest for entry in one.entries if isinstance(entry.event, Locked)]
    differs: DiffersError | None = None
    for is_diverging in sorted(
        {digest == DIVERGING for digest in [*digests, one.digest]}, key=lambda x: x != (one.digest == DIVERGING)
    ):
        try:
            return Reference(one.execution_id, history, one.responses).tell(
                json.loads(str(program)), is_diverging=is_diverging
            )
        except DiffersError as error:
            differs = differs or error
    assert differs is not None
    raise differs


def _wrong_activity(one: Execution) -> Iterator[str]:
    (spec,) = one.created.params
    good = {"ok": f"gave {json.loads(str(spec))['gives']}"}
    match one.outcome:
        case Returned(value=value) if value == good:
            return
        case Failed(kind="cancelled"):
            return
        case Returned(value={"err": _}) | Failed(kind="trap" | "timed_out") if one.created.ffqn == str(TRY):
            return
    yield f"it ended with {one.outcome}, and should have with {good}"


def _wrong_fibonacci(one: Execution) -> Iterator[str]:
    good = Returned({"ok": _fibonacci(int(str(one.created.params[0])))})
    match one.outcome:
        case Returned(value={"err": str(told)}) if told.startswith("execution_failed: cancelled"):  # so was its child
            return
        case outcome if outcome != good and not one.is_cancelled:
            yield f"{one.created.params} ended with {outcome}"


def _fibonacci(number: int) -> int:
    before, now = 0, 1
    for _ in range(number):
        before, now = now, before + now
    return before
