"""A workflow that crashes after every commit writes the same log as one that never does (issue 3, "Done when" 2)."""

import asyncio
import os
import random
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obelisk_daemon.clock import Instant
from obelisk_daemon.deployment.planning import _Resolver as Resolver
from obelisk_daemon.execution.events import (
    Created,
    DelayRequest,
    Entry,
    Event,
    Finished,
    GuestTerms,
    HistoryEvent,
    JoinSetRequest,
    Locked,
    RetryPolicy,
    Schedule,
    Unlocked,
)
from obelisk_daemon.execution.outcome import Failed
from obelisk_daemon.execution.state import apply, fold
from obelisk_daemon.execution.wit_types import FunctionType, Primitive, ResultType
from obelisk_daemon.executor.plan import ComponentPlan, ExecutorPlan, FunctionPlan
from obelisk_daemon.executor.run import Services
from obelisk_daemon.executor.workflow import WorkflowRun
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutionId, ExecutorId, IdSource
from obelisk_daemon.storage.records import Held
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.recipe import EngineSettings
from obelisk_daemon.wasm.wasi.context import HttpLimits
from obelisk_daemon.wasm.wasi.egress import EgressPolicy
from tests import guests
from tests.fakes.clock import ManualClock
from tests.fakes.inline_store import Alone, Crash, InlineStore

pytestmark = pytest.mark.guests

EXAMPLES = 20_000 if os.environ.get("OBELISK_SOAK") else 500
ID = ExecutionId("E_01BX5ZZKBKACTAV9WEVGEMMVRZ")
INTERPRETER = Ffqn("testing:interpreter/interpreter", "run")
FIBO = Ffqn("testing:fibo/fibo", "fibo")
APPROVE = Ffqn("testing:approval/approval", "approve")
TYPES = {
    str(FIBO): FunctionType((("n", Primitive("u8")),), ResultType(Primitive("u64"), Primitive("string"))),
    str(APPROVE): FunctionType((("order", Primitive("u64")),), ResultType(Primitive("bool"), Primitive("string"))),
    str(INTERPRETER): FunctionType(
        (("program", Primitive("string")),), ResultType(Primitive("string"), Primitive("string"))
    ),
}
RETRY = RetryPolicy(5, 0.1, 2.0, 1.0, 0.0, ("timeout",))
WHEN = st.sampled_from(["now", {"in": {"milliseconds": 5}}, {"in": {"hours": 7}}])
JOIN_SET = st.integers(0, 2)
CHILD = st.integers(0, 5)


