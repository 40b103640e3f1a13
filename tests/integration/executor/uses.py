"""The guests of the executor's tests, linked once, and plans made of them as a deployment makes them of a manifest."""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import msgspec
from wasmtime import component as wc

from obelisk_daemon.deployment.planning import _Resolver, broken_calls
from obelisk_daemon.execution.events import RetryPolicy
from obelisk_daemon.execution.wit_types import FunctionType, Primitive, ResultType
from obelisk_daemon.executor.plan import ComponentPlan, ExecutorPlan, FunctionPlan
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.storage.generations import AllowedFunction, QueueLimit, WorkInProgress
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.linker import LinkedComponent, Resolve
from obelisk_daemon.wasm.recipe import EngineKind
from obelisk_daemon.wasm.wasi.context import HttpLimits
from obelisk_daemon.wasm.wasi.egress import AllowedHost, EgressPolicy
from tests import guests
from tests.integration.executor.guests import WRITTEN_HERE

QUICK = RetryPolicy(
    max_retries=2, initial=0.001, factor=1.0, max=0.001, jitter=0.0, retry_on=("error", "trap", "timeout")
)
_MICROSECOND = timedelta(microseconds=1)
_LARGE = 1 << 20


class Linked:
    """The guests of the tests, linked once for all of them.

    `name+n`, for any n, is the guest of that name with a custom section: other bytes, so another digest, that do the
    same. What takes many seconds to compile stays in a directory from one run of the tests to the next.
    """

    written_here = WRITTEN_HERE

    def __init__(self, engines: Engines, artifacts: Path) -> None:
        self._engines = engines
        self._compiler = Compiler(engines, artifacts)
        self._linked: dict[str, LinkedComponent] = {}

    def __getitem__(self, name: str) -> LinkedComponent:
        if name not in self._linked:
            self._linked[name] = self._link(name)
        return self._linked[name]

    def on(self, digest: str) -> LinkedComponent:
        """Find code that was linked before."""
        (found,) = [one for one in self._linked.values() if one.component.digest == digest]
        return found

    def _link(self, name: str) -> LinkedComponent:
        base, _, variant = name.partition("+")
        if base in self.written_here:
            kind, code = self.written_here[base]
            digest = f"sha256:{name}"
        else:
            kind, code = guests.COMPONENTS[base].kind, guests.path(base).read_bytes() + section(variant)
            digest = f"sha256:{hashlib.sha256(code).hexdigest()}"
        return LinkedComponent(self._compiled(kind, code, digest), self._resolve(kind == "workflow"))

    def _resolve(self, is_workflow: bool) -> Resolve:
        return _Resolver(is_workflow, TYPES)

    def _compiled(self, kind: EngineKind, code: bytes, digest: str) -> Component:
        if len(code) < _LARGE:
            return Component(self._engines, kind, digest, wc.Component(self._engines.engine(kind), code))
        with ThreadPoolExecutor(1) as beside:  # whoever asks is on a loop, and has nothing to do before it is there
            return beside.submit(lambda: asyncio.run(self._compiler.load(code, kind))).result()


def section(variant: str) -> bytes:
    """Give a custom section that holds its own name only."""
    name = variant.encode()
    return bytes([0, len(name) + 1, len(name)]) + name if name else b""


class Use(msgspec.Struct, frozen=True):
    """A guest as a component of a plan, and the settings of all its functions.

    `component` is its name there, the guest's if it is empty: what changes its code keeps its name.
    """

    name: str
    on_block: str = "hot"
    max_hot: int = 1_000
    timeout: timedelta = timedelta(seconds=30)
    retry: RetryPolicy = QUICK
    labels: frozenset[str] = frozenset()
    on_nondeterminism: str = "pause"
    on_trap: str = "fail"
    cancellable: bool = True
    fuel: int = 10**12
    max_history_events: int = 50_000
    on_upgrade: str = "force"
    component: str = ""
    max_running: int | None = None
    reaches: bool = False
    """It is allowed to talk to somebody, so what it does may be seen."""

    @property
    def planned_name(self) -> str:
        return self.component or self.name


