"""Delays, sleeps and schedules, and the time that a workflow sees, with a clock that only the test moves."""

import json
from datetime import timedelta

import pytest

from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.ids import ExecutionId, delay_id
from tests.building import execution_id
from tests.fakes.clock import START, ManualClock
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.uses import FIBO, Use
from tests.integration.host_functions.programs import CREATE, FIBO_NAME, RUN, Program, history_of, op, told

pytestmark = [pytest.mark.anyio, pytest.mark.guests]
SECOND = 1_000_000
HOT_AND_UNLOAD = pytest.mark.parametrize("on_block", ["hot", "unload"])
INTERPRETERS = pytest.mark.parametrize("guest", ["interpreter-python", "interpreter-js"])


def datetime_of(micros: int) -> dict[str, int]:
    seconds, rest = divmod(micros, SECOND)
    return {"seconds": seconds, "nanoseconds": rest * 1_000}


async def through(daemon: Daemon, clock: ManualClock, steps: list[timedelta], *program: Program) -> object:
    """Run a program, moving the clock each time it waits."""
    execution = await daemon.submit(RUN, json.dumps(program))
    for step in steps:
        before = len(await daemon.store.reads.responses(execution, 0, 1_000))
        await daemon.waiting(execution)
        clock.advance(step)
        daemon.look_at_the_clock()
        await daemon.until(
            lambda: daemon.store.reads.responses(execution, 0, 1_000),
            lambda responses, before=before: len(responses) > before,
        )
    return (await told(daemon, execution)).gave


@HOT_AND_UNLOAD
@INTERPRETERS
async def test_a_sleep_ends_when_it_is_due_and_tells_when_that_was(
    still: Lab, clock: ManualClock, guest: str, on_block: str
) -> None:
    async with still.daemon(Use(guest, on_block=on_block)) as daemon:
        gave = await through(
            daemon,
            clock,
            [timedelta(seconds=7), timedelta(hours=2), timedelta(days=1)],
            op("sleep", when={"in": {"seconds": 5}}),
            op("sleep", when={"at": datetime_of(START + 3_600 * SECOND)}, name="until"),
            op("sleep", when={"in": {"minutes": 5}}, name="a-nap"),
            op("sleep", when="now", hide=True),
        )
        # the second sleep begins 7 s late, and ends when it was asked to; the third begins when the second was woken
        third = START + (7 + 7_200 + 300) * SECOND
        ends = [START + 5 * SECOND, START + 3_600 * SECOND, third]
        assert gave == [*[{"ok": datetime_of(end)} for end in ends], {"ok": None}]
        log = history_of(await daemon.log(execution_id()))
        created = [item["join_set"] for item in log if item["type"] == "join_set_create"]
        assert created == ["o:1", "o:2-until", "o:3-a-nap", "o:4"]


@pytest.mark.parametrize(
    ("unit", "amount", "micros"),
    [
        ("milliseconds", 1_500, 1_500_000),
        ("seconds", 90, 90 * SECOND),
        ("minutes", 2, 120 * SECOND),
        ("hours", 1, 3_600 * SECOND),
        ("days", 2, 2 * 86_400 * SECOND),
    ],
)
async def test_a_duration_is_as_long_as_its_unit_says(
    still: Lab, clock: ManualClock, unit: str, amount: int, micros: int
) -> None:
    async with still.daemon(Use("interpreter-python")) as daemon:
        execution = await daemon.submit(RUN, json.dumps([op("sleep", when={"in": {unit: amount}})]))
        await daemon.waiting(execution)
        clock.advance(timedelta(microseconds=micros - 1))
        daemon.look_at_the_clock()
        assert (await daemon.row(execution)).status == "blocked"
        clock.advance(timedelta(microseconds=1))
        daemon.look_at_the_clock()
        assert (await told(daemon, execution)).gave == [{"ok": datetime_of(START + micros)}]


@HOT_AND_UNLOAD
async def test_the_earlier_of_two_delays_answers_first(still: Lab, clock: ManualClock, on_block: str) -> None:
    async with still.daemon(Use("interpreter-python", on_block=on_block)) as daemon:
        gave = await through(
            daemon,
            clock,
            [timedelta(seconds=2), timedelta(seconds=8)],
            CREATE,
            op("submit-delay", set=0, when={"in": {"seconds": 10}}),
            op("submit-delay", set=0, when={"at": datetime_of(START + SECOND)}),
            op("join-next", set=0),
            op("join-set-last-id", set=0),
            op("join-next", set=0),
            op("join-set-last-id", set=0),
        )
        assert isinstance(gave, list)
        assert gave[4] == {"delay_id": {"id": "Delay_.g:1_2"}}
        assert gave[6] == {"delay_id": {"id": "Delay_.g:1_1"}}


