"""The events of an execution log, the history events of a workflow in it, and the responses beside it.

Names are those of DESIGN.md section 4 and appear as `type` in the API. An event is immutable once written, so a
field may be added with a default, and none may ever be removed or change its meaning.
"""

from typing import Literal, TypeAlias

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.outcome import FailureKind, Outcome
from obelisk_daemon.ids import DelayId, ExecutionId, ExecutorId, FailureId, RunId


class _Event(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    pass


class JoinSetCreate(_Event, frozen=True, tag="join_set_create"):
    """The workflow opened a join set."""

    join_set: str


class ChildRequest(_Event, frozen=True, tag="child"):
    """The workflow asked for a child execution."""

    execution_id: ExecutionId
    ffqn: str
    params: list[object]


class DelayRequest(_Event, frozen=True, tag="delay"):
    """The workflow asked for a durable timer.

    `intent` is what it asked for (`now`, `at` an instant, `in` so many microseconds) and is part of the
    deterministic key; `due_at` is the outcome and is not.
    """

    delay_id: DelayId
    intent: tuple[Literal["now", "at", "in"], int]
    due_at: Instant


class JoinSetRequest(_Event, frozen=True, tag="join_set_request"):
    """The workflow added a member to a join set."""

    join_set: str
    request: ChildRequest | DelayRequest


class JoinNext(_Event, frozen=True, tag="join_next"):
    """The workflow waits for the next response of a join set."""

    join_set: str


class Persist(_Event, frozen=True, tag="persist"):
    """A value that the host drew for the workflow: what was asked, and the value.

    `args` are the least and the greatest value, or length, that was asked for: both fit 64 bits.
    """

    kind: Literal["random_u64", "random_string"]
    args: tuple[int, int]
    value: int | str


HistoryItem: TypeAlias = JoinSetCreate | JoinSetRequest | JoinNext | Persist


class GuestTerms(msgspec.Struct, frozen=True, array_like=True):
    """What a workflow's replay must find again, whatever the manifest says by then: environment, memory and fuel."""

    env: dict[str, str]
    memory: int
    fuel: int


class Created(_Event, frozen=True, tag="created"):
    """The execution exists. `seed` (64 bits) feeds every random value a workflow sees."""

    ffqn: str
    params: list[object]
    component: str
    digest: str
    due_at: Instant
    seed: int = 0
    parent: tuple[ExecutionId, str] | None = None
    """The parent and the join set this child belongs to."""
    terms: GuestTerms | None = None


class RetryPolicy(msgspec.Struct, frozen=True, array_like=True):
    """How often a failed attempt is repeated, and how long to wait before: seconds and factors."""

    max_retries: int
    initial: float
    factor: float
    max: float
    jitter: float
    retry_on: tuple[Literal["error", "trap", "timeout"], ...]


class Locked(_Event, frozen=True, tag="locked"):
    """An executor holds the execution for one run, with the settings that were active then."""

    executor_id: ExecutorId
    run_id: RunId
    attempt: int
    digest: str
    generation: int
    timeout_us: int
    retry: RetryPolicy


class Unlocked(_Event, frozen=True, tag="unlocked"):
    """The run ended without an outcome and without being counted."""

    reason: str
    due_at: Instant


class TemporarilyFailed(_Event, frozen=True, tag="temporarily_failed"):
    """An attempt failed and will be repeated at `due_at`. `error` is the value an activity returned, if it did."""

    attempt: int
    reason: str
    due_at: Instant
    kind: FailureKind | Literal["error"]
    failure_id: FailureId | None = None
    error: object = None


class TemporarilyTimedOut(_Event, frozen=True, tag="temporarily_timed_out"):
    """An attempt ran out of time, or its daemon died (`lost`), and will be repeated at `due_at`."""

    attempt: int
    reason: Literal["timeout", "lost"]
    due_at: Instant


class Finished(_Event, frozen=True, tag="finished"):
    """The end."""

    outcome: Outcome


class HistoryEvent(_Event, frozen=True, tag="history_event"):
    """What a workflow asked of the host."""

    event: HistoryItem


class Paused(_Event, frozen=True, tag="paused"):
    """Nothing runs until `unpaused`; `digest` is the code that could not go on, for an automatic pause."""

    reason: Literal["nondeterminism", "operator"]
    failure_id: FailureId | None = None
    digest: str | None = None
    message: str | None = None


class Unpaused(_Event, frozen=True, tag="unpaused"):
    """The pause is over."""

    reason: str


class CancellationRequested(_Event, frozen=True, tag="cancellation_requested"):
    """Somebody wants the execution to end."""


Event: TypeAlias = (
    Created
    | Locked
    | Unlocked
    | TemporarilyFailed
    | TemporarilyTimedOut
    | Finished
    | HistoryEvent
    | Paused
    | Unpaused
    | CancellationRequested
)


class Entry(msgspec.Struct, frozen=True):
    """An event in its place in the log."""

    version: int
    created_at: Instant
    event: Event


class ChildFinished(_Event, frozen=True, tag="child_finished"):
    """A child ended."""

    execution_id: ExecutionId
    outcome: Outcome


class DelayFinished(_Event, frozen=True, tag="delay_finished"):
    """A delay's time came."""

    delay_id: DelayId


ResponseItem: TypeAlias = ChildFinished | DelayFinished


class Response(msgspec.Struct, frozen=True):
    """What a join-set member delivered. `seq` counts from 1 within the receiving execution."""

    seq: int
    created_at: Instant
    join_set: str
    item: ResponseItem
