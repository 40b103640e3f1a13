"""Older code that executions are on: kept for as long as one may need it, and linked to what it knew."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import wasmtime

from obelisk_config import Surroundings
from obelisk_daemon.deployment.activation import Origin
from obelisk_daemon.deployment.deployer import Deployer
from obelisk_daemon.deployment.proposal import Wish
from obelisk_daemon.deployment.stored import Surrounds
from obelisk_daemon.errors import OutcomeUnknownError
from obelisk_daemon.execution.events import (
    ChildRequest,
    Created,
    Event,
    HistoryEvent,
    JoinNext,
    JoinSetCreate,
    JoinSetRequest,
)
from obelisk_daemon.execution.saved_log import SavedLog
from obelisk_daemon.executor.replaying import replay
from obelisk_daemon.executor.workflow_guest import Program
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import child_id
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.store import open_store
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.guest import GuestLimits
from tests import guests
from tests.building import TERMS, created, execution_id, log
from tests.conformance.world import World
from tests.fakes.clock import ManualClock

pytestmark = pytest.mark.anyio
FIBO = guests.manifest_entry("fibo-activity")
FANOUT = "testing:fanout/fanout.run"
ALONE = """(component
  (core module $main
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "run") (param i32 i32) (result i32) (i32.const 32)))
  (core instance $i (instantiate $main))
  (func $run (param "children" u32) (param "n" u8) (result (result u64 (error string)))
    (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (instance $e (export "run" (func $run)))
  (export "testing:fanout/fanout" (instance $e)))"""
"""The workflow of `fanout`, which calls nobody."""


RETYPED = """(component
  (core module $main
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "fibo") (param i32) (result i32) (i32.const 32)))
  (core instance $i (instantiate $main))
  (func $fibo (param "n" u32) (result (result u64 (error string)))
    (canon lift (core func $i "fibo") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (instance $e (export "fibo" (func $fibo)))
  (export "testing:fibo/fibo" (instance $e)))"""
"""The activity `fibo`, with a number of another type."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with open_store(tmp_path / "obelisk.db", _unexpected) as opened:
        yield opened


@pytest.fixture
async def deployer(tmp_path: Path, store: SqlStore) -> AsyncIterator[Deployer]:
    engines = Engines()
    surrounds = Surrounds(tmp_path / "obelisk.toml", Surroundings(), "here")
    compiler = Compiler(engines, tmp_path / "cache")
    yield Deployer(store, store.reads, compiler, ManualClock(), surrounds, metrics=Metrics())
    engines.close()


@pytest.fixture
def alone(tmp_path: Path) -> Callable[..., str]:
    """Give the table of `fanout` with code that calls nobody."""
    file = tmp_path / "alone.wasm"
    file.write_bytes(wasmtime.wat2wasm(ALONE))
    digest = str(guests.build.digest(file))
    return lambda **settings: fanout(path=str(file), digest=digest, **settings)


def fanout(**settings: object) -> str:
    return guests.manifest_entry("fanout", **settings)


async def propose(deployer: Deployer, *tables: str, wish: Wish = Wish()) -> str:  # noqa: B008
    verdict = await deployer.propose("\n".join(tables).encode(), Origin("file"), wish)
    return verdict.outcome


async def start(store: SqlStore, digest: str) -> None:
    """Have an execution of `fanout` begin on some code."""
    world = World(store)
    await world.submit(created(FANOUT, params=(2, 10), digest=digest, terms=TERMS, component="fanout"))
    (held,) = await world.lock(runnable={FANOUT: digest})
    assert held.execution_id == execution_id()


@pytest.mark.parametrize("policy", ["replay", "pin"])
async def test_the_code_that_is_replaced_is_kept_since_more_may_start_on_it_until_then(
    deployer: Deployer, alone: Callable[..., str], policy: str
) -> None:
    assert await propose(deployer, FIBO, fanout(on_upgrade=policy)) == "active"
    assert await propose(deployer, FIBO, alone(on_upgrade=policy)) == "active"
    assert list(deployer.active.plan.retained) == [(FANOUT, guests.digest("fanout"))]


async def test_code_is_not_kept_where_everything_moves(deployer: Deployer, alone: Callable[..., str]) -> None:
    await propose(deployer, FIBO, fanout())
    assert await propose(deployer, FIBO, alone(on_upgrade="force")) == "active"
    assert deployer.active.plan.retained == {}


async def test_code_that_nothing_unfinished_is_on_is_gone_a_generation_later(
    deployer: Deployer, alone: Callable[..., str]
) -> None:
    await propose(deployer, FIBO, fanout())
    await propose(deployer, FIBO, alone())
    assert await propose(deployer, FIBO, alone(max_hot=7)) == "active"
    assert deployer.active.plan.retained == {}


async def test_code_that_an_execution_is_on_is_kept_over_generations(
    deployer: Deployer, store: SqlStore, alone: Callable[..., str]
) -> None:
    await propose(deployer, FIBO, fanout())
    await start(store, guests.digest("fanout"))
    for max_hot in (5, 6):
        assert await propose(deployer, FIBO, alone(max_hot=max_hot)) == "active"
    assert list(deployer.active.plan.retained) == [(FANOUT, guests.digest("fanout"))]


async def test_what_replaced_code_called_may_go_with_it_where_nothing_unfinished_is_on_it(
    deployer: Deployer, alone: Callable[..., str]
) -> None:
    await propose(deployer, FIBO, fanout())
    assert await propose(deployer, alone()) == "active"


async def test_what_older_code_calls_may_not_go_while_an_execution_is_on_it(
    deployer: Deployer, store: SqlStore, alone: Callable[..., str]
) -> None:
    await propose(deployer, FIBO, fanout())
    await start(store, guests.digest("fanout"))
    assert await propose(deployer, alone()) == "refused"


async def test_older_code_goes_on_with_its_log_where_what_it_calls_is_gone(
    deployer: Deployer, store: SqlStore, alone: Callable[..., str]
) -> None:
    """Its call of a generated function is still known for what it is, so its log replays; the next one is refused."""
    await propose(deployer, FIBO, fanout())
    await start(store, guests.digest("fanout"))
    assert await propose(deployer, alone(), wish=Wish(frozenset({"break"}))) == "active"
    plan = deployer.active.plan
    function = plan.retained[FANOUT, guests.digest("fanout")]
    program = Program(function.linked, Ffqn.parse(FANOUT), GuestLimits(fuel=10**9))
    verdict = await replay(program, waiting(), plan.types)
    assert (verdict.kind, verdict.got) == ("blocked", "waits for a response in join set g:1")
    assert plan.callee("testing:fibo/fibo.fibo", guests.digest("fanout")) is None


async def test_older_code_may_not_call_what_has_another_type_now_and_new_code_may(
    deployer: Deployer, store: SqlStore, alone: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "retyped.wasm"
    file.write_bytes(wasmtime.wat2wasm(RETYPED))
    retyped = guests.manifest_entry("fibo-activity", path=str(file), digest=str(guests.build.digest(file)))
    await propose(deployer, FIBO, fanout())
    await start(store, guests.digest("fanout"))
    assert await propose(deployer, retyped, alone()) == "refused"
    assert await propose(deployer, retyped, alone(), wish=Wish(frozenset({"break"}))) == "active"
    plan, fibo = deployer.active.plan, "testing:fibo/fibo.fibo"
    assert plan.callee(fibo, guests.digest("fanout")) is None
    assert plan.callee(fibo, plan.functions[FANOUT].component.digest) is plan.functions[fibo]


def waiting() -> SavedLog:
    """Give the log of `fanout`, that waits for its two children."""
    fibo, join_set = "testing:fibo/fibo.fibo", "g:1"
    children = [ChildRequest(child_id(execution_id(), join_set, n), fibo, [10]) for n in (1, 2)]
    asked = [
        JoinSetCreate(join_set),
        *[JoinSetRequest(join_set, child) for child in children],
        JoinNext(join_set, fibo),
    ]
    events: list[Event] = [Created(FANOUT, [2, 10], "fanout", "", ManualClock().now(), terms=TERMS)]
    return SavedLog(
        execution_id=execution_id(),
        entries=log(*events, *map(HistoryEvent, asked)),
        responses=[],
        functions={},
        memory=1 << 26,
        fuel=10**9,
        host_calls=None,
        value=1 << 20,
    )


def _unexpected(error: OutcomeUnknownError) -> None:
    raise error
