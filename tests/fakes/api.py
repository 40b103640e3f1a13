"""An engine, a catalog and a reader in memory, for tests of what stands on them."""

from collections.abc import Callable
from typing import Literal

import msgspec

from obelisk_daemon.api.catalog import FunctionCatalog
from obelisk_daemon.api.live.live import Live
from obelisk_daemon.api.live.sources import ServiceSources
from obelisk_daemon.api.live.streams import MAX_STREAMS
from obelisk_daemon.api.services import (
    CancelReport,
    ComponentInfo,
    DaemonStatus,
    FunctionInfo,
    NewCall,
    Services,
)
from obelisk_daemon.api.watch import Watcher
from obelisk_daemon.clock import Instant
from obelisk_daemon.deployment.rehearsal import ReplayReport, report_of
from obelisk_daemon.errors import ComponentError, ConflictError, NotFoundError, StorageUnavailableError
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import (
    ComponentUpgraded,
    Created,
    DelayFinished,
    Entry,
    Event,
    Finished,
    Paused,
    Response,
    ResponseItem,
    Unpaused,
)
from obelisk_daemon.execution.journal import due
from obelisk_daemon.execution.outcome import Failed, FailureRecord, Returned, ending_of
from obelisk_daemon.execution.saved_log import SavedLog
from obelisk_daemon.execution.state import fold
from obelisk_daemon.execution.wit_types import FunctionType, ListType, Primitive, RecordType, ResultType
from obelisk_daemon.executor.replaying import Verdict
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import DelayId, ExecutionId, ExecutorId, FailureId, IdSource, RunId, owner_of
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.storage.records import (
    Change,
    Delay,
    ListFilter,
    LogLine,
    ResponseChange,
    StoredLog,
    Summary,
    SummaryPage,
)
from obelisk_daemon.storage.sql.rows import change_of
from tests.fakes.capacity import FakeCapacity
from tests.fakes.database import REMOVAL, FakeDatabase
from tests.fakes.following import FakeFollowing
from tests.fakes.listing import listed
from tests.fakes.manifest import FakeManifest
from tests.fakes.submitting import FakeSubmitting

START = 1_767_323_045_000_000
"""2026-01-02T03:04:05Z."""
DIGEST = "sha256:" + "ab" * 32
U64 = Primitive("u64")
ORDER = RecordType((("order-id", U64), ("note", Primitive("string"))))

FIBO = FunctionInfo(
    ffqn=Ffqn.parse("example:fibo/fibo-activity@1.2.0.fibo"),
    kind="activity",
    component="fibo",
    digest=DIGEST,
    type=FunctionType((("n", Primitive("u8")),), ResultType(U64)),
    labels=("cpu",),
    settings={"timeout": "30s", "max_retries": 5},
)
FIBOA = FunctionInfo(
    ffqn=Ffqn.parse("example:fibo/fibo-workflow.fiboa"),
    kind="workflow",
    component="fibo-workflow",
    digest=DIGEST,
    type=FunctionType((("n", Primitive("u8")), ("iterations", Primitive("u32"))), ResultType(U64)),
)
PLACE = FunctionInfo(
    ffqn=Ffqn.parse("shop:orders/orders.place"),
    kind="activity",
    component="orders",
    digest=DIGEST,
    type=FunctionType((("order", ORDER), ("raw", ListType(Primitive("u8"))))),
)
PLACE_OLD = msgspec.structs.replace(PLACE, ffqn=Ffqn.parse("old:orders/orders.place"))
APPROVE = FunctionInfo(
    ffqn=Ffqn.parse("shop:orders/approval.approve"),
    kind="stub",
    component="approval",
    digest=DIGEST,
    type=FunctionType((("order", U64),), ResultType(Primitive("bool"), Primitive("string"))),
)
FUNCTIONS = (FIBO, FIBOA, PLACE, PLACE_OLD, APPROVE)
COMPONENTS = tuple(
    ComponentInfo(
        name=info.component,
        kind=info.kind,
        digest=info.digest,
        size=1_234,
        path=f"/srv/{info.component}.wasm",
        labels=info.labels,
        exports=(str(info.ffqn),),
    )
    for info in (FIBO, FIBOA)
)


