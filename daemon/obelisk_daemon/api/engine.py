"""The engine of this process, as the API's services see it."""

import os
from pathlib import Path

from obelisk_daemon import __version__
from obelisk_daemon.api.catalog import FunctionCatalog
from obelisk_daemon.api.services import CancelReport, ComponentInfo, DaemonStatus, FunctionInfo
from obelisk_daemon.clock import Instant
from obelisk_daemon.deployment.checking import Candidate
from obelisk_daemon.executor.cancellation import Canceller
from obelisk_daemon.executor.children import created, new_execution
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.executor.plan import FunctionPlan
from obelisk_daemon.executor.run import Services
from obelisk_daemon.ids import ExecutionId


class LocalEngine:
    """Submits and cancels executions of this daemon, and tells its state."""

    def __init__(self, services: Services, executor: Executor, canceller: Canceller, state_dir: Path) -> None:
        self._services = services
        self._executor = executor
        self._canceller = canceller
        self._state_dir = state_dir
        self._started_at = services.clock.now()
        self.not_ready: str | None = "starting"

    async def submit(
        self, execution_id: ExecutionId, function: FunctionInfo, params: list[object], due_at: Instant | None
    ) -> bool:
        """Create a top-level execution, durably; True when it is new."""
        services = self._services
        now = services.clock.now()
        event = created(services, services.plan.functions[str(function.ffqn)], params, due_at or now)
        return await services.store.submit(new_execution(execution_id, event, now))

    async def cancel(self, execution_id: ExecutionId) -> CancelReport:
        """End an execution and its children."""
        done = await self._canceller.cancel(execution_id)
        return CancelReport(done.already_finished, done.reached)

    def status(self) -> DaemonStatus:
        """Describe the daemon now."""
        return DaemonStatus(
            version=__version__,
            executor_id=self._services.executor_id,
            generation=self._services.plan.generation,
            started_at=self._started_at,
            running=self._executor.running,
            hot=self._executor.hot,
            state_dir=str(self._state_dir),
            pid=os.getpid(),
            not_ready=self.not_ready,
        )


def catalog_of(candidate: Candidate, services: Services) -> FunctionCatalog:
    """Describe the components and functions of the active generation."""
    plan = services.plan
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
        )
        for spec in candidate.manifest.components
    ]
    return FunctionCatalog(plan.generation, components, [_function_info(f) for f in plan.functions.values()])


def _function_info(function: FunctionPlan) -> FunctionInfo:
    component = function.component
    settings = {"timeout_seconds": function.timeout_us / 1_000_000, **_retry_settings(function)}
    return FunctionInfo(
        ffqn=function.ffqn,
        kind=component.kind,
        component=component.name,
        digest=component.digest,
        type=function.type,
        labels=tuple(sorted(function.labels)),
        settings=settings,
    )


def _retry_settings(function: FunctionPlan) -> dict[str, object]:
    retry = function.retry
    return {
        "max_retries": retry.max_retries,
        "retry_on": list(retry.retry_on),
        "backoff": {"initial": retry.initial, "factor": retry.factor, "max": retry.max, "jitter": retry.jitter},
    }
