"""The engine of this process, as the API's services see it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from obelisk_config import StubSpec
from obelisk_daemon import __version__
from obelisk_daemon.api.catalog import FunctionCatalog
from obelisk_daemon.api.services import CancelReport, ComponentInfo, DaemonStatus, ExecutorInfo, FunctionInfo, NewCall
from obelisk_daemon.clock import Instant
from obelisk_daemon.deployment.checking import Candidate
from obelisk_daemon.errors import CallerError, QueueFullError
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.execution.events import ComponentUpgraded
from obelisk_daemon.execution.journal import due
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.executor.children import created, new_execution
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.executor.executors import Executors
from obelisk_daemon.executor.plan import ExecutorPlan, FunctionPlan
from obelisk_daemon.ids import DelayId, ExecutionId
from obelisk_daemon.storage.records import NewExecution, Summary


class LocalEngine:
    """Submits and steers executions of this daemon, and tells its state."""

    def __init__(
        self, executors: Executors, state_dir: Path, degraded: Callable[[], str | None] = lambda: None
    ) -> None:
        self._services = executors.services
        self._executors = executors
        self._state_dir = state_dir
        self._started_at = executors.services.clock.now()
        self.not_ready: str | None = "starting"
        self._degraded = degraded

    async def submit(self, call: NewCall) -> Summary | None:
        """Create a top-level execution, durably; give its row when it is new."""
        new = self._new(call, self._services.clock.now())
        try:
            made = await self._executors.submit(new)
        except QueueFullError:
            self._services.metrics.executions.queue_refusals.inc()
            raise
        return None if made is None else _row_of(made)

    def holds(self, execution_id: ExecutionId) -> bool:
        """Tell if its end is still to be published."""
        return self._executors.holds(execution_id)

    async def submit_many(self, calls: Sequence[NewCall]) -> Sequence[bool | CallerError]:
        """Create top-level executions, durably and in one write."""
        now = self._services.clock.now()
        done = await self._services.store.submit_many([self._new(call, now) for call in calls])
        refused = sum(isinstance(one, QueueFullError) for one in done)
        self._services.metrics.executions.queue_refusals.inc(by=refused)
        return done

    def _new(self, call: NewCall, now: Instant) -> NewExecution:
        services = self._services
        function = services.plan.functions[str(call.function.ffqn)]
        due_at = now if call.intent is None else due(call.intent, now)
        event = created(services, function, call.params, due_at)
        event = msgspec.structs.replace(
            event,
            intent=call.intent,
            retried_from=call.retried_from,
            labels=call.labels,
            priority=call.priority,
            tags=dict(call.tags),
        )
        return new_execution(call.execution_id, event, now, services.ids.failure())

    async def cancel(self, execution_id: ExecutionId, *, force: bool) -> CancelReport:
        """End an execution and its children."""
        done = await self._executors.canceller.cancel(execution_id, force=force)
        return CancelReport(done.already_finished, done.reached, done.awaited)

    async def pause(self, execution_id: ExecutionId) -> bool:
        """Stop an execution; the executor drops its run when the pause is durable."""
        return await self._services.store.pause(execution_id, self._services.clock.now())

    async def resume(self, execution_id: ExecutionId) -> bool:
        """Lift a pause; the executor wakes when that is durable."""
        return await self._services.store.unpause(execution_id, self._services.clock.now(), "operator")

    async def upgrade(self, execution_id: ExecutionId, digest: str, *, force: bool) -> None:
        """Move a workflow to this code; one that is in memory leaves it, and is replayed when it runs next."""
        services = self._services
        event = ComponentUpgraded(ok=True, digest=digest, abi=HOST_ABI, forced=force)
        await services.store.upgrade(execution_id, event, services.clock.now())
        await self._executors.drop(execution_id, "upgraded")
        services.metrics.executions.upgrades.inc("forced" if force else "ok")

    async def finish_stub(
        self, execution_id: ExecutionId, ffqn: str, returned: Returned
    ) -> Literal["ok", "execution_not_found", "conflict"]:
        """Give a stub's execution its result."""
        return await self._services.store.finish_stub(execution_id, ffqn, returned, self._services.clock.now())

    async def cancel_delay(self, delay_id: DelayId) -> bool:
        """End a delay as cancelled."""
        return await self._services.store.cancel_delay(delay_id, self._services.clock.now())

    async def set_delay_paused(self, delay_id: DelayId, paused: bool) -> Instant:
        """Hold a delay back, or let it go on; it fires at once when its time has come meanwhile."""
        due_at = await self._services.store.set_delay_paused(delay_id, paused)
        if not paused:
            self._executors.note_timer(due_at)
        return due_at

    async def set_draining(self, host: str, *, draining: bool) -> None:
        """Have a host take no more work, or take work again."""
        await self._services.store.set_draining(host, draining)

    def _draining(self) -> str | None:
        return "draining" if all(member.is_draining for member in self._executors.members) else None

    def status(self) -> DaemonStatus:
        """Describe the daemon now."""
        return DaemonStatus(
            version=__version__,
            executor_id=self._executors.members[0].services.executor_id,
            generation=self._services.plan.generation,
            started_at=self._started_at,
            now=self._services.clock.now(),
            running=self._executors.running,
            hot=self._executors.hot,
            state_dir=str(self._state_dir),
            pid=os.getpid(),
            disk_full=_is_full(self._state_dir),
            not_ready=self.not_ready or self._draining(),
            degraded=self._degraded(),
            executors=tuple(_executor_info(member) for member in self._executors.members),
        )


