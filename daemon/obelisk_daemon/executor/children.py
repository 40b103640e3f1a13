"""New executions: submitted from outside, or asked for by a workflow."""

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import ChildRequest, Created, Entry
from obelisk_daemon.execution.state import apply, fold
from obelisk_daemon.executor.plan import FunctionPlan
from obelisk_daemon.executor.run import Services
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.port import Held, NewExecution


def created(
    services: Services,
    function: FunctionPlan,
    params: list[object],
    due_at: Instant,
    parent: tuple[ExecutionId, str] | None = None,
) -> Created:
    """Make the first event of an execution on the current code, with a seed of its own."""
    return Created(
        ffqn=str(function.ffqn),
        params=params,
        component=function.component.name,
        digest=function.component.digest,
        due_at=due_at,
        seed=int.from_bytes(services.random(8)),
        parent=parent,
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
    event = created(services, function, request.params, at, parent)
    new = new_execution(request.execution_id, event, at)
    if not lock:
        return new, None
    locked = services.plan.locking(services.executor_id, function)(services.ids.run(), 1)
    entry = Entry(1, at, locked)
    new = NewExecution(new.execution_id, (*new.entries, entry), apply(new.state, entry))
    return new, Held(new.execution_id, locked, event, at, new.state)
