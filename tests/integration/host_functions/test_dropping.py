"""A join set that the guest drops is closed before its next request, whatever that is."""

import pytest

from tests.integration.host_functions.conftest import Both
from tests.integration.host_functions.programs import CREATE, FIBO_NAME, NEVER, Program, op

pytestmark = [pytest.mark.anyio, pytest.mark.guests]


@pytest.mark.parametrize(
    ("next_one", "asks_for"),
    [
        (CREATE, "join_set_create"),
        (op("join-set-create-named", name="a"), "join_set_create"),
        (op("fibo", n=10), "join_set_create"),
        (op("call-json", function=FIBO_NAME, params=[10]), "join_set_create"),
        (op("sleep", when="now", hide=True), "join_set_create"),
        (op("random-u64", min=0, max=9), "persist"),
        (op("fibo-schedule", when=NEVER, n=1), "persist"),
        (op("fibo-submit", set=0, n=10), "join_set_request"),
        (op("submit-delay", set=0, when="now"), "join_set_request"),
        (op("join-next", set=0), "join_next_too_many"),
        (op("fibo-await-next", set=0), "join_next_too_many"),
        (op("approve-stub", execution="current", result={"ok": True}), "stub"),
    ],
    ids=lambda value: value["op"] if isinstance(value, dict) else "",
)
async def test_a_dropped_join_set_closes_before_the_next_request(both: Both, next_one: Program, asks_for: str) -> None:
    run = await both(
        CREATE,
        CREATE,
        op("approve-submit", set=1, order=7),
        op("submit-delay", set=1, when=NEVER),
        op("join-set-drop", set=1),
        next_one,
    )
    asked = run.history[4:]
    closing, following = asked[0], asked[1]
    assert (closing["type"], closing["join_set"], closing["closing"]) == ("join_next", "g:2", True)
    assert following["type"] == asks_for


async def test_a_dropped_join_set_that_owes_nothing_needs_no_event(both: Both) -> None:
    run = await both(CREATE, CREATE, op("join-set-drop", set=0), op("join-set-id", set=1))
    assert [item["type"] for item in run.history] == ["join_set_create"] * 2


async def test_join_sets_close_in_the_order_they_were_dropped_in(both: Both) -> None:
    sets = [CREATE, CREATE, CREATE, *[op("approve-submit", set=number, order=number) for number in range(3)]]
    run = await both(*sets, op("join-set-drop", set=2), op("join-set-drop", set=0), op("random-u64", min=0, max=9))
    closed = [item["join_set"] for item in run.history if item.get("closing")]
    assert closed == ["g:3", "g:1", "g:2"]


async def test_a_closed_child_was_cancelled_and_its_result_is_known(both: Both) -> None:
    run = await both(
        CREATE,
        op("approve-submit", set=0, order=7),
        op("join-set-close", set=0),
        op("get-execution-failure-kind", execution=0),
        op("approve-get", execution=0),
    )
    assert run.gave[3] == {"ok": "cancelled"}
    assert run.gave[4]["ok"]["err"].startswith("execution_failed: cancelled (Err_")