def op(operation: str, /, **arguments: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({"op": st.just(operation), **arguments})


CALL = {"function": st.just(str(FIBO)), "params": st.just([10])}
OPERATIONS = st.one_of(
    op("join-set-create"),
    op("join-set-create-named", name=st.sampled_from(["a", "b", "not a name"])),
    op("join-set-close", set=JOIN_SET),
    op("join-set-drop", set=JOIN_SET),
    op("join-set-last-id", set=JOIN_SET),
    op("submit-json", set=JOIN_SET, **CALL),
    op("submit-json", set=JOIN_SET, function=st.just("no:such/thing.f"), params=st.just([])),
    op("submit-delay", set=JOIN_SET, when=WHEN),
    op("join-next", set=JOIN_SET),
    op("join-next-try", set=JOIN_SET),
    op("get-result-json", execution=CHILD),
    op("get-execution-failure-kind", execution=CHILD),
    op("sleep", when=WHEN),
    op("call-json", **CALL),
    op("last-direct-call-id"),
    op("last-oneoff-id"),
    op("execution-id-generate"),
    op("random-u64", min=st.just(0), max=st.just(1000)),
    op("random-string", min=st.just(1), max=st.just(9)),
    op("wasi-random", bytes=st.just(4)),
    op("log", level=st.just("info"), message=st.just("here")),
    op("fibo", n=st.just(9)),
    op("fibo-submit", set=JOIN_SET, n=st.just(9)),
    op("fibo-await-next", set=JOIN_SET),
    op("fibo-get", execution=CHILD),
    op("approve", order=st.just(1)),
    op("approve-submit", set=JOIN_SET, order=st.just(1)),
    op("approve-await-next", set=JOIN_SET),
    op("approve-stub", execution=CHILD, result=st.just({"ok": True})),
    op("stub-json", execution=CHILD, result=st.just({"ok": False})),
    op("trap"),
    op("fail", message=st.just("enough")),
)
PROGRAMS = st.lists(OPERATIONS, max_size=23).map(lambda rest: [{"op": "join-set-create"}] * 2 + rest)


@pytest.fixture(scope="module")
def linked() -> LinkedComponent:
    engines = Engines(EngineSettings(tick=None, compute_threads=0))
    compiler = Compiler(engines, guests.build.BUILD / "cache")
    code = guests.path("interpreter-python").read_bytes()
    component = asyncio.run(compiler.load(code, "workflow"))
    return LinkedComponent(component, Resolver(True, TYPES))


def planned(ffqn: Ffqn, kind: str, linked: LinkedComponent | None) -> FunctionPlan:
    component = ComponentPlan(
        name=kind,
        kind=kind,  # type: ignore[arg-type]
        digest=f"sha256:{kind}",
        linked=linked,
        env={},
        limits=GuestLimits(memory=1 << 28, fuel=1 << 40, value=1 << 20),
        log_bytes=1 << 20,
        forward_stdio=False,
        egress=EgressPolicy(),
        http_limits=HttpLimits(),
        max_hot=1,
    )
    return FunctionPlan(ffqn, component, TYPES[str(ffqn)], 3_600_000_000, RETRY, frozenset())


class World:
    """One execution of a program, undisturbed or with a crash after every commit."""

    def __init__(self, linked: LinkedComponent, program: object, seed: int, *, crashes: bool) -> None:
        clock = ManualClock()
        ids = IdSource(lambda: 1, random.Random(seed).getrandbits)
        workflow = planned(INTERPRETER, "workflow", linked)
        functions = {str(INTERPRETER): workflow, str(FIBO): planned(FIBO, "activity", None)}
        functions[str(APPROVE)] = planned(APPROVE, "stub", None)
        created = Created(
            ffqn=str(INTERPRETER),
            params=[msgspec.json.encode(program).decode()],
            component="workflow",
            digest="sha256:workflow",
            due_at=Instant(1),
            seed=seed,
            terms=GuestTerms({}, 1 << 28, 1 << 40),
        )
        first = Entry(0, Instant(1), created)
        self.workflow = workflow
        self.created = created
        self.store = InlineStore(ID, first, fold([first]), seed)
        self.store.crashes = crashes
        self.services = Services(
            executor_id=ExecutorId("Exr_1"),
            store=self.store,  # type: ignore[arg-type]
            clock=clock,
            ids=ids,
            random=random.Random(seed).randbytes,
            wasi_clock=None,  # type: ignore[arg-type]
            http=None,  # type: ignore[arg-type]
            plan=ExecutorPlan(1, functions, frozenset()),
            forward=lambda *_: None,
        )

    async def finish(self) -> "World":
        while self.store.state.status != "finished":
            held = self._lock()
            run = WorkflowRun(self.services, Alone(self.store), held, self.workflow)
            self.store.run = run
            run.task = asyncio.current_task()
            try:
                await run.run()
            except Crash:
                self.store.run = None
                self.store.answer_waiting()
        return self

    def _lock(self) -> Held:
        if len(self.store.entries) > 1:
            self._add(Unlocked("lost", Instant(1)))
        locked = Locked(ExecutorId("Exr_1"), self.services.ids.run(), 1, "sha256:workflow", 1, 3_600_000_000, RETRY)
        self._add(locked)
        return Held(ID, locked, self.created, Instant(1), self.store.state)

    def _add(self, event: Event) -> None:
        state = self.store.state
        if isinstance(event, Unlocked):
            event = Unlocked("lost", state.changed_at)
        entry = Entry(state.version, state.changed_at, event)
        self.store.entries.append(entry)
        self.store.state = apply(state, entry)

    def told(self) -> list[object]:
        """Give what must be equal: no locks, no times, and no ids of failures."""
        log = [_timeless(e.event) for e in self.store.entries if isinstance(e.event, HistoryEvent | Finished)]
        return [*log, *[(r.join_set, r.item) for r in self.store.responses]]


def _timeless(event: Event) -> object:
    if isinstance(event, Finished):
        outcome = event.outcome
        return (outcome.kind, outcome.reason) if isinstance(outcome, Failed) else outcome
    assert isinstance(event, HistoryEvent)
    item = event.event
    if isinstance(item, JoinSetRequest) and isinstance(item.request, DelayRequest):
        return item.join_set, item.request.delay_id, item.request.intent
    if isinstance(item, Schedule):
        return msgspec.structs.replace(item, due_at=Instant(0))
    outcome = getattr(item, "outcome", None)
    if isinstance(outcome, Failed):
        return msgspec.structs.replace(item, outcome=None), outcome.kind  # type: ignore[type-var]
    return item


@settings(max_examples=EXAMPLES, deadline=timedelta(seconds=20), suppress_health_check=list(HealthCheck))
@given(program=PROGRAMS, seed=st.integers(0, 1 << 30))
def test_a_crash_after_every_commit_changes_nothing_in_the_log(
    linked: LinkedComponent, program: list[object], seed: int
) -> None:
    undisturbed = asyncio.run(World(linked, program, seed, crashes=False).finish())
    disturbed = asyncio.run(World(linked, program, seed, crashes=True).finish())
    assert disturbed.told() == undisturbed.told()
