"""The documents in streams and trees. An execution's are short: what it was called with is in its own document."""

from typing import Any

import msgspec

from obelisk_daemon.api.documents import DriftDocument
from obelisk_daemon.api.rendering import result_json
from obelisk_daemon.clock import to_rfc3339
from obelisk_daemon.execution.outcome import Failed, Outcome
from obelisk_daemon.execution.state import Lifecycle, Status
from obelisk_daemon.executor.children import NEVER
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.generations import Generation
from obelisk_daemon.storage.records import Summary, Tree


class ShortDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution in short."""

    execution_id: str
    ffqn: str
    state: Status
    lifecycle: Lifecycle
    created_at: str
    changed_at: str
    component: str
    version: int
    attempts: int
    started_at: str | None = None
    due_at: str | None = None
    waiting_for: str | None = None
    """The join set that a blocked workflow waits for."""
    pause_reason: str | None = None
    parent_id: str | None = None
    outcome: str | None = None
    """`ok`, `err` or `failed`, when it has finished."""
    failure_kind: str | None = None
    """When it failed."""


class FinishedDocument(ShortDocument, frozen=True, kw_only=True, omit_defaults=True):
    """One execution in short, with its result."""

    result: dict[str, Any]


class ChangedDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an execution has become: the newest of all that it was within a tenth of a second."""

    execution_id: str
    ffqn: str
    state: Status
    lifecycle: Lifecycle
    changed_at: str
    outcome: str | None = None
    failure_kind: str | None = None
    parent_id: str | None = None


class TreeDocument(ShortDocument, frozen=True, kw_only=True, omit_defaults=True):
    """An execution in short and its children, each with theirs. `more`: it has children that are left out."""

    children: "list[TreeDocument]" = []
    more: bool = False


class RatesDocument(msgspec.Struct, frozen=True):
    """How many executions a second were made and ended, and how many runs began."""

    submitted: float
    started: float
    finished: float


class LoadDocument(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is to do. `executions` counts the unfinished ones by state and lifecycle."""

    at: str
    executions: dict[str, int]
    running: int
    hot: int
    rates: RatesDocument


class GenerationChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The generation that is active from now on, and what led to it."""

    generation: int
    activated_at: str
    cause: str
    restored: int | None = None


class DriftNow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The files that differ from what is active; none, when all is as it should be."""

    drift: list[DriftDocument]
    manifest_refused: str | None = None
    """Why the last content of the manifest's file did not become active."""


class NoteDocument(msgspec.Struct, frozen=True):
    """Why a stream begins anew, or ends."""

    reason: str


def short(found: Summary) -> ShortDocument:
    """Describe an execution in short."""
    return ShortDocument(**_fields(found))


def finished(found: Summary) -> FinishedDocument:
    """Describe an execution that has finished in short, with its result."""
    assert found.outcome is not None
    return FinishedDocument(**_fields(found), result=result_json(found.outcome))


def nested(found: Tree) -> TreeDocument:
    """Describe an execution with what is below it, the children in the order in which they were asked for."""
    below: dict[ExecutionId, list[Summary]] = {}
    for node in found.nodes[1:]:
        assert node.parent_id is not None
        below.setdefault(node.parent_id, []).append(node)

    def document(node: Summary) -> TreeDocument:
        children = sorted(below.get(node.execution_id, ()), key=lambda child: (child.created_at, order_of(child)))
        cut = node.execution_id in found.cut
        return TreeDocument(**_fields(node), children=[document(child) for child in children], more=cut)

    return document(found.nodes[0])


def order_of(child: Summary) -> tuple[int, str]:
    """Put what was asked for at the same time in the order of its numbers: `_2` comes before `_10`."""
    return len(child.execution_id), child.execution_id


def changed(found: Summary) -> ChangedDocument:
    """Describe what an execution has become."""
    outcome, kind = ended(found.outcome)
    return ChangedDocument(
        execution_id=found.execution_id,
        ffqn=found.ffqn,
        state=found.status,
        lifecycle=found.lifecycle,
        changed_at=to_rfc3339(found.changed_at),
        outcome=outcome,
        failure_kind=kind,
        parent_id=found.parent_id,
    )


def _fields(found: Summary) -> dict[str, Any]:
    outcome, kind = ended(found.outcome)
    due_at = None if found.due_at == NEVER else found.due_at
    return {
        "execution_id": found.execution_id,
        "ffqn": found.ffqn,
        "state": found.status,
        "lifecycle": found.lifecycle,
        "created_at": to_rfc3339(found.created_at),
        "changed_at": to_rfc3339(found.changed_at),
        "component": found.component,
        "version": found.version,
        "attempts": found.attempts,
        "started_at": None if found.started_at is None else to_rfc3339(found.started_at),
        "due_at": None if due_at is None else to_rfc3339(due_at),
        "waiting_for": found.join_set,
        "pause_reason": found.pause_reason,
        "parent_id": found.parent_id,
        "outcome": outcome,
        "failure_kind": kind,
    }


def generation_change(of: Generation) -> GenerationChange:
    """Describe a generation that is active."""
    return GenerationChange(
        generation=of.number, activated_at=to_rfc3339(of.activated_at), cause=of.cause, restored=of.restored
    )


def ended(outcome: Outcome | None) -> tuple[str | None, str | None]:
    """Say in a word how an execution ended, and in another one of which kind its failure was."""
    if outcome is None:
        return None, None
    if isinstance(outcome, Failed):
        return "failed", outcome.kind
    return ("ok" if outcome.is_ok else "err"), None