def execution_id(number: int = 1) -> ExecutionId:
    """Make a valid id that is the same in every run."""
    return ExecutionId(f"E_01JZZZZZZZZZZZZZZZZZZZZ{number:03}")


class FakeWorld(FakeSubmitting, FakeFollowing, FakeCapacity):
    """Everything the API needs, on one log per execution. Time moves by a millisecond with every event."""

    def __init__(self, watcher: Watcher | None = None, max_streams: int = MAX_STREAMS) -> None:
        self.watcher = watcher or Watcher()
        self.catalog = FunctionCatalog(3, COMPONENTS, FUNCTIONS)
        self.now = START
        self.logs: dict[ExecutionId, list[Entry]] = {}
        self.delivered: dict[ExecutionId, list[Response]] = {}
        self.lines: dict[ExecutionId, list[tuple[int, RunId | None, LogLine]]] = {}
        self.failures: dict[FailureId, FailureRecord] = {}
        self.failed: dict[FailureId, ExecutionId] = {}
        self.pending_delays: dict[DelayId, Delay] = {}
        self.not_cancellable: set[ExecutionId] = set()
        self.failed_digests: dict[tuple[ExecutionId, str], tuple[int | None, str]] = {}
        self.verdict: Verdict | None = None
        """What every replay on the current code finds; if None, that it finished equal."""
        self.awaited = 0
        """How many executions every cancellation has to wait for."""
        self.storage_full = False
        self.broken = False
        self.reads = 0
        self.submitted = 0
        self.calls: list[NewCall] = []
        self.not_ready: str | None = None
        self.degraded: str | None = None
        self.on_status: Callable[[], None] = lambda: None
        self.manifest = FakeManifest()
        self.database = FakeDatabase()
        sources = ServiceSources(self, self, self.manifest)
        self.live = Live(self, sources, lambda: Instant(self.now), "01JZZZZZZZZZZZZZZZZZZZZZZZ", max_streams)

    def publish(self, change: Change) -> None:
        self.watcher.publish(change)
        self.live.publish(change)

    def services(self) -> Services:
        bits = iter(range(1, 1_000))
        ids = IdSource(lambda: 1_700_000_000_000, lambda _: next(bits))
        parts = (self, self, lambda: self.catalog, self.watcher, ids, self, self.manifest, Metrics())
        return Services(*parts, self.live, self.database, lambda: REMOVAL)

    def tick(self) -> Instant:
        self.now += 1_000
        return Instant(self.now)

    def add(self, known: ExecutionId, *events: Event) -> None:
        """Append events, durably, and tell whoever watches."""
        log = self.logs.setdefault(known, [])
        for event in events:
            log.append(Entry(len(log), self.tick(), event))
        self.publish(change_of(known, fold(log), is_new=len(log) == len(events)))

    def create(
        self, known: ExecutionId, info: FunctionInfo, *params: object, parent: ExecutionId | None = None
    ) -> None:
        of = None if parent is None else (parent, "o:1")
        self.add(known, msgspec.structs.replace(self._created(info, list(params)), parent=of))

    def _created(self, info: FunctionInfo, params: list[object]) -> Created:
        return Created(str(info.ffqn), params, info.component, info.digest, Instant(self.now), seed=7)

    def finish(self, known: ExecutionId, value: dict[str, object]) -> None:
        self.add(known, Finished(Returned(value)))

    def fail(self, known: ExecutionId, reason: str) -> FailureId:
        failure_id = FailureId("Err_01JZZZZZZZZZZZZZZZZZZZZZZZ")
        self.record(known, FailureRecord(failure_id, "trap", reason, backtrace="0: fibo!fib\n1: fibo!main"))
        self.add(known, Finished(Failed("trap", failure_id, reason)))
        return failure_id

    def record(self, known: ExecutionId, failure: FailureRecord) -> None:
        self.failures[failure.failure_id] = failure
        self.failed[failure.failure_id] = known

    def delay(self, delay_id: DelayId, join_set: str, due_at: Instant) -> None:
        self.pending_delays[delay_id] = Delay(delay_id, join_set, due_at, is_paused=False)

    def respond(self, known: ExecutionId, join_set: str, item: ResponseItem) -> None:
        delivered = self.delivered.setdefault(known, [])
        response = Response(len(delivered) + 1, self.tick(), join_set, item)
        delivered.append(response)
        self.publish(ResponseChange(known, response))

    def log(self, known: ExecutionId, message: str) -> None:
        lines = self.lines.setdefault(known, [])
        position = (sum(map(len, self.lines.values())) + 1) * 10
        lines.append((position, RunId("Run_01JZZZZZZZZZZZZZZZZZZZZZZZ"), LogLine(self.tick(), "info", message)))
        self.publish(change_of(known, fold(self.logs[known])))

    # Engine

    async def submit(self, call: NewCall) -> Summary | None:
        if self.storage_full:
            raise StorageUnavailableError("storage_full", "no space is left on the disk of the state directory")
        if self.is_there(call):
            return None
        self.submitted += 1
        self.calls.append(call)
        event = self._created(call.function, call.params)
        due_at = due(call.intent or ("now", 0), event.due_at)
        self.add(
            call.execution_id,
            msgspec.structs.replace(
                event,
                due_at=due_at,
                intent=call.intent,
                retried_from=call.retried_from,
                labels=call.labels,
                priority=call.priority,
                tags=dict(call.tags),
            ),
        )
        return self.row(call.execution_id)

    async def cancel(self, execution_id: ExecutionId, *, force: bool) -> CancelReport:
        await self.summary(execution_id)
        if fold(self.logs[execution_id]).status == "finished":
            return CancelReport(already_finished=True, reached=0)
        if execution_id in self.not_cancellable and not force:
            raise ConflictError("not_cancellable", "it is not cancellable: force it")
        self.fail(execution_id, "cancelled")
        return CancelReport(already_finished=False, reached=1, awaited=self.awaited)

    async def pause(self, execution_id: ExecutionId) -> bool:
        summary = await self.summary(execution_id)
        if summary.status == "locked":
            raise ConflictError("running", "it runs now")
        if summary.lifecycle == "active":
            self.add(execution_id, Paused("operator"))
        return summary.lifecycle == "active"

    async def resume(self, execution_id: ExecutionId) -> bool:
        summary = await self.summary(execution_id)
        if summary.lifecycle == "paused":
            self.add(execution_id, Unpaused("operator"))
        return summary.lifecycle == "paused"

    async def upgrade(self, execution_id: ExecutionId, digest: str, *, force: bool) -> None:
        summary = await self.summary(execution_id)
        self.failed_digests.pop((execution_id, digest), None)
        self.add(execution_id, ComponentUpgraded(ok=True, digest=digest, abi=HOST_ABI, forced=force))
        if summary.pause_reason not in (None, "operator"):
            self.add(execution_id, Unpaused("upgraded"))

    async def finish_stub(
        self, execution_id: ExecutionId, ffqn: str, returned: Returned
    ) -> Literal["ok", "execution_not_found", "conflict"]:
        summary = await self.summary(execution_id)
        if summary.outcome is not None:
            return "ok" if summary.outcome == returned else "conflict"
        self.add(execution_id, Finished(returned))
        return "ok"

    async def cancel_delay(self, delay_id: DelayId) -> bool:
        found = self.pending_delays.pop(delay_id, None)
        if found is not None:
            self.respond(owner_of(delay_id), found.join_set, DelayFinished(delay_id, cancelled=True))
        return found is not None

    async def set_delay_paused(self, delay_id: DelayId, paused: bool) -> Instant:
        if delay_id not in self.pending_delays:
            raise NotFoundError("delay_not_found", "there is no such delay")
        found = self.pending_delays[delay_id]
        self.pending_delays[delay_id] = msgspec.structs.replace(found, is_paused=paused)
        return found.due_at

    def status(self) -> DaemonStatus:
        self.on_status()
        return DaemonStatus(
            version="0.1.0",
            executor_id=ExecutorId("Exr_01JZZZZZZZZZZZZZZZZZZZZZZZ"),
            generation=self.catalog.generation,
            started_at=Instant(START),
            now=Instant(self.now),
            running=2,
            hot=1,
            state_dir="/var/lib/obelisk",
            pid=4242,
            executors=self.local_executors,
            degraded=self.degraded,
            not_ready=self.not_ready,
        )

    # ExecutionReader

    async def summary(self, execution_id: ExecutionId) -> Summary:
        self.reads += 1
        if self.broken:
            raise ZeroDivisionError("a bug")
        return self.row(execution_id)

    def row(self, execution_id: ExecutionId) -> Summary:
        log = self.logs.get(execution_id)
        if log is None:
            raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
        state, created = fold(log), log[0].event
        assert isinstance(created, Created)
        return Summary(
            execution_id=execution_id,
            ffqn=created.ffqn,
            component=created.component,
            digest=state.digest,
            status=state.status,
            lifecycle=state.lifecycle,
            created_at=log[0].created_at,
            changed_at=state.changed_at,
            version=state.version,
            attempts=state.failed_attempts,
            due_at=state.due_at,
            join_set=state.join_set,
            pause_reason=state.pause_reason,
            parent_id=created.parent and created.parent[0],
            outcome=state.outcome,
            labels=created.labels,
            priority=created.priority,
            started_at=state.started_at,
            executor_id=state.executor_id,
            ending=None if state.outcome is None else ending_of(state.outcome),
            tags=created.tags,
        )

    async def outline(self, execution_id: ExecutionId) -> tuple[Summary, Event, Event | None]:
        summary, log = await self.summary(execution_id), self.logs[execution_id]
        return summary, log[0].event, log[-1].event

    async def failed_on(self, execution_id: ExecutionId, digest: str, abi: int) -> tuple[int | None, str] | None:
        return self.failed_digests.get((execution_id, digest))

    async def summaries(self, chosen: ListFilter) -> SummaryPage:
        return listed([await self.summary(known) for known in self.logs], chosen)

    async def entries(self, execution_id: ExecutionId, from_version: int, limit: int) -> list[Entry]:
        return self.logs.get(execution_id, [])[from_version : from_version + limit]

    async def responses(self, execution_id: ExecutionId, from_seq: int, limit: int) -> list[Response]:
        return [item for item in self.delivered.get(execution_id, []) if item.seq >= from_seq][:limit]

    async def log_lines(
        self, execution_id: ExecutionId, after: int, limit: int
    ) -> list[tuple[int, RunId | None, LogLine]]:
        return [line for line in self.lines.get(execution_id, []) if line[0] > after][:limit]

    async def failure(self, failure_id: FailureId) -> FailureRecord:
        if failure_id not in self.failures:
            raise NotFoundError("failure_not_found", f"there is no failure {failure_id}")
        return self.failures[failure_id]

    async def failure_chain(self, failure_id: FailureId, limit: int) -> list[tuple[ExecutionId, FailureRecord]]:
        chain = [await self.failure(failure_id)]
        while len(chain) < limit and chain[-1].cause in self.failures:
            chain.append(self.failures[chain[-1].cause])
        return [(self.failed[record.failure_id], record) for record in chain]

    async def delays(self, execution_id: ExecutionId, after: str, limit: int) -> list[Delay]:
        found = [known for known in sorted(self.pending_delays) if owner_of(known) == execution_id and known > after]
        return [self.pending_delays[known] for known in found][:limit]

    # Replayer

    async def saved(self, execution_id: ExecutionId) -> SavedLog:
        await self.summary(execution_id)
        log = await self.read_log(execution_id)
        types = {str(info.ffqn): info.type for info in FUNCTIONS}
        return SavedLog(execution_id, log.entries, log.responses, types, 1 << 20, 1_000, 100, 1 << 20)

    async def replay(self, execution_id: ExecutionId, code: bytes | None) -> ReplayReport:
        saved = await self.saved(execution_id)
        if code is None:
            equal = Verdict("finished_equal", saved.entries[-1].version, outcome={"ok": 55})
            return report_of(saved, DIGEST, self.verdict or equal)
        if not code.startswith(b"\0asm"):
            raise ComponentError("invalid_component", "this is not a WebAssembly component")
        return report_of(saved, DIGEST, Verdict("diverges", 3, "a call of one", f"{len(code)} bytes"))

    async def read_log(self, execution_id: ExecutionId) -> StoredLog:
        return StoredLog(self.logs[execution_id], self.delivered.get(execution_id, []))
