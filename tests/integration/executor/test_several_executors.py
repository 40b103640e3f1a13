"""Several executors in one process: each takes what its labels let it, in its own slots; together they are a daemon."""

from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.execution.events import Locked
from obelisk_daemon.ids import ExecutionId, child_id
from obelisk_daemon.storage.records import StateChange
from tests.building import OK, outcome_of
from tests.conftest import places  # noqa: F401 - on both kinds of databases
from tests.fakes.clock import ManualClock
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.uses import FIBO, FIBOA, QUICK, Use

pytestmark = pytest.mark.anyio
RUN = "testing:fibo/workflow.fiboa"
FIBONACCI = "testing:fibo/fibo.fibo"
NEST = "testing:nested/outer.run"
NAP = "testing:sleeper/sleeper.nap"
SPIN = "testing:faults/faults.spin"
CALL_SPIN = "testing:faulty-caller/caller.call-spin"
ONCE = msgspec.structs.replace(QUICK, max_retries=0)
SPINNING = Use("faults", timeout=timedelta(milliseconds=20), retry=ONCE)
PAIR = {"plain": ((), 5), "gpu": (("gpu",), 5)}


def on(use: Use, *labels: str) -> Use:
    return msgspec.structs.replace(use, labels=frozenset(labels))


async def ran_on(daemon: Daemon, execution: ExecutionId) -> list[str]:
    """Give the names of the executors that locked an execution."""
    names = {member.services.executor_id: member.name for member in daemon.members}
    return [names[e.event.executor_id] for e in await daemon.log(execution) if isinstance(e.event, Locked)]


async def test_work_goes_only_where_its_labels_are_offered(lab: Lab) -> None:
    async with lab.daemon(on(FIBO, "gpu"), Use("sleeper"), slots=PAIR) as daemon:
        ids = [await daemon.submit(FIBONACCI, 10, number=number) for number in range(1, 21)]
        assert [await daemon.result(execution) for execution in ids] == [OK] * 20
        assert {name for execution in ids for name in await ran_on(daemon, execution)} == {"gpu"}


async def test_work_without_labels_goes_anywhere(lab: Lab) -> None:
    async with lab.daemon(SPINNING, slots={"a": ((), 1), "b": (("gpu",), 1)}) as daemon:
        ids = [await daemon.submit(SPIN, number=number) for number in range(1, 9)]
        for execution in ids:
            await daemon.result(execution)
        assert {name for execution in ids for name in await ran_on(daemon, execution)} == {"a", "b"}


async def test_what_its_submitter_wants_elsewhere_goes_there(lab: Lab) -> None:
    async with lab.daemon(FIBO, slots=PAIR) as daemon:
        ids = [await daemon.submit(FIBONACCI, 10, number=number, labels=("gpu",)) for number in range(1, 11)]
        assert [await daemon.result(execution) for execution in ids] == [OK] * 10
        assert {name for execution in ids for name in await ran_on(daemon, execution)} == {"gpu"}


@pytest.mark.parametrize("on_block", ["hot", "unload"])
async def test_a_parent_on_one_executor_gets_the_answers_of_children_on_another(lab: Lab, on_block: str) -> None:
    workflow = msgspec.structs.replace(FIBOA, on_block=on_block, labels=frozenset({"cpu"}))
    slots = {"cpu": (("cpu",), 2), "gpu": (("gpu",), 2)}
    async with lab.daemon(on(FIBO, "gpu"), workflow, slots=slots) as daemon:
        ids = [await daemon.submit(RUN, 10, 4, number=number) for number in range(1, 7)]
        assert [await daemon.result(execution) for execution in ids] == [OK] * 6
        for execution in ids:
            children = [child_id(execution, f"o:{number}", 1) for number in range(1, 5)]
            assert {*await ran_on(daemon, execution)} == {"cpu"}
            assert {name for child in children for name in await ran_on(daemon, child)} == {"gpu"}
            await daemon.check(execution, *children)
        await daemon.settled(lambda: daemon.executor.running == daemon.executor.hot == 0)


