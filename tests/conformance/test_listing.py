"""Promises about lists: exactly what fits, newest first, in pages for which the work is bounded."""

from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.errors import ConflictError, NotFoundError
from obelisk_daemon.execution.events import Finished
from obelisk_daemon.execution.outcome import FailureKind, Outcome, Returned
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import ListFilter, Place, Summary
from obelisk_daemon.storage.sql import listing
from tests.building import (
    ACTIVITY,
    OK,
    OTHER_DIGEST,
    RunScript,
    created,
    execution_id,
    failed,
    failure,
    new_execution,
)
from tests.conformance.world import World
from tests.fakes.listing import fits, listed

pytestmark = pytest.mark.anyio

PARENT = execution_id(90)
FILTERS = {
    "all": ListFilter(),
    "pending": ListFilter(status="pending_at"),
    "locked": ListFilter(status="locked"),
    "blocked": ListFilter(status="blocked"),
    "finished": ListFilter(status="finished"),
    "paused": ListFilter(lifecycle="paused"),
    "cancelling": ListFilter(lifecycle="cancelling"),
    "active": ListFilter(lifecycle="active"),
    "finished and paused": ListFilter(status="finished", lifecycle="paused"),
    "function": ListFilter(ffqn_prefix=ACTIVITY),
    "functions": ListFilter(ffqn_prefix="testing:fibo/"),
    "no function": ListFilter(ffqn_prefix="testing:none"),
    "submitted label": ListFilter(label="gpu"),
    "label of the function": ListFilter(label="wide"),
    "part of a label": ListFilter(label="gp"),
    "tag": ListFilter(tags=(("team", "blue"),)),
    "tag with any value": ListFilter(tags=(("team", None),)),
    "two tags": ListFilter(tags=(("team", None), ("order", "7"))),
    "unknown tag": ListFilter(tags=(("team", "green"),)),
    "digest": ListFilter(digest_prefix=OTHER_DIGEST),
    "start of a digest": ListFilter(digest_prefix="sha256:ab"),
    "component": ListFilter(component="fibo"),
    "no component": ListFilter(component="fib"),
    "since": ListFilter(since=created().due_at),
    "parent": ListFilter(parent=PARENT),
    "top level": ListFilter(top_level=True),
    "ok": ListFilter(outcome="ok"),
    "err": ListFilter(outcome="err"),
    "failed": ListFilter(outcome="failed"),
    "failure": ListFilter(failure="trap"),
    "failure and outcome": ListFilter(failure="trap", outcome="err"),
    "unfinished failure": ListFilter(failure="trap", status="locked"),
    "failed with a label and a tag": ListFilter(outcome="failed", label="gpu", tags=(("team", "blue"),)),
    "pending with a label": ListFilter(status="pending_at", label="gpu", ffqn_prefix=ACTIVITY),
    "unfinished": ListFilter(unfinished=True),
    "unfinished of a function": ListFilter(unfinished=True, ffqn_prefix=ACTIVITY, top_level=True),
    "unfinished and finished": ListFilter(unfinished=True, status="finished"),
    "top level of a parent": ListFilter(parent=PARENT, top_level=True),
}


async def populate(world: World) -> None:
    """Make executions that differ in all that a filter can ask for."""
    outcomes: list[Outcome] = [OK, Returned({"err": 1}), failed(1), failed(2, "timed_out"), OK, failed(3)]
    details: list[dict[str, object]] = [
        {},
        {"labels": ("gpu",), "tags": {"order": "7", "team": "blue"}},
        {"labels": ("eu", "gpu")},
        {"tags": {"team": "red"}},
    ]
    for number, outcome in enumerate(outcomes * 3):
        event = created(due_at=world.now, **details[number % len(details)])
        await world.submit(event, number + 1)
        (held,) = await world.lock(limit=1, labels=["gpu", "eu"])
        record = [failure(100 + number, outcome.kind)] if not isinstance(outcome, Returned) else []
        if not isinstance(outcome, Returned):
            outcome = msgspec.structs.replace(outcome, failure_id=record[0].failure_id)  # noqa: PLW2901
        await world.append(RunScript(held).append(world.now, Finished(outcome), failures=tuple(record)))
        world.clock.advance(timedelta(seconds=number % 3))
    parent = await world.workflow(90)
    await world.append(parent.call(world.now, 1, keep=True))
    await world.lock()
    await world.allow(2, ACTIVITY, OTHER_DIGEST, labels=("wide",))
    for number in range(50, 58):
        await world.submit(created(due_at=world.now, digest=OTHER_DIGEST, **details[number % len(details)]), number)
    await world.store.pause(execution_id(51), world.now)
    await world.cancel(execution_id(52))


async def everything(world: World) -> list[Summary]:
    return (await world.store.reads.summaries(ListFilter(limit=500))).rows


