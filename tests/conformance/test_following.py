from datetime import timedelta

import pytest

from obelisk_daemon.errors import NotFoundError
from obelisk_daemon.execution.events import Entry
from obelisk_daemon.ids import ExecutionId, child_id
from obelisk_daemon.storage.records import LogLine, NewExecution, Position
from obelisk_daemon.storage.sql import following
from tests.building import call_items as call
from tests.building import created, execution_id, history, new_execution
from tests.conformance.members import Members, wait_for
from tests.conformance.world import World

pytestmark = pytest.mark.anyio
ID = execution_id()


async def test_progress_gives_what_is_new_of_each_kind_and_the_state(world: World) -> None:
    run = await world.workflow()
    lines = (LogLine(world.now, "info", "one"), LogLine(world.now, "info", "two"))
    await world.append(run.call(world.now, 1, keep=False, logs=lines))
    whole = await world.store.reads.progress(ID, Position(), 100, logs=True)
    assert [entry.version for entry in whole.entries] == list(range(5))
    assert [line.message for _, _, line in whole.lines] == ["one", "two"]
    assert (whole.summary.version, whole.summary.status, whole.more) == (5, "blocked", frozenset())
    newer = await world.store.reads.progress(ID, Position(3, 0, whole.lines[0][0]), 100, logs=True)
    assert [entry.version for entry in newer.entries] == [3, 4]
    assert [line.message for _, _, line in newer.lines] == ["two"]
    assert (await world.store.reads.progress(ID, Position(), 100, logs=False)).lines == []


async def test_progress_gives_responses_after_a_number(world: World) -> None:
    run = await world.workflow()
    await wait_for(world, run, Members(delays=(1, 2)), needed=2)
    world.clock.advance(timedelta(seconds=5))
    await world.fire()
    both = await world.store.reads.progress(ID, Position(), 100, logs=False)
    assert [response.seq for response in both.responses] == [1, 2]
    second = await world.store.reads.progress(ID, Position(responses=1), 100, logs=False)
    assert second.responses == both.responses[1:]


async def test_a_page_of_progress_ends_at_its_limit_and_says_so(world: World) -> None:
    run = await world.workflow()
    await world.append(run.call(world.now, 1, keep=False))
    page = await world.store.reads.progress(ID, Position(), 2, logs=True)
    assert [entry.version for entry in page.entries] == [0, 1]
    assert page.more == {"events"}
    assert (await world.store.reads.progress(ID, Position(version=3), 2, logs=True)).more == frozenset()


async def test_a_page_of_progress_ends_where_it_gets_large(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_LARGEST_PAGE", 1)
    run = await world.workflow()
    await world.append(run.call(world.now, 1, keep=False))
    page = await world.store.reads.progress(ID, Position(), 100, logs=True)
    assert (len(page.entries), page.more) == (1, {"events"})


async def test_a_page_of_the_log_ends_where_it_gets_large_and_is_never_empty_before_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await world.workflow()
    await world.append(run.call(world.now, 1, keep=False))
    whole = await world.log(ID)
    read: list[Entry] = []
    monkeypatch.setattr(following, "_LARGEST_PAGE", 1)
    while page := await world.store.reads.entries(ID, len(read), 100):
        assert len(page) == 1
        read += page
    assert len(read) > 3
    assert read == whole


async def test_progress_of_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFoundError, match="there is no execution"):
        await world.store.reads.progress(ID, Position(), 10, logs=True)


async def test_rows_of_several_executions_are_read_together(world: World) -> None:
    for number in (1, 2, 3):
        await world.submit(number=number)
    wanted = [execution_id(number) for number in (3, 1, 7)]
    found = await world.store.reads.summaries_of(wanted)
    assert {one.execution_id for one in found} == {execution_id(1), execution_id(3)}
    assert found[0] == await world.row(found[0].execution_id)
    assert await world.store.reads.summaries_of([]) == []


async def family(world: World) -> list[ExecutionId]:
    """Give a workflow three children, of which the first has one."""
    run = await world.workflow()
    children = [child_id(ID, f"o:{number}", 1) for number in (1, 2, 3)]
    below = child_id(children[0], "o:1", 1)

    def new(known: ExecutionId, parent: ExecutionId) -> NewExecution:
        return new_execution(created(parent=(parent, "o:1"), due_at=world.now), child=known, at=world.now)

    made = run.append(
        world.now,
        *history(*call(ID, 1)[:2]),
        children=(*(new(child, ID) for child in children), new(below, children[0])),
    )
    await world.append(made)
    return [*children, below]


@pytest.mark.parametrize(
    ("depth", "limit", "shown", "cut"),
    [
        (3, 100, [0, 1, 2, 3], []),
        (1, 100, [0, 1, 2], [0]),
        (0, 100, [], [None]),
        (3, 3, [0, 1], [None, 0]),
        (3, 4, [0, 1, 2], [0]),
        (3, 1, [], [None]),
    ],
)
async def test_a_tree_goes_as_deep_and_as_far_as_it_may(
    world: World, depth: int, limit: int, shown: list[int], cut: list[int | None]
) -> None:
    members = await family(world)
    tree = await world.store.reads.tree(ID, depth, limit)
    assert [node.execution_id for node in tree.nodes] == [ID, *(members[index] for index in shown)]
    assert tree.cut == {ID if index is None else members[index] for index in cut}


async def test_a_tree_of_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFoundError, match="there is no execution"):
        await world.store.reads.tree(ID, 3, 10)


async def test_it_is_published_what_is_new_and_which_run_began(world: World) -> None:
    run = await world.workflow()
    await world.append(run.call(world.now, 1, keep=False))
    child = child_id(ID, "o:1", 1)
    (held,) = await world.lock()
    assert held.execution_id == child
    published = [(one.status, one.is_new, one.has_begun) for one in world.states(ID)]
    assert published == [("pending_at", True, False), ("locked", False, True), ("blocked", False, False)]
    assert [(one.is_new, one.has_begun) for one in world.states(child)] == [(True, False), (False, True)]