async def test_each_executor_has_its_own_slots(lab: Lab) -> None:
    slots = {"one": (("one",), 1), "three": (("three",), 3)}
    async with lab.daemon(Use("faults"), slots=slots) as daemon:
        most: Counter[str] = Counter()

        def look(_: object) -> None:
            for member in daemon.members:
                most[member.name] = max(most[member.name], member.running)

        daemon.store.subscribe(look)
        ids = [
            await daemon.submit(SPIN, number=number, labels=("one" if number % 2 else "three",))
            for number in range(1, 13)
        ]
        await daemon.settled(lambda: [member.running for member in daemon.members] == [1, 3])
        for execution in ids:
            await daemon.cancel(execution)
        assert most == {"one": 1, "three": 3}


@pytest.mark.parametrize("slots", [{"only": ((), 5)}, {"a": (("a",), 5), "b": (("b",), 5)}], ids=["one", "two"])
async def test_a_component_runs_only_so_often_over_all_executors_and_all_of_its_work_is_done(
    lab: Lab, slots: dict[str, tuple[tuple[str, ...], int]]
) -> None:
    """What ends on one executor makes room that another one may have waited for."""
    labels = [names for names, _ in slots.values()]
    async with lab.daemon(msgspec.structs.replace(SPINNING, max_running=2), slots=slots) as daemon:
        locked: set[ExecutionId] = set()
        most = 0

        def look(change: object) -> None:
            nonlocal most
            assert isinstance(change, StateChange)
            (locked.add if change.status == "locked" else locked.discard)(change.execution_id)
            most = max(most, len(locked))

        daemon.store.subscribe(look)
        ids = [await daemon.submit(SPIN, number=n, labels=labels[n % len(labels)]) for n in range(1, 11)]
        for execution in ids:
            await daemon.result(execution)
        assert most == 2


async def test_workflows_of_a_component_that_is_full_go_on_as_others_of_it_wait(lab: Lab) -> None:
    workflow = msgspec.structs.replace(FIBOA, max_running=1)
    async with lab.daemon(FIBO, workflow) as daemon:
        ids = [await daemon.submit(RUN, 10, 3, number=number) for number in range(1, 9)]
        assert [await daemon.result(execution) for execution in ids] == [OK] * 8


async def test_a_child_of_a_component_that_is_full_waits_for_room(lab: Lab) -> None:
    async with lab.daemon(msgspec.structs.replace(FIBO, max_running=1), FIBOA) as daemon:
        running: set[ExecutionId] = set()
        most = 0

        def look(change: object) -> None:
            nonlocal most
            if isinstance(change, StateChange) and "." in change.execution_id:
                (running.add if change.status == "locked" else running.discard)(change.execution_id)
                most = max(most, len(running))

        daemon.store.subscribe(look)
        ids = [await daemon.submit(RUN, 20, 3, number=number) for number in range(1, 9)]
        for execution in ids:
            await daemon.result(execution)
        assert most == 1


async def test_room_that_a_cancelled_run_of_a_dead_daemon_took_is_found_again(lab: Lab) -> None:
    faults = Use("faults", max_running=1, timeout=timedelta(seconds=60))
    async with lab.daemon(faults, crash=True) as daemon:
        running = await daemon.submit(SPIN, number=1)
        await daemon.waiting(running, "locked")
        waiting = await daemon.submit(SPIN, number=2)
        await daemon.store.request_cancellation(running, daemon.services.clock.now())
    async with lab.daemon(msgspec.structs.replace(faults, timeout=timedelta(milliseconds=20), retry=ONCE)) as daemon:
        await daemon.result(waiting)
        assert outcome_of((await daemon.row(running)).outcome) == ("cancelled", "cancelled on request")


