"""New executions: submitted from outside, or asked for by a workflow."""

from typing import Final

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import ChildRequest, Created, Entry, Event, Schedule
from obelisk_daemon.execution.state import apply, fold
from obelisk_daemon.executor.plan import FunctionPlan
from obelisk_daemon.executor.run import Services
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Held, NewExecution

NEVER: Final = Instant(253_402_300_799_999_999)
"""When a stub is due: nobody runs it, it is given its result."""


def created(
    services: Services,
    function: FunctionPlan,
    params: list[object],
    due_at: Instant,
    *,
    parent: tuple[ExecutionId, str] | None = None,
    scheduled_by: ExecutionId | None = None,
) -> Created:
    """Make the first event of an execution on the current code, with a seed of its own."""
    is_stub = function.component.kind == "stub"
    return Created(
        ffqn=str(function.ffqn),
        params=params,
        component=function.component.name,
        digest=function.component.digest,
        due_at=NEVER if is_stub else due_at,
        seed=int.from_bytes(services.random(8)),
        parent=parent,
        scheduled_by=scheduled_by,
        terms=function.terms,
    )


def new_execution(execution_id: ExecutionId, event: Created, at: Instant) -> NewExecution:
    """Make an execution that waits to be locked."""
    entries = (Entry(0, at, event),)
    return NewExecution(execution_id, entries, fold(entries))


def new_child(
    services: Services, request: ChildRequest, parent: tuple[ExecutionId, str], at: Instant, *, lock: bool
) -> tuple[NewExecution, Held | None]:
    """Make a child; with `lock`, one that is held by this executor from its first transaction on."""
    function = services.plan.functions[request.ffqn]
    event = created(services, function, request.params, at, parent=parent)
    new = new_execution(request.execution_id, event, at)
    if not lock:
        return new, None
    locked = services.plan.locking(services.executor_id, function)(services.ids.run(), 1)
    entry = Entry(1, at, locked)
    new = NewExecution(new.execution_id, (*new.entries, entry), apply(new.state, entry))
    return new, Held(new.execution_id, locked, event, at, new.state)


def new_scheduled(services: Services, event: Schedule, by: ExecutionId, at: Instant) -> NewExecution:
    """Make a top-level execution that a workflow asked for."""
    function = services.plan.functions[event.ffqn]
    assert isinstance(event.params, list)
    return new_execution(
        event.execution_id, created(services, function, event.params, event.due_at, scheduled_by=by), at
    )


def is_call_of(existing: Event, event: Schedule) -> bool:
    """Tell if an execution, by its first event, is what a workflow asks for: the same once more changes nothing."""
    assert isinstance(existing, Created)
    wanted = (event.ffqn, codec.encode(event.params), None, None)
    return (existing.ffqn, codec.encode(existing.params), existing.intent, existing.retried_from) == wanted
