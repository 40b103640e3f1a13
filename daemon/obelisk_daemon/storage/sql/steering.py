"""Logical transactions of an operator: pause and resume executions and delays, give stubs their results."""

from typing import Literal

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import ConflictError, NotFoundError
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import ComponentUpgraded, Paused, Unlocked, Unpaused
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.ids import DelayId, ExecutionId
from obelisk_daemon.storage.sql import rows, writes
from obelisk_daemon.storage.sql.transaction import Transaction


def pause(tx: Transaction, execution_id: ExecutionId, at: Instant) -> bool:
    """Stop an execution until it is resumed; False when it is paused already.

    Raises:
        NotFoundError: `execution_not_found`.
        ConflictError: `already_finished`, `cancelling`, or `running`: an activity that runs can't be paused.
    """
    state = rows.read_state(tx, execution_id)
    if state.lifecycle == "paused" and state.pause_reason == "operator":
        return False
    if state.status == "finished":
        raise ConflictError("already_finished", f"{execution_id} has finished")
    if state.lifecycle == "cancelling":
        raise ConflictError("cancelling", f"{execution_id} is being cancelled")
    if state.lifecycle == "paused":  # by the daemon, which would lift it by itself
        state = writes.add_event(tx, execution_id, state, Unpaused("operator"), at)
    if state.status == "locked":
        _, created = rows.read_created(tx, execution_id)
        if created.terms is None:  # an activity, which has no log to go on from
            raise ConflictError("running", f"{execution_id} runs now; pause it between attempts, or cancel it")
        state = writes.add_event(tx, execution_id, state, Unlocked("paused", at), at)
    writes.add_event(tx, execution_id, state, Paused("operator"), at)
    return True


def unpause(tx: Transaction, execution_id: ExecutionId, at: Instant, reason: str) -> bool:
    """Lift a pause; what had been due meanwhile is due at once. False when it is not paused."""
    state = rows.read_state(tx, execution_id)
    if state.lifecycle != "paused":
        return False
    writes.add_event(tx, execution_id, state, Unpaused(reason), at)
    return True


def upgrade(tx: Transaction, execution_id: ExecutionId, event: ComponentUpgraded, at: Instant) -> None:
    """Move an execution to the current code of its function, and lift an automatic pause; a workflow's run ends.

    Raises:
        NotFoundError: `execution_not_found`.
        ConflictError: `already_finished`, `cancelling`; `running`: an activity that runs can't be moved; `outdated`:
            the code is not the current one.
    """
    row = tx.execute("execution_row", (execution_id,)).fetchone()
    if row is None:
        raise rows.not_found(execution_id)
    state = rows.state_of(row)
    if state.status == "finished":
        raise ConflictError("already_finished", f"{execution_id} has finished")
    if state.lifecycle == "cancelling":
        raise ConflictError("cancelling", f"{execution_id} is being cancelled")
    _, created = rows.read_created(tx, execution_id)
    if state.run_id is not None and created.terms is None:
        raise ConflictError("running", f"{execution_id} runs now, and its next attempt is on the current code anyway")
    if tx.execute("allows", (row["ffqn"], event.digest)).fetchone() is None:
        raise ConflictError("outdated", f"{event.digest} is not the current code of {row['ffqn']} any more")
    tx.execute("forget_failed_digest", (execution_id, event.digest))
    if state.run_id is not None:
        state = writes.add_event(tx, execution_id, state, Unlocked("upgraded", at), at)
    state = writes.add_event(tx, execution_id, state, event, at)
    if state.pause_reason in ("nondeterminism", "trap"):
        writes.add_event(tx, execution_id, state, Unpaused("upgraded"), at)


def set_delay_paused(tx: Transaction, delay_id: DelayId, paused: bool) -> Instant:
    """Hold a delay back, or let it go on; give when it is due.

    Raises:
        NotFoundError: `delay_not_found`: it has fired, was cancelled, or never was.
    """
    row = tx.execute("set_delay_paused", (int(paused), delay_id)).fetchone()
    if row is None:
        raise _no_delay(delay_id)
    return Instant(row["due_at"])


def finish_stub(
    tx: Transaction, execution_id: ExecutionId, ffqn: str, returned: Returned, at: Instant
) -> Literal["ok", "execution_not_found", "conflict"]:
    """Give a stub's execution its result, once."""
    row = tx.execute("execution_row", (execution_id,)).fetchone()
    if row is None or row["ffqn"] != ffqn:
        return "execution_not_found"
    state = rows.state_of(row)
    if state.lifecycle == "cancelling":
        return "conflict"
    if state.status == "finished":
        return "ok" if codec.encode(state.outcome) == codec.encode(returned) else "conflict"
    writes.end(tx, execution_id, state, returned, at)
    return "ok"


def _no_delay(delay_id: DelayId) -> NotFoundError:
    return NotFoundError("delay_not_found", f"there is no delay {delay_id} that is still to end")