async def test_a_cancellation_drops_runs_whichever_executor_has_them(lab: Lab) -> None:
    caller = Use("faulty-caller", labels=frozenset({"cpu"}))
    faults = Use("faults", labels=frozenset({"gpu"}))
    async with lab.daemon(faults, caller, slots={"cpu": (("cpu",), 2), "gpu": (("gpu",), 2)}) as daemon:
        root = await daemon.submit(CALL_SPIN)
        leaf = child_id(root, "o:1", 1)
        await daemon.until(lambda: daemon.states(leaf), lambda states: "locked" in states)
        await daemon.settled(lambda: [member.running for member in daemon.members] == [0, 1])
        done = await daemon.cancel(root)
        assert done.reached == 2
        for execution in (leaf, root):
            assert outcome_of((await daemon.row(execution)).outcome) == ("cancelled", "cancelled on request")
        await daemon.settled(lambda: daemon.executor.running == daemon.executor.hot == 0)
        assert all(member._runs == {} for member in daemon.members)


async def test_a_pause_drops_a_run_whichever_executor_has_it(still: Lab) -> None:
    async with still.daemon(on(Use("sleeper"), "gpu"), slots=PAIR) as daemon:
        execution = await daemon.submit(NAP, 60_000)
        await daemon.waiting(execution)
        await daemon.settled(lambda: daemon.executor.running == 0)
        await daemon.store.pause(execution, daemon.services.clock.now())
        await daemon.settled(lambda: daemon.executor.hot == 0)


async def test_stopping_stops_them_all(lab: Lab) -> None:
    async with lab.daemon(Use("faults"), slots={"a": ((), 2), "b": ((), 2)}, crash=True) as daemon:
        ids = [await daemon.submit(SPIN, number=number) for number in range(1, 9)]
        await daemon.settled(lambda: daemon.executor.running == 4)
        await daemon.executor.stop(timedelta())
        await daemon.settled(lambda: daemon.executor.running == 0)
        assert [(await daemon.row(execution)).status for execution in ids] == ["pending_at"] * 8


@pytest.mark.parametrize("crash", [True, False])
async def test_all_of_a_daemons_executors_are_taken_over_by_the_next_daemon(
    still: Lab, clock: ManualClock, crash: bool
) -> None:
    slots = {"a": (("a",), 5), "b": (("b",), 5)}
    async with still.daemon(Use("sleeper"), slots=slots, crash=crash) as daemon:
        ids = [await daemon.submit(NAP, 60_000, number=number, labels=("ab"[number % 2],)) for number in range(1, 5)]
        for execution in ids:
            await daemon.waiting(execution)
        assert {name for execution in ids for name in await ran_on(daemon, execution)} == {"a", "b"}
    clock.advance(timedelta(minutes=1))
    async with still.daemon(Use("sleeper"), slots={"all": (("a", "b"), 1)}) as daemon:
        for execution in ids:
            await daemon.result(execution)
            await daemon.check(execution)


async def test_each_executor_takes_over_its_own_settings_and_all_take_over_the_code(lab: Lab) -> None:
    async with lab.daemon(on(FIBO, "gpu"), slots={"a": ((), 1), "b": ((), 1)}) as daemon:
        execution = await daemon.submit(FIBONACCI, 10)
        newer = msgspec.structs.replace(on(FIBO, "gpu"), name="fibo-activity+1", component="fibo-activity")
        await daemon.adopt(newer, slots={"a": (("eu",), 2), "b": (("gpu",), 3)})
        assert await daemon.result(execution) == OK
        assert await ran_on(daemon, execution) == ["b"]
        assert [(sorted(one.services.plan.labels), one.max_running) for one in daemon.members] == [
            (["eu"], 2),
            (["gpu"], 3),
        ]


async def test_an_executor_locks_no_child_that_it_may_not_run(lab: Lab) -> None:
    async with lab.daemon(on(FIBO, "gpu"), FIBOA, slots={"plain": ((), 5)}) as daemon:
        execution = await daemon.submit(RUN, 10, 1)
        await daemon.waiting(execution)
        child = child_id(execution, "o:1", 1)
        assert (await daemon.row(child)).status == "pending_at"
        assert await daemon.types(child) == ["created"]
        await daemon.adopt(on(FIBO, "gpu"), FIBOA, slots={"plain": (("gpu",), 5)})
        assert await daemon.result(execution) == OK
