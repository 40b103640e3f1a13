"""The events of an execution log, the history events of a workflow in it, and the responses beside it.

Names are those of DESIGN.md section 4 and appear as `type` in the API. An event is immutable once written, so a
field may be added with a default, and none may ever be removed or change its meaning.
"""

from typing import Literal, TypeAlias

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.outcome import FailureKind, Outcome
from obelisk_daemon.ids import DelayId, ExecutionId, ExecutorId, FailureId, RunId


class _Event(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True, gc=False):
    """Of values that hold no cycles: a log may have 100,000, which the garbage collector need not go through."""


Intent: TypeAlias = tuple[Literal["now", "at", "in"], int]
"""What a time was asked for as: now, an instant, or so many microseconds from now."""


class JsonCallError(msgspec.Struct, frozen=True, array_like=True):
    """Why a function named at run time could not be called.

    `execution_exists` is the one that the guest is not told of, since the host interface has no such error: it traps.
    """

    kind: Literal["ffqn_parsing_error", "function_not_found", "type_check_error", "execution_exists"]
    reason: str = ""


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
    intent: Intent
    due_at: Instant


class RefusedRequest(_Event, frozen=True, tag="refused"):
    """The workflow asked by JSON for a child that could not be made; `error` is what it was told."""

    ffqn: str
    params: str
    error: JsonCallError


class JoinSetRequest(_Event, frozen=True, tag="join_set_request"):
    """The workflow added a member to a join set."""

    join_set: str
    request: ChildRequest | DelayRequest | RefusedRequest


class JoinNext(_Event, frozen=True, tag="join_next"):
    """The workflow takes the next response of a join set, waiting for it if need be.

    `function` is the ffqn it wants the response of. With `closing` it takes all that are left, and no others follow;
    `outcome` is how its function had ended by then, and the guest is never run again.
    """

    join_set: str
    function: str | None = None
    closing: bool = False
    outcome: Outcome | None = None


class JoinNextTry(_Event, frozen=True, tag="join_next_try"):
    """The workflow takes the next response of a join set if it is there: what it found."""

    join_set: str
    found: Literal["found", "pending", "all_processed"]


class JoinNextTooMany(_Event, frozen=True, tag="join_next_too_many"):
    """The workflow wanted the next response of a join set of which it had taken all."""

    join_set: str
    function: str | None = None


class Persist(_Event, frozen=True, tag="persist"):
    """A value that the host drew for the workflow: what was asked, and the value.

    `args` are the least and the greatest value, or length, that was asked for: both fit 64 bits.
    """

    kind: Literal["random_u64", "random_string", "execution_id"]
    args: tuple[int, int]
    value: int | str


class Schedule(_Event, frozen=True, tag="schedule"):
    """The workflow made a top-level execution that outlives it; with `error` it was told why there is none."""

    execution_id: ExecutionId
    ffqn: str
    params: list[object] | str
    intent: Intent
    due_at: Instant
    error: JsonCallError | None = None


class Stub(_Event, frozen=True, tag="stub"):
    """The workflow gave a stub's execution its result; `came` is what it was told of that."""

    execution_id: ExecutionId
    result: object
    came: Literal["ok", "execution_not_found", "type_check_error", "conflict"]
    reason: str = ""


HistoryItem: TypeAlias = (
    JoinSetCreate | JoinSetRequest | JoinNext | JoinNextTry | JoinNextTooMany | Persist | Schedule | Stub
)


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
    scheduled_by: ExecutionId | None = None
    retried_from: ExecutionId | None = None
    terms: GuestTerms | None = None
    intent: Intent | None = None
    """What a client asked for as the time to start, if not at once; `due_at` is what came of it."""
    labels: tuple[str, ...] = ()
    """What the submitter requires of the executor beside what the function requires: sorted."""
    priority: int | None = None
    """What the submitter asked for, 0 to 9; if nothing, the manifest's holds."""
    tags: dict[str, str] = {}
    """What the submitter wants it to be found by; sorted by key."""


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
    upgrade_from: str | None = None
    """The digest that the execution has so far: this run tries whether its log replays on `digest`."""


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
    failure_id: FailureId | None = None


class Finished(_Event, frozen=True, tag="finished"):
    """The end. `failure_id` names what was recorded of an attempt that returned an error."""

    outcome: Outcome
    failure_id: FailureId | None = None


class HistoryEvent(_Event, frozen=True, tag="history_event"):
    """What a workflow asked of the host."""

    event: HistoryItem


class Paused(_Event, frozen=True, tag="paused"):
    """Nothing runs until `unpaused`; `digest` is the code that could not go on, for an automatic pause."""

    reason: Literal["nondeterminism", "trap", "operator", "quarantined"]
    failure_id: FailureId | None = None
    digest: str | None = None
    message: str | None = None


class Unpaused(_Event, frozen=True, tag="unpaused"):
    """The pause is over."""

    reason: str


class ComponentUpgraded(_Event, frozen=True, tag="component_upgraded"):
    """The log was replayed on other code: it goes on with that (`ok`), or stays where it was.

    `version` and `message` are of the divergence. `abi` is the version of the host interface it was tried under.
    `forced`: an operator moved it without a replay.
    """

    ok: bool
    digest: str
    abi: int
    version: int | None = None
    message: str | None = None
    forced: bool = False


class CancellationRequested(_Event, frozen=True, tag="cancellation_requested"):
    """Somebody wants the execution to end; with `force`, also what below it may not be cancelled otherwise."""

    force: bool = False


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
    | ComponentUpgraded
)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An event in its place in the log."""

    version: int
    created_at: Instant
    event: Event


class ChildFinished(_Event, frozen=True, tag="child_finished"):
    """A child ended."""

    execution_id: ExecutionId
    outcome: Outcome


class DelayFinished(_Event, frozen=True, tag="delay_finished"):
    """A delay's time came, or it was cancelled."""

    delay_id: DelayId
    cancelled: bool = False


ResponseItem: TypeAlias = ChildFinished | DelayFinished


class Response(msgspec.Struct, frozen=True, gc=False):
    """What a join-set member delivered. `seq` counts from 1 within the receiving execution."""

    seq: int
    created_at: Instant
    join_set: str
    item: ResponseItem
