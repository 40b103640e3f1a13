"""Rows of the tables as the values of the port, and back."""

import json

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import NotFoundError
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import Created, Entry, Event, Response
from obelisk_daemon.execution.outcome import Evidence, FailureRecord, Outcome, ending_of
from obelisk_daemon.execution.state import State
from obelisk_daemon.ids import ExecutionId, RunId
from obelisk_daemon.storage.records import LogLine, NewExecution, StateChange, Summary
from obelisk_daemon.storage.sql.connection import Asked, Row


def state_of(row: Row) -> State:
    """Read the projection from a row of `execution`."""
    return State(
        version=row["version"],
        status=row["status"],
        lifecycle=row["lifecycle"],
        changed_at=row["changed_at"],
        digest=row["digest"],
        due_at=row["due_at"],
        executor_id=row["executor_id"],
        run_id=row["run_id"],
        locked_version=row["locked_version"],
        failed_attempts=row["failed_attempts"],
        join_set=row["join_set"],
        pause_reason=row["pause_reason"],
        outcome=outcome_of(row),
        started_at=row["started_at"],
    )


def outcome_of(row: Row) -> Outcome | None:
    """Read the outcome from a row of `execution`."""
    if row["outcome"] is None:
        return None
    return codec.decode_outcome(row["outcome"])


def failure_of(row: Row) -> FailureRecord:
    """Read a row of `failure`."""
    evidence = Evidence() if row["evidence"] is None else codec.decode_evidence(row["evidence"])
    return FailureRecord(row["failure_id"], row["kind"], row["message"], row["backtrace"], row["cause"], evidence)


def summary_of(row: Row) -> Summary:
    """Read a row of `execution` as the API lists it."""
    return Summary(
        execution_id=row["execution_id"],
        ffqn=row["ffqn"],
        component=row["component"],
        digest=row["digest"],
        status=row["status"],
        lifecycle=row["lifecycle"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        version=row["version"],
        attempts=row["failed_attempts"] + (row["status"] in ("locked", "finished")),
        due_at=row["due_at"],
        join_set=row["join_set"],
        pause_reason=row["pause_reason"],
        parent_id=row["parent_id"],
        outcome=outcome_of(row),
        labels=labels_of(row["labels"]),
        priority=row["priority"],
        started_at=row["started_at"],
        executor_id=row["executor_id"],
        ending=row["ending"],
        tags=tags_of(row["tags"]),
    )


def projection(state: State) -> tuple[object, ...]:
    """Give the values that `update_by_run` and `update_by_version` begin with."""
    return (
        state.digest,
        state.changed_at,
        state.version,
        state.status,
        state.lifecycle,
        state.due_at,
        state.executor_id,
        state.run_id,
        state.locked_version,
        state.failed_attempts,
        state.join_set,
        state.pause_reason,
        None if state.outcome is None else codec.encode(state.outcome),
        None if state.outcome is None else ending_of(state.outcome),
        state.started_at,
    )


def labels_of(text: str) -> tuple[str, ...]:
    """Read a column of labels."""
    return tuple(text.split(",")) if text else ()


def tags_of(text: str | None) -> dict[str, str]:
    """Read a column of tags."""
    return {} if text is None else json.loads(text)


def of_execution(new: NewExecution, state: State, rank: int | None, missing: int, answered: int) -> tuple[object, ...]:
    """Give the values of a new row that is in a state by the time it is written."""
    created = new.created
    parent_id, parent_join_set = created.parent or (None, None)
    return (
        new.execution_id,
        created.ffqn,
        created.component,
        state.digest,
        parent_id,
        parent_join_set,
        ",".join(created.labels),
        created.priority,
        rank,
        new.entries[0].created_at,
        *projection(state)[1:],
        json.dumps(created.tags, ensure_ascii=False) if created.tags else None,
        missing,
        answered,
    )


def is_queued(state: State | None) -> bool:
    """Tell if an execution waits and was never started: that is what `max_pending` counts."""
    return state is not None and state.status == "pending_at" and state.started_at is None


def of_failure(execution_id: ExecutionId, failure: FailureRecord) -> tuple[object, ...]:
    """Give the values of a failure."""
    evidence = None if failure.evidence == Evidence() else codec.encode(failure.evidence)
    values = (failure.failure_id, execution_id, failure.kind, failure.message, failure.backtrace, failure.cause)
    return (*values, evidence)


def change_of(execution_id: ExecutionId, state: State, *, is_new: bool = False) -> StateChange:
    """Give what is published of a state."""
    has_begun = state.locked_version == state.version - 1
    is_held = state.run_id is not None
    return StateChange(
        execution_id, state.status, state.lifecycle, state.due_at, is_held, is_new, has_begun, state.outcome
    )


def read_state(tx: Asked, execution_id: ExecutionId) -> State:
    """Read the current projection inside a writer transaction.

    Raises:
        NotFoundError: `execution_not_found`.
    """
    row = tx.execute("execution_row", (execution_id,)).fetchone()
    if row is None:
        raise not_found(execution_id)
    return state_of(row)


def read_created(tx: Asked, execution_id: ExecutionId) -> tuple[Instant, Created]:
    """Read the first event, and when it was written."""
    row = tx.execute("created_event", (execution_id,)).fetchone()
    event = codec.decode_event(row["body"])
    assert isinstance(event, Created)
    return Instant(row["created_at"]), event


def not_found(execution_id: str) -> NotFoundError:
    """Make the error for an id that names nothing."""
    return NotFoundError("execution_not_found", f"there is no execution {execution_id}")


def entry_of(row: Row) -> Entry:
    """Read a row of `event`."""
    event: Event = codec.decode_event(row["body"])
    return Entry(row["version"], row["created_at"], event)


def response_of(row: Row) -> Response:
    """Read a row of `response`."""
    return Response(row["seq"], row["created_at"], row["join_set"], codec.decode_response(row["body"]))


def log_line_of(row: Row) -> tuple[int, RunId | None, LogLine]:
    """Read a row of `log_line`, with its position and its run."""
    return row["position"], row["run_id"], LogLine(row["created_at"], row["level"], row["message"])
