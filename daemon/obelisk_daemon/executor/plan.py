"""What an executor needs to run a function, put together once per generation."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from obelisk_daemon.execution.events import GuestTerms, Locked, RetryPolicy
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutorId, RunId
from obelisk_daemon.storage.records import Runnable
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.wasi.context import HttpLimits
from obelisk_daemon.wasm.wasi.egress import EgressPolicy
from obelisk_daemon.wasm.wasi.secret import Secret


class ComponentPlan(msgspec.Struct, frozen=True):
    """A component ready to run, and what the manifest allows its guests. A stub has no code: `linked` is None."""

    name: str
    kind: Literal["activity", "workflow", "stub"]
    digest: str
    linked: LinkedComponent | None
    env: Mapping[str, str]
    limits: GuestLimits
    log_bytes: int
    forward_stdio: bool
    egress: EgressPolicy
    http_limits: HttpLimits
    secrets: tuple[Secret, ...] = ()
    on_block: Literal["hot", "unload"] = "hot"
    max_hot: int = 0
    on_nondeterminism: Literal["pause", "fail"] = "pause"
    on_trap: Literal["fail", "pause"] = "fail"
    max_history_events: int = 50_000
    on_upgrade: Literal["latest", "replay", "pin", "force"] = "latest"
    max_running: int | None = None

    @property
    def is_confined(self) -> bool:
        """Tell if nobody outside can see that a guest of it runs: what it did was not done until it is written."""
        return not self.egress.allowed and not self.forward_stdio


class FunctionPlan(msgspec.Struct, frozen=True):
    """A function ready to run, with the settings of its next attempt. `labels` are required of the executor."""

    ffqn: Ffqn
    component: ComponentPlan
    type: FunctionType
    timeout_us: int
    retry: RetryPolicy
    labels: frozenset[str]
    cancellable: bool = True

    @property
    def linked(self) -> LinkedComponent:
        """The code; only what is not a stub is ever run."""
        assert self.component.linked is not None
        return self.component.linked

    @property
    def terms(self) -> GuestTerms | None:
        """What a workflow's replay must find again."""
        component = self.component
        if component.kind != "workflow":
            return None
        return GuestTerms(dict(component.env), component.limits.memory, component.limits.fuel or 0)


class ExecutorPlan:
    """The functions of one generation that this executor may run, and all that workflows may call.

    `retained` is older code that unfinished executions are on, by ffqn and digest. `broken` names the functions that
    such code (by its digest) calls as what they are no longer.
    """

    def __init__(
        self,
        generation: int,
        functions: Mapping[str, FunctionPlan],
        labels: frozenset[str],
        retained: Mapping[tuple[str, str], FunctionPlan] = MappingProxyType({}),
        broken: Collection[tuple[str, str]] = (),
    ) -> None:
        self.generation = generation
        self.functions = functions
        self.labels = labels
        self.retained = retained
        self.limited = frozenset(f.component.name for f in functions.values() if f.component.max_running is not None)
        """The components of which only so many run in the whole store."""
        self._broken = frozenset(broken)

    @property
    def types(self) -> dict[str, FunctionType]:
        """Give the types of all functions, by ffqn."""
        return {ffqn: function.type for ffqn, function in self.functions.items()}

    def with_labels(self, labels: Iterable[str]) -> "ExecutorPlan":
        """Give the same plan for an executor that offers these labels."""
        return ExecutorPlan(self.generation, self.functions, frozenset(labels), self.retained, self._broken)

    def on(self, ffqn: str, digest: str) -> FunctionPlan | None:
        """Find a function on some code, current or older."""
        current = self.functions.get(ffqn)
        if current is not None and current.component.digest == digest:
            return current
        return self.retained.get((ffqn, digest))

    def replaces(self, function: FunctionPlan, digest: str, before: "ExecutorPlan", already: bool) -> bool:
        """Tell if a run on this code should try other code, which its execution has not been tried on.

        `before` is the plan before this one, and `already` is what it had said.
        """
        ffqn = str(function.ffqn)
        was, now = before.functions.get(ffqn), self.functions.get(ffqn)
        if now is None or now.component.digest == digest or now.component.on_upgrade == "pin":
            return False
        if was is None or was.component.digest != now.component.digest:
            return True
        return already or was.component.on_upgrade != now.component.on_upgrade

    def callee(self, ffqn: str, caller_digest: str) -> FunctionPlan | None:
        """Find a function that some code calls; None where there is none of the type that this code knows."""
        is_broken = self._broken and (caller_digest, ffqn) in self._broken
        return None if is_broken else self.functions.get(ffqn)

    def offers(self, function: FunctionPlan) -> bool:
        """Tell if this executor has all labels that the function requires."""
        return function.component.kind != "stub" and function.labels <= self.labels

    def runnable(self, executor_id: ExecutorId) -> list[Runnable]:
        """Give what this executor may lock."""
        older = ((ffqn, function) for (ffqn, _), function in self.retained.items())
        return [
            Runnable(name, function.component.digest, self.locking(executor_id, function))
            for name, function in (*self.functions.items(), *older)
            if self.offers(function)
        ]

    def locking(self, executor_id: ExecutorId, function: FunctionPlan) -> "_Locking":
        """Give the maker of `locked` events for a function."""
        return _Locking(executor_id, self.generation, function)


class _Locking(msgspec.Struct, frozen=True):
    executor_id: ExecutorId
    generation: int
    function: FunctionPlan

    def __call__(self, run_id: RunId, attempt: int) -> Locked:
        function = self.function
        return Locked(
            executor_id=self.executor_id,
            run_id=run_id,
            attempt=attempt,
            digest=function.component.digest,
            generation=self.generation,
            timeout_us=function.timeout_us,
            retry=function.retry,
        )
