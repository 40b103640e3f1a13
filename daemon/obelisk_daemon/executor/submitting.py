"""Submissions: what is due at once is locked as it is made, where an executor of this process has a slot for it.

So it needs no look for work, and no commit to lock it; it runs once the one that makes it is durable. The rule stays as
it is: it waits behind all that was due before, and runs nothing that the active generation does not allow.
"""

from collections.abc import Sequence

from obelisk_daemon.executor.children import lock_new
from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.executor.plan import FunctionPlan
from obelisk_daemon.storage.port import Store
from obelisk_daemon.storage.records import NewExecution


async def submit(store: Store, members: Sequence[Executor], new: NewExecution) -> NewExecution | None:
    """Make a top-level execution, and run it if that may begin; give it as it was made, None where it is there already.

    Raises:
        ConflictError: `execution_exists`: the id is taken by another call.
        QueueFullError: `queue_full`.
        StorageUnavailableError: nothing was written.
    """
    for member in members:
        function = _function_for(member, new)
        if function is None or not member.try_reserve(function):
            continue
        locked, held = lock_new(member.services, function, new, new.state.changed_at)
        submission = store.queue_submission(locked)
        member.start_reserved(held, submission.ticket)
        is_new = await submission.outcome()
        ticket = submission.ticket
        is_locked = ticket.error is None and new.execution_id not in ticket.left_unlocked
        return None if not is_new else locked if is_locked else new
    return new if await store.submit(new) else None


def _function_for(member: Executor, new: NewExecution) -> FunctionPlan | None:
    """Give the function of what is due now, and may run on an executor by its submitter's labels."""
    created, plan = new.created, member.services.plan
    is_due = new.state.status == "pending_at" and created.due_at <= new.state.changed_at
    if not is_due or member.holds(new.execution_id) or not plan.labels.issuperset(created.labels):
        return None
    return plan.functions.get(created.ffqn)