APPROVE = Ffqn("testing:approval/approval", "approve")
TYPES = {
    "testing:fibo/fibo.fibo": FunctionType(
        (("n", Primitive("u8")),), ResultType(Primitive("u64"), Primitive("string"))
    ),
    str(APPROVE): FunctionType((("order", Primitive("u64")),), ResultType(Primitive("bool"), Primitive("string"))),
}
"""Of functions whose extensions the guests import; `approve` is a stub, in every plan."""
FIBO, FIBOA = Use("fibo-activity"), Use("fibo-workflow")
REACHING = Use("fibo-activity", reaches=True)
SOMEBODY = AllowedHost("https", "example.com", 443)


def plan_of(linked: Linked, uses: Sequence[Use], generation: int, work: Sequence[WorkInProgress] = ()) -> ExecutorPlan:
    """Plan a generation, with the older code that `work` is on."""
    functions: dict[str, FunctionPlan] = {}
    for use in uses:
        functions |= _functions(use, linked[use.name])
    functions[str(APPROVE)] = _stub()
    types = {ffqn: function.type for ffqn, function in functions.items()}
    older = {(one.ffqn, one.digest): use for one, use in _kept(linked, uses, work)}
    retained = {(ffqn, digest): _functions(use, linked.on(digest))[ffqn] for (ffqn, digest), use in older.items()}
    broken = [
        (digest, ffqn)
        for digest in {digest for _, digest in retained}
        for ffqn in broken_calls(linked.on(digest).component, types)
    ]
    return ExecutorPlan(generation, functions, frozenset(), retained, broken)


def _kept(linked: Linked, uses: Sequence[Use], work: Sequence[WorkInProgress]) -> Iterator[tuple[WorkInProgress, Use]]:
    """Give what was started on older code that its component's policy keeps."""
    owners = {str(ffqn): use for use in uses for ffqn in linked[use.name].component.exports}
    for one in work:
        use = owners.get(one.ffqn)
        if use is None or use.on_upgrade not in ("replay", "pin") or not one.started:
            continue
        if linked[use.name].component.digest != one.digest:
            yield one, use


def allowed_of(linked: Linked, uses: Sequence[Use]) -> dict[str, AllowedFunction]:
    """Say what a generation of these lets run."""
    return {
        str(ffqn): AllowedFunction(
            linked[use.name].component.digest,
            use.planned_name,
            use.on_upgrade,  # type: ignore[arg-type]
            tuple(sorted(use.labels)),
            settings=repr((use.timeout, use.retry, use.fuel)),
        )
        for use in uses
        for ffqn in linked[use.name].component.exports
    }


def limits_of(uses: Sequence[Use]) -> dict[str, QueueLimit]:
    return {use.planned_name: QueueLimit(use.max_running) for use in uses if use.max_running is not None}


def _functions(use: Use, code: LinkedComponent) -> dict[str, FunctionPlan]:
    is_workflow = code.component.kind == "workflow"
    component = ComponentPlan(
        name=use.planned_name,
        kind=code.component.kind,
        digest=code.component.digest,
        linked=code,
        env={},
        limits=GuestLimits(memory=256 << 20, fuel=use.fuel if is_workflow else None),
        log_bytes=1 << 20,
        forward_stdio=False,
        egress=EgressPolicy((SOMEBODY,) if use.reaches else ()),
        http_limits=HttpLimits(requests=0),
        on_block=use.on_block,  # type: ignore[arg-type]
        max_hot=use.max_hot,
        on_nondeterminism=use.on_nondeterminism,  # type: ignore[arg-type]
        on_trap=use.on_trap,  # type: ignore[arg-type]
        max_history_events=use.max_history_events,
        on_upgrade=use.on_upgrade,  # type: ignore[arg-type]
        max_running=use.max_running,
    )
    cancellable = not is_workflow or use.cancellable
    return {
        str(ffqn): FunctionPlan(ffqn, component, of, use.timeout // _MICROSECOND, use.retry, use.labels, cancellable)
        for ffqn, of in code.component.exports.items()
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
    return FunctionPlan(APPROVE, component, TYPES[str(APPROVE)], 0, QUICK, frozenset())
