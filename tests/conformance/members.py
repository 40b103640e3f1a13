"""Workflows that wait for members of a join set, and members that answer."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    DelayRequest,
    Finished,
    HistoryItem,
    JoinNext,
    JoinSetCreate,
    JoinSetRequest,
)
from obelisk_daemon.executor.children import NEVER
from obelisk_daemon.ids import DelayId, ExecutionId, child_id, delay_id
from obelisk_daemon.storage.records import Awaits, Held, NewExecution, NewResponse
from tests.building import OK, RunScript, created, history, new_execution
from tests.conformance.world import World

STUB = "testing:approval/approval.approve"


class Members(NamedTuple):
    """What a workflow puts into a join set: children by their function, then delays by their seconds from now."""

    children: Sequence[str] = ()
    delays: Sequence[float] = ()


class Made(NamedTuple):
    """What came of it, by id."""

    children: list[ExecutionId]
    delays: list[DelayId]


async def wait_for(
    world: World, run: RunScript, members: Members, *, join_set: str = "o:1", needed: int = 1, keep: bool = False
) -> Made:
    """Have a workflow make a join set and wait until so many of its members have answered."""
    items: list[HistoryItem] = [JoinSetCreate(join_set)]
    children = [_child(world, run, join_set, place, ffqn) for place, ffqn in enumerate(members.children, 1)]
    times = [after(world.now, timedelta(seconds=seconds)) for seconds in members.delays]
    delays = [_delay(run, join_set, place, at) for place, at in enumerate(times, 1 + len(children))]
    asked = [ChildRequest(new.execution_id, new.created.ffqn, new.created.params) for new in children]
    items += [JoinSetRequest(join_set, request) for request in (*asked, *delays)]
    made = run.append(
        world.now,
        *history(*items, JoinNext(join_set)),
        children=tuple(children),
        delays=tuple((join_set, request) for request in delays),
        awaits=Awaits(join_set, needed, is_new=True),
    )
    await world.append(run._blocked(made, join_set, keep=keep))
    return Made([new.execution_id for new in children], [request.delay_id for request in delays])


async def take_next(world: World, run: RunScript, join_set: str, needed: int) -> None:
    """Have a workflow take another answer, and wait where there are fewer than `needed` in all."""
    made = run.append(world.now, *history(JoinNext(join_set)), awaits=Awaits(join_set, needed, is_new=False))
    await world.append(run._blocked(made, join_set, keep=True))


async def answer(world: World, children: Sequence[Held]) -> None:
    """Have children end, and their parent told of it."""
    for held in children:
        of = held.created.parent
        assert of is not None
        response = NewResponse(*of, world.now, ChildFinished(held.execution_id, OK))
        await world.append(RunScript(held).append(world.now, Finished(OK), response=response))


def _child(world: World, run: RunScript, join_set: str, place: int, ffqn: str) -> NewExecution:
    due_at = NEVER if ffqn == STUB else world.now
    event = created(ffqn, parent=(run.execution_id, join_set), due_at=due_at)
    return new_execution(event, child=child_id(run.execution_id, join_set, place), at=world.now)


def _delay(run: RunScript, join_set: str, place: int, at: Instant) -> DelayRequest:
    return DelayRequest(delay_id(run.execution_id, join_set, place), ("at", at), at)
