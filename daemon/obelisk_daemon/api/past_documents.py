"""What an execution was at a version of its log, as a document."""

from typing import Any, Literal

import msgspec

from obelisk_daemon.execution.state import Lifecycle, Status


class MemberDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A child or a delay in a join set; `version` is that of the event that asked for it."""

    version: int
    execution_id: str | None = None
    """Of a child."""
    ffqn: str | None = None
    delay_id: str | None = None
    due_at: str | None = None
    """Of a delay."""
    join_set: str | None = None
    """Where members of several are listed."""
    seq: int | None = None
    """Of its response, when it has come."""
    answered_at: str | None = None
    taken: bool = False
    """The workflow has got the response."""
    outcome: str | None = None
    """`ok`, `err`, `failed`; of a delay `finished` or `cancelled`."""
    failure_kind: str | None = None
    result: dict[str, Any] | None = None
    """What a child gave, unless it is long: the responses have all of it."""


class JoinSetDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A join set, made by the event at `version`. Where it has many members, those without a response come first."""

    name: str
    kind: Literal["one_off", "named", "generated"]
    version: int
    members: list[MemberDocument]
    members_total: int
    answered: int
    taken: int
    closing: bool = False
    """The workflow waits for all that are left, and then closes it."""
    closed: bool = False


class WaitsDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a workflow waits for, asked for at `version`: the next response of a join set, or all that are left."""

    join_set: str
    version: int
    function: str | None = None
    closing: bool = False


class PastDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an execution was when its log had `version` events, the last of them written at `at`.

    Of responses those are told that had come by then; of the newest version, all that have come.
    """

    execution_id: str
    version: int
    latest: int
    """How many events the log has."""
    at: str
    event: dict[str, Any]
    """The last of the events."""
    state: Status
    lifecycle: Lifecycle
    attempt: int
    component_digest: str
    responses: int
    join_sets: list[JoinSetDocument]
    join_sets_total: int
    pending: list[MemberDocument]
    """What was asked for and has not answered, the oldest first."""
    pending_total: int
    started_at: str | None = None
    due_at: str | None = None
    executor_id: str | None = None
    run_id: str | None = None
    waiting_for: WaitsDocument | None = None
    pause_reason: str | None = None
    result: dict[str, Any] | None = None