@HOT_AND_UNLOAD
async def test_the_clocks_of_a_workflow_move_with_what_it_has_seen(
    still: Lab, clock: ManualClock, on_block: str
) -> None:
    """Unloaded, it reads the clocks again in each of three replays, at later times of the machine."""
    look = [op("clock"), op("monotonic-clock")]
    async with still.daemon(FIBO, Use("interpreter-python", on_block=on_block)) as daemon:
        gave = await through(
            daemon,
            clock,
            [timedelta(seconds=7), timedelta(hours=2)],
            *look,
            op("sleep", when={"in": {"seconds": 5}}, hide=True),
            *look,
            op("sleep", when={"in": {"hours": 1}}, hide=True),
            *look,
        )
        assert isinstance(gave, list)
        assert gave[0::3] == [START // 1_000 + ms for ms in (0, 7_000, 7_207_000)]
        first, second, third = gave[1::3]
        assert (second - first, third - second) == (7 * 10**9, 7_200 * 10**9)


# scheduling


@HOT_AND_UNLOAD
async def test_what_is_scheduled_runs_when_it_is_due_and_outlives_its_maker(
    still: Lab, clock: ManualClock, on_block: str
) -> None:
    at = {"at": datetime_of(START + 60 * SECOND)}
    program = [
        op("execution-id-generate"),
        op("execution-id-generate"),
        op("execution-id-generate"),
        op("schedule-json", execution=0, when="now", function=FIBO_NAME, params=[10]),
        op("schedule-json", execution=1, when=at, function=FIBO_NAME, params=[11]),
        op("schedule-json", execution=2, when={"in": {"minutes": 2}}, function=FIBO_NAME, params=[12]),
        op("fibo-schedule", when={"in": {"hours": 1}}, n=13),
        op("fibo-schedule", when=at, n=14),
        op("fibo-schedule", when="now", n=15),
    ]
    async with still.daemon(FIBO, Use("interpreter-python", on_block=on_block)) as daemon:
        outcome = await daemon.call(RUN, json.dumps(program))
        gave = json.loads(str(outcome.value["ok"]))
        assert gave[3:6] == [{"ok": None}] * 3
        now, later, last, hour, sixty, also_now = [ExecutionId(made["id"]) for made in (*gave[:3], *gave[6:])]
        assert [await daemon.result(one) for one in (now, also_now)] == [Returned({"ok": 55}), Returned({"ok": 610})]
        waiting = {later: 89, sixty: 377, last: 144, hour: 233}
        for step, due in (
            (timedelta(seconds=59, milliseconds=999), ()),
            (timedelta(milliseconds=1), (later, sixty)),
            (timedelta(minutes=1), (last,)),
            (timedelta(hours=1), (hour,)),
        ):
            clock.advance(step)
            daemon.look_at_the_clock()
            assert [await daemon.result(one) for one in due] == [Returned({"ok": waiting.pop(one)}) for one in due]
            assert {(await daemon.row(one)).status for one in waiting} <= {"pending_at"}
        await daemon.check(now, later, last, hour, sixty, also_now)
        first = (await daemon.log(later))[0].event
        assert first.scheduled_by == execution_id()
        assert first.parent is None


# delays that somebody cancels


@HOT_AND_UNLOAD
@INTERPRETERS
async def test_a_cancelled_delay_is_an_error_without_a_value(still: Lab, guest: str, on_block: str) -> None:
    program = [
        op("sleep", when={"in": {"hours": 1}}),
        CREATE,
        op("submit-delay", set=0, when={"in": {"hours": 1}}, hide=True),
        op("join-next", set=0),
    ]
    async with still.daemon(Use(guest, on_block=on_block)) as daemon:
        execution = await daemon.submit(RUN, json.dumps(program))
        for join_set in ("o:1", "g:1"):
            delay = delay_id(execution, join_set, 1)
            await daemon.until(
                lambda: daemon.row(execution),
                lambda row, join_set=join_set: row.status == "blocked" and row.join_set == join_set,
            )
            await daemon.store.cancel_delay(delay, daemon.services.clock.now())
        assert (await told(daemon, execution)).gave == [{"err": None}, 0, None, {"ok": {"err": None}}]
