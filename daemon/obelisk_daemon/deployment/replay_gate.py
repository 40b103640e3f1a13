"""How changed workflow code would do with the executions that are under way: a forecast, by replaying their logs.

What decides is the replay that each of them makes when it is next run (`executor.workflow`); this one writes nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Final, Protocol

import msgspec

from obelisk_daemon.deployment.rehearsal import saved_log
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.executor.plan import ExecutorPlan, FunctionPlan
from obelisk_daemon.executor.replaying import replay
from obelisk_daemon.executor.workflow_guest import Program
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import StoredLog

_MOST: Final = 1_000
"""Executions of one component that are looked at."""
_LONGEST: Final = timedelta(seconds=20)
"""For one component; what is left by then is told to be unknown."""
_LONGEST_REPLAY: Final = timedelta(seconds=10)


class GateStore(Protocol):
    """What the gate needs of the database."""

    async def started_on_other_code(self, ffqn: str, digest: str, limit: int) -> list[tuple[ExecutionId, str]]:
        """Read unfinished executions of a function that were started on another digest than this: (id, digest)."""
        ...

    async def read_log(self, execution_id: ExecutionId) -> StoredLog:
        """Read all there is, for a replay."""
        ...


class Divergence(msgspec.Struct, frozen=True):
    """Where an execution's log and the new code part; without a version, why that could not be told."""

    execution_id: ExecutionId
    version: int | None
    message: str


class Forecast(msgspec.Struct, frozen=True):
    """What would become of the executions of a component that are on other code.

    Of those that were replayed, so many can move and so many diverge; `unknown` were not replayed to an end.
    """

    can_move: int = 0
    diverge: int = 0
    unknown: int = 0
    first_divergence: Divergence | None = None


class ReplayGate:
    """Replays executions on code that isn't active yet. `monotonic` reads seconds."""

    def __init__(self, store: GateStore, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic

    async def forecast(self, plan: ExecutorPlan, names: Iterable[str]) -> dict[str, Forecast]:
        """Look at the workflow components of these names, as the plan has them."""
        forecasts: dict[str, Forecast] = {}
        for name in names:
            functions = [f for f in plan.functions.values() if f.component.name == name]
            forecasts[name] = await self._of_component(functions, plan.types)
        return forecasts

    async def _of_component(self, functions: Iterable[FunctionPlan], types: Mapping[str, FunctionType]) -> Forecast:
        can_move = unknown = 0
        diverging: list[Divergence] = []
        give_up = self._monotonic() + _LONGEST.total_seconds()
        for function in functions:
            digest = function.component.digest
            for execution_id, _ in await self._store.started_on_other_code(str(function.ffqn), digest, _MOST):
                if self._monotonic() >= give_up:
                    unknown += 1
                    continue
                found = await self._try(function, execution_id, types)
                if found is None:
                    can_move += 1
                elif found.version is None:
                    unknown += 1
                else:
                    diverging.append(found)
        return Forecast(can_move, len(diverging), unknown, diverging[0] if diverging else None)

    async def _try(
        self, function: FunctionPlan, execution_id: ExecutionId, types: Mapping[str, FunctionType]
    ) -> Divergence | None:
        limits = function.component.limits
        try:
            saved = saved_log(execution_id, await self._store.read_log(execution_id), limits, types)
            program = Program(function.linked, function.ffqn, limits)
            verdict = await replay(program, saved, types, _LONGEST_REPLAY)
        except CallerError as error:
            return Divergence(execution_id, None, str(error))
        return None if verdict.passed else Divergence(execution_id, verdict.version, verdict.summary)
