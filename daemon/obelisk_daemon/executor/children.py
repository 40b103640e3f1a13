"""New executions: submitted from outside, or asked for by a workflow."""

from collections.abc import Iterable
from typing import Final

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.attempt import failure_outcome
from obelisk_daemon.execution.events import (
    ChildRequest,
    Created,
    Entry,
    Event,
    Finished,
    HistoryItem,
    JoinSetCreate,
    Schedule,
)
from obelisk_daemon.execution.joinsets import JoinSet
from obelisk_daemon.execution.outcome import FailureRecord
from obelisk_daemon.execution.state import apply, fold
from obelisk_daemon.executor.plan import FunctionPlan
from obelisk_daemon.executor.run import Services
from obelisk_daemon.ids import ExecutionId, FailureId
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


def new_execution(
    execution_id: ExecutionId, event: Created, at: Instant, spare_failure: FailureId | None = None
) -> NewExecution:
    """Make an execution that waits to be locked."""
    entries = (Entry(0, at, event),)
    return NewExecution(execution_id, entries, fold(entries), spare_failure=spare_failure)


def uncallable(
    services: Services, execution_id: ExecutionId, ffqn: str, params: list[object], at: Instant, **of: object
) -> NewExecution:
    """Make an execution that ends as it begins: what is called isn't there, or isn't what the caller's code knows.

    `of` are further fields of the first event.
    """
    event = msgspec.structs.replace(Created(ffqn=ffqn, params=params, component="", digest="", due_at=at), **of)
    reason = f"generation {services.plan.generation} has no {ffqn} of the type that the caller's code knows"
    failure = FailureRecord(services.ids.failure(), "uncategorized", reason)
    entries = (Entry(0, at, event), Entry(1, at, Finished(failure_outcome(failure))))
    return NewExecution(execution_id, entries, fold(entries), failure)


def new_child(
    services: Services, function: FunctionPlan, request: ChildRequest, parent: tuple[ExecutionId, str], at: Instant
) -> NewExecution:
    """Make a child that waits to be locked."""
    return new_execution(request.execution_id, created(services, function, request.params, at, parent=parent), at)


def lock_new(services: Services, function: FunctionPlan, new: NewExecution, at: Instant) -> tuple[NewExecution, Held]:
    """Have it be held by this executor from its first transaction on."""
    locked = services.plan.locking(services.executor_id, function)(services.ids.run(), 1)
    entry = Entry(1, at, locked)
    new = msgspec.structs.replace(new, entries=(*new.entries, entry), state=apply(new.state, entry))
    return new, Held(new.execution_id, locked, new.created, at, new.state)


def all_scheduled(
    services: Services, caller_digest: str, asked: Iterable[tuple[Instant, HistoryItem]], by: ExecutionId
) -> tuple[NewExecution, ...]:
    """Make the top-level executions that a workflow asked for."""
    return tuple(
        _new_scheduled(services, caller_digest, item, by, at)
        for at, item in asked
        if isinstance(item, Schedule) and item.error is None
    )


def _new_scheduled(
    services: Services, caller_digest: str, event: Schedule, by: ExecutionId, at: Instant
) -> NewExecution:
    assert isinstance(event.params, list)
    function = services.plan.callee(event.ffqn, caller_digest)
    if function is None:
        return uncallable(services, event.execution_id, event.ffqn, event.params, at, scheduled_by=by)
    made = created(services, function, event.params, event.due_at, scheduled_by=by)
    return new_execution(event.execution_id, made, at, services.ids.failure())


def opened_in(asked: Iterable[tuple[Instant, HistoryItem]], join_set: str) -> bool:
    """Tell if a join set is only being created, so that nothing can have answered yet."""
    return any(isinstance(item, JoinSetCreate) and item.join_set == join_set for _, item in asked)


def cancellable(services: Services, closed: JoinSet) -> tuple[ExecutionId, ...]:
    """Give the children in a join set that end when they are asked to, as far as they have not answered."""
    known = services.plan.functions
    return tuple(id_ for id_, ffqn in closed.children_unanswered() if ffqn not in known or known[ffqn].cancellable)


def is_call_of(existing: Event, event: Schedule) -> bool:
    """Tell if an execution, by its first event, is what a workflow asks for: the same once more changes nothing."""
    assert isinstance(existing, Created)
    wanted = (event.ffqn, codec.encode(event.params), None, None, (), None)
    params, more = codec.encode(existing.params), (existing.intent, existing.retried_from)
    return (existing.ffqn, params, *more, existing.labels, existing.priority) == wanted
