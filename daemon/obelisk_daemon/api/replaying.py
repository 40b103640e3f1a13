"""Replaying an execution without writing anything, and exporting its log to be replayed elsewhere."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from litestar import get, post

from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.rendering import entry_json, response_json
from obelisk_daemon.api.requests import ApiRequest, Id, services_of
from obelisk_daemon.deployment.rehearsal import ReplayReport, rehearse, report_of, saved_log
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.events import Created
from obelisk_daemon.execution.saved_log import LogDocument, SavedLog, document_of
from obelisk_daemon.executor.plan import ExecutorPlan
from obelisk_daemon.executor.replaying import replay
from obelisk_daemon.executor.workflow_guest import Program
from obelisk_daemon.ids import ExecutionId, parse_execution_id
from obelisk_daemon.storage.records import StoredLog
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.guest import GuestLimits

MAX_COMPONENT: Final = 64 << 20
"""Bytes."""
_AT_ONCE: Final = 2


class LogReader(Protocol):
    """What a replay needs of the database."""

    async def read_log(self, execution_id: ExecutionId) -> StoredLog:
        """Read all there is; nothing, where there is no such execution."""
        ...


class LocalReplayer:
    """Replays executions in this process, a few at once: each may take as much memory as a workflow."""

    def __init__(self, store: LogReader, plan: Callable[[], ExecutorPlan], compiler: Compiler) -> None:
        self._store = store
        self._plan = plan
        self._compiler = compiler
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def saved(self, execution_id: ExecutionId) -> SavedLog:
        """Read the log of a workflow and what a replay needs beside it."""
        log, plan = await self._store.read_log(execution_id), self._plan()
        ffqn = log.entries[0].event.ffqn if log.entries and isinstance(log.entries[0].event, Created) else ""
        function = plan.functions.get(ffqn)
        limits = GuestLimits() if function is None else function.component.limits
        return saved_log(execution_id, log, limits, plan.types)

    async def replay(self, execution_id: ExecutionId, code: bytes | None) -> ReplayReport:
        """Replay an execution on the active generation's code, or on the component given."""
        async with self._turns:
            saved = await self.saved(execution_id)
            plan = self._plan()
            types = plan.types
            if code is not None:
                component = await self._compiler.load(code, "workflow")
                return report_of(saved, component.digest, await rehearse(saved, component, types))
            function = plan.functions.get(saved.created.ffqn)
            if function is None:
                ffqn, generation = saved.created.ffqn, plan.generation
                message = f"generation {generation} has no {ffqn}: send a component that has it"
                raise CallerError("function_not_found", message)
            program = Program(function.linked, function.ffqn, function.component.limits)
            return report_of(saved, function.component.digest, await replay(program, saved, types))


@post(
    "/executions/{execution_id:str}/replay",
    status_code=200,
    request_max_body_size=MAX_COMPONENT,
    responses=PROBLEMS,
    opt={"role": "operate", "audited": False},
    summary="Replay a workflow without writing anything",
)
async def replay_execution(request: ApiRequest, execution_id: Id) -> ReplayReport:
    """Say whether code goes on with the log: the active generation's, or that of the component in the body.

    The body is the component itself, or empty. A divergence is no error: `passed` is false.
    """
    replayer, code = services_of(request).replayer, await request.body()
    return await replayer.replay(parse_execution_id(execution_id), code or None)


@get("/executions/{execution_id:str}/export", responses=PROBLEMS, summary="Export a workflow's log")
async def export(request: ApiRequest, execution_id: Id) -> LogDocument:
    """Give the whole log as one document, which `obelisk-ctl replay --log` replays without a daemon."""
    saved = await services_of(request).replayer.saved(parse_execution_id(execution_id))
    return await asyncio.to_thread(_document, saved)


def _document(saved: SavedLog) -> LogDocument:
    events, responses = map(entry_json, saved.entries), map(response_json, saved.responses)
    return document_of(saved, list(events), list(responses))


ROUTES: Final = (replay_execution, export)