async def pages(world: World, chosen: ListFilter) -> list[list[ExecutionId]]:
    """Give the ids of all pages, one after the other."""
    found: list[list[ExecutionId]] = []
    before: Place | None = None
    while not found or before is not None:
        page = await world.store.reads.summaries(msgspec.structs.replace(chosen, limit=3, before=before))
        assert len(page.rows) <= 3
        assert before is None or page.next is None or page.next < before
        found.append([row.execution_id for row in page.rows])
        before = page.next
    return found


async def test_a_list_has_exactly_what_fits_its_filter_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await populate(world)
    required = {ACTIVITY: ("wide",)}
    rows = await everything(world)
    assert len(rows) == 18 + 2 + 8
    for bounded in (False, True):
        if bounded:  # every limit of a page's work is met
            for name, value in {"EXAMINED": 2, "WALKED": 5, "MOST_UNFINISHED": 2, "_PROBED": 1}.items():
                monkeypatch.setattr(listing, name, value)
        for name, chosen in FILTERS.items():
            fitting = listed(rows, msgspec.structs.replace(chosen, limit=500), required).rows
            expected = [row.execution_id for row in fitting]
            read = await pages(world, chosen)
            assert [known for page in read for known in page] == expected, name
            if not bounded:
                assert all(len(page) == 3 for page in read[:-1]), name


async def test_a_page_looks_at_no_more_executions_than_it_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await populate(world)
    monkeypatch.setattr(listing, "WALKED", 6)
    page = await world.store.reads.summaries(ListFilter(component="none"))
    assert (page.rows, page.examined) == ([], 6)
    assert page.next is not None


@pytest.mark.parametrize("kind", [None, "trap"])
async def test_what_comes_meanwhile_changes_no_later_page(world: World, kind: FailureKind | None) -> None:
    await populate(world)
    chosen = ListFilter(limit=4, failure=kind)
    expected = [row.execution_id for row in await everything(world) if fits(row, chosen)]
    page = await world.store.reads.summaries(chosen)
    await world.submit(created(due_at=world.now, digest=OTHER_DIGEST), 200)
    rest = await world.store.reads.summaries(msgspec.structs.replace(chosen, limit=500, before=page.next))
    assert [row.execution_id for row in (*page.rows, *rest.rows)] == expected


async def test_the_newest_are_those_created_last_whatever_their_ids_are(world: World) -> None:
    for number in (3, 1, 2):
        await world.submit(created(due_at=world.now), number)
        world.clock.advance(timedelta(milliseconds=1))
    assert [row.execution_id for row in await everything(world)] == [execution_id(n) for n in (2, 1, 3)]


async def test_a_generation_has_what_was_created_while_it_was_active(world: World) -> None:
    await world.submit(number=1)
    world.clock.advance(timedelta(seconds=1))
    await world.activate(2)
    await world.submit(number=2)
    world.clock.advance(timedelta(seconds=1))
    await world.activate(3)
    await world.submit(number=3)

    async def of(generation: int) -> list[ExecutionId]:
        page = await world.store.reads.summaries(ListFilter(generation=generation))
        return [row.execution_id for row in page.rows]

    assert [await of(number) for number in (1, 2, 3)] == [[execution_id(number)] for number in (1, 2, 3)]
    with pytest.raises(NotFoundError) as missing:
        await of(4)
    assert missing.value.code == "generation_not_found"


async def test_a_span_of_time_has_its_first_instant_and_not_its_last(world: World) -> None:
    first = world.now
    await world.submit(number=1)
    world.clock.advance(timedelta(seconds=1))
    await world.submit(number=2)

    async def between(since: int, until: int) -> list[ExecutionId]:
        page = await world.store.reads.summaries(ListFilter(since=since, until=until))  # type: ignore[arg-type]
        return [row.execution_id for row in page.rows]

    assert await between(first, world.now) == [execution_id(1)]
    assert await between(first + 1, world.now + 1) == [execution_id(2)]


async def test_a_list_leaves_out_long_results_and_one_row_has_them(world: World) -> None:
    run = await world.start()
    await world.append(run.append(world.now, Finished(Returned({"ok": "x" * 2_000}))))
    (row,) = await everything(world)
    assert (row.outcome, row.ending) == (None, "ok")
    assert (await world.row(run.execution_id)).outcome == Returned({"ok": "x" * 2_000})


async def test_tags_are_part_of_what_makes_two_submissions_the_same(world: World) -> None:
    event = created(due_at=world.now, tags={"team": "blue"})
    submitted = await world.submit(event)
    assert await world.store.submit(new_execution(event)) is False
    with pytest.raises(ConflictError, match="is another call"):
        await world.store.submit(new_execution(created(due_at=world.now)))
    assert (await world.row(submitted)).tags == {"team": "blue"}
