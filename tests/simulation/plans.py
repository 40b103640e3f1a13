"""What a generation of a simulation has: which code, under which settings. It is kept as its manifest's bytes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final, Literal

import msgspec

from obelisk_config import Executor as ExecutorSpec
from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import RetryPolicy
from obelisk_daemon.executor.plan import ComponentPlan, ExecutorPlan, FunctionPlan
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.storage.generations import AllowedFunction, Generation, QueueLimit, StoredComponent, WorkInProgress
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.wasi.context import HttpLimits
from obelisk_daemon.wasm.wasi.egress import EgressPolicy
from obelisk_daemon.wasm.wasi.secret import Secret
from tests.simulation.faults import Faults
from tests.simulation.guests import EXPORTS, Scripted, ScriptedComponent
from tests.simulation.programs import APPROVE, TRY, TYPES

CANARY: Final = b"a-secret-that-nobody-may-write-down"
LEASE: Final = timedelta(seconds=3)
_US: Final = 1_000_000
_TIMEOUTS: Final = {"flow": 4 * _US, "work": 3 * _US, "once": 2 * _US}
_PATIENT: Final = RetryPolicy(1_000, 0.05, 2.0, 1.0, 0.1, ("error", "trap", "timeout"))
_ONCE: Final = RetryPolicy(1, 0.2, 2.0, 1.0, 0.0, ("error", "trap", "timeout"))


class Setup(msgspec.Struct, frozen=True):
    """What a manifest would say. `code` names the code of each component."""

    code: dict[str, str]
    on_upgrade: Literal["replay", "pin"] = "replay"
    on_block: Literal["hot", "unload"] = "hot"
    max_hot: int = 100
    cancellable: bool = True
    max_running: int | None = None
    slots: int = 4

    @property
    def executors(self) -> tuple[ExecutorSpec, ...]:
        """Give the executors that each daemon has."""
        return (ExecutorSpec("default", (), self.slots, LEASE),)

    def generation(self, number: int, at: Instant) -> Generation:
        """Give it as a generation to store."""
        allowed = {
            str(ffqn): AllowedFunction(self.code[name], name, self._policy(name), settings=repr(self))
            for name, (_, exports) in EXPORTS.items()
            for ffqn in exports
        }
        allowed[str(APPROVE)] = AllowedFunction("sha256:approval", "approval")
        limits = {} if self.max_running is None else {"work": QueueLimit(self.max_running)}
        return Generation(
            number=number,
            activated_at=at,
            manifest=msgspec.json.encode(self),
            content_hash="",
            allowed=allowed,
            components=self.code,
            limits=limits,
        )

    def stored(self) -> list[StoredComponent]:
        """Give the code to store with it."""
        return [StoredComponent(digest, b"") for digest in sorted(set(self.code.values()))]

    def _policy(self, name: str) -> Literal["latest", "replay", "pin"]:
        return self.on_upgrade if name == "flow" else "latest"


class Planner:
    """Makes plans of setups. Code is made once for a digest, as linked components are."""

    def __init__(self, faults: Faults, on_start: Callable[[], None]) -> None:
        self._faults = faults
        self._on_start = on_start
        self._code: dict[str, Scripted] = {}

    def plan(self, setup: Setup, number: int, work: Sequence[WorkInProgress]) -> ExecutorPlan:
        """Plan a generation, with the older code that unfinished executions are on."""
        functions: dict[str, FunctionPlan] = {str(APPROVE): _stub()}
        for name, digest in setup.code.items():
            functions |= self._functions(setup, name, digest)
        older = {
            (one.ffqn, one.digest): self._functions(setup, "flow", one.digest)[one.ffqn]
            for one in work
            if one.component == "flow" and one.started and one.digest != setup.code["flow"]
        }
        return ExecutorPlan(number, functions, frozenset(), older)

    def _functions(self, setup: Setup, name: str, digest: str) -> Mapping[str, FunctionPlan]:
        kind, exports = EXPORTS[name]
        if digest not in self._code:
            self._code[digest] = Scripted(ScriptedComponent(kind, digest, exports), self._faults, self._on_start)
        is_workflow = kind == "workflow"
        component = ComponentPlan(
            name=name,
            kind=kind,  # type: ignore[arg-type]
            digest=digest,
            linked=self._code[digest],  # type: ignore[arg-type]
            env={},
            limits=GuestLimits(fuel=1 << 40 if is_workflow else None),
            log_bytes=1 << 20,
            forward_stdio=False,
            egress=EgressPolicy(),
            http_limits=HttpLimits(requests=0),
            secrets=() if is_workflow else (Secret("canary", "CANARY", CANARY),),
            on_block=setup.on_block,
            max_hot=setup.max_hot,
            on_upgrade=setup._policy(name),
            max_running=setup.max_running if name == "work" else None,
        )
        return {
            str(ffqn): FunctionPlan(
                ffqn,
                component,
                of,
                _TIMEOUTS[name],
                _ONCE if ffqn == TRY else _PATIENT,
                frozenset(),
                cancellable=not is_workflow or setup.cancellable,
            )
            for ffqn, of in exports.items()
        }


def _stub() -> FunctionPlan:
    component = ComponentPlan(
        name="approval",
        kind="stub",
        digest="sha256:approval",
        linked=None,
        env={},
        limits=GuestLimits(),
        log_bytes=0,
        forward_stdio=False,
        egress=EgressPolicy(),
        http_limits=HttpLimits(),
    )
    return FunctionPlan(
        Ffqn(APPROVE.interface, APPROVE.function), component, TYPES[str(APPROVE)], 0, _ONCE, frozenset()
    )