def _row_of(new: NewExecution) -> Summary:
    """Give the row of an execution as it was inserted, without a look at the database."""
    state, created = new.state, new.created
    return Summary(
        execution_id=new.execution_id,
        ffqn=created.ffqn,
        component=created.component,
        digest=state.digest,
        status=state.status,
        lifecycle=state.lifecycle,
        created_at=new.entries[0].created_at,
        changed_at=state.changed_at,
        version=state.version,
        attempts=int(state.status == "locked"),
        due_at=state.due_at,
        join_set=None,
        pause_reason=None,
        parent_id=None,
        outcome=None,
        labels=created.labels,
        priority=created.priority,
        tags=created.tags,
        started_at=state.started_at,
        executor_id=state.executor_id,
    )


def _is_full(directory: Path) -> bool:
    """Tell if no space is left there. It is the database that refuses to write then; this explains it."""
    try:
        return os.statvfs(directory).f_bavail == 0
    except OSError:
        return False


def _executor_info(member: Executor) -> ExecutorInfo:
    return ExecutorInfo(
        name=member.name,
        executor_id=member.services.executor_id,
        labels=tuple(sorted(member.services.plan.labels)),
        max_running=member.max_running,
        running=member.running,
        hot=member.hot,
    )


def catalog_of(candidate: Candidate, plan: ExecutorPlan) -> FunctionCatalog:
    """Describe the components and functions of the active generation."""
    components = [
        ComponentInfo(
            name=spec.name,
            kind=spec.kind,
            digest=candidate.components[spec.name].digest,
            size=len(candidate.files.by_digest[candidate.files.digests[spec.name]]),
            path=spec.path,
            labels=spec.labels,
            exports=tuple(str(ffqn) for ffqn in candidate.components[spec.name].exports),
            imports=tuple(str(imported) for imported in candidate.components[spec.name].imports),
            interfaces=candidate.components[spec.name].exported_interfaces,
            imported_types=candidate.components[spec.name].imported_types,
        )
        for spec in candidate.manifest.components
    ]
    components += [_stub_info(spec, candidate) for spec in candidate.manifest.stubs]
    return FunctionCatalog(plan.generation, components, [_function_info(f, plan) for f in plan.functions.values()])


def _stub_info(spec: StubSpec, candidate: Candidate) -> ComponentInfo:
    stub, file = candidate.stubs[spec.name], candidate.files.digests.get(spec.name)
    return ComponentInfo(
        name=spec.name,
        kind="stub",
        digest=stub.digest,
        size=0 if file is None else len(candidate.files.by_digest[file]),
        path=spec.path or "",
        exports=tuple(map(str, stub.exports)),
        interfaces=stub.exported_interfaces,
        imported_types=stub.imported_types,
    )


def _function_info(function: FunctionPlan, plan: ExecutorPlan) -> FunctionInfo:
    component, ffqn = function.component, str(function.ffqn)
    settings: dict[str, object] = {}
    if component.kind != "stub":
        settings = {"timeout_seconds": function.timeout_us / 1_000_000, **_retry_settings(function)}
    return FunctionInfo(
        ffqn=function.ffqn,
        kind=component.kind,
        component=component.name,
        digest=component.digest,
        type=function.type,
        labels=tuple(sorted(function.labels)),
        settings=settings,
        max_running=component.max_running,
        on_upgrade=component.on_upgrade,
        older=tuple(digest for name, digest in plan.retained if name == ffqn),
    )


def _retry_settings(function: FunctionPlan) -> dict[str, object]:
    retry = function.retry
    return {
        "max_retries": retry.max_retries,
        "retry_on": list(retry.retry_on),
        "backoff": {"initial": retry.initial, "factor": retry.factor, "max": retry.max, "jitter": retry.jitter},
    }
