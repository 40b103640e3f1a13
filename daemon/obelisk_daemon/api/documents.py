"""The JSON documents that the API gives and takes, as types: OpenAPI is made from them.

Optional fields are left out when there is nothing to say. Values of guests are `Any`: their types are WIT's.
"""

from typing import Any, Literal, TypeAlias

import msgspec

from obelisk_config import Role
from obelisk_daemon.api.why.facts import Code
from obelisk_daemon.execution.outcome import FailureKind
from obelisk_daemon.execution.state import Lifecycle, Status

Outcome: TypeAlias = Literal["ok", "err", "failed"]


class Submission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call to make: the function's full or unique shorter name, and its parameters as one JSON array."""

    ffqn: str
    params: list[Any] = []
    due_at: str | None = None
    """When it may start, as in RFC 3339; at once if left out."""
    due_in: str | None = None
    """After how long it may start, as in `1h30m`; instead of `due_at`."""
    labels: list[str] = []
    """What the executor must offer, beside what the function requires."""
    priority: int | None = None
    """From 0 to 9, the highest first; the manifest's if left out."""
    tags: dict[str, str] = {}
    """What it is to be found by: up to 16 keys with a value."""


class RefusedDocument(msgspec.Struct, frozen=True):
    """An execution of many that could not be changed or made: `code` and `message` are those of a single request."""

    execution_id: str
    code: str
    message: str


class ParentDocument(msgspec.Struct, frozen=True):
    """Who asked for a child execution."""

    execution_id: str


class ExecutionDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution. `labels` are those its function requires now; `version` is the number of its next event."""

    execution_id: str
    ffqn: str
    state: Status
    lifecycle: Lifecycle
    created_at: str
    changed_at: str
    component: str
    component_digest: str
    labels: list[str]
    attempts: int
    version: int
    submitted_labels: list[str] | None = None
    """What its submitter requires of the executor as well."""
    priority: int | None = None
    """What its submitter asked for; if nothing, the manifest's holds."""
    tags: dict[str, str] | None = None
    due_at: str | None = None
    waiting_for: str | None = None
    """The join set that a blocked workflow waits for."""
    parent: ParentDocument | None = None
    scheduled_by: str | None = None
    """The workflow that made this top-level execution, when only this one was asked for."""
    retried_from: str | None = None
    """The execution that this one repeats, when only this one was asked for."""
    pause_reason: str | None = None
    pause_message: str | None = None
    params: list[Any] | None = None
    """When only this execution was asked for."""
    outcome: Outcome | None = None
    """How it finished: with a result, with an error that its function returned, or without either."""
    failure_kind: FailureKind | None = None
    result: dict[str, Any] | None = None
    """In a list only where it is short."""
    failure: "FailureDocument | None" = None
    """Of a failed or automatically paused execution, when only it was asked for."""


class HttpDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An HTTP request of a failed attempt; without a `status` it had no answer, and `error` says why."""

    method: str
    url: str
    started_at: str
    duration_ms: float
    status: int | None = None
    error: str | None = None
    reason: str | None = None
    request_bytes: int = 0
    response_bytes: int = 0


class FailureDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything known of one failure. `cause` is the id of the failure that led to it."""

    failure_id: str
    kind: str
    message: str
    execution_id: str | None = None
    """Whose failure it is, when it was asked for by its id."""
    backtrace: str | None = None
    stderr: str | None = None
    """The end of what the attempt wrote there."""
    http: list[HttpDocument] | None = None
    """The last requests of the attempt."""
    http_left_out: int = 0
    """How many requests came before those."""
    cause: str | None = None
    causes: "list[FailureDocument] | None" = None
    """The failures that led to it, the nearest first, when it was asked for by its id; 32 at most."""


class ExecutionList(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page, newest first; `next` is the cursor of the page after it, if there is one.

    A page may be short, or empty, and still have a `next`: so many executions were looked at, and few of them fit.
    """

    executions: list[ExecutionDocument]
    next: str | None = None


class EventPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Events of an execution, oldest first; fewer than wanted where they are large, one at least if there is any.

    `next` is the version to ask from next. `finished` tells that nothing will follow what has been written by now.
    """

    events: list[dict[str, Any]]
    next: int
    finished: bool
    responses: list[dict[str, Any]] | None = None
    """What join-set members delivered; only when `responses_from` was given."""
    next_response: int | None = None


class ResponsePage(msgspec.Struct, frozen=True):
    """Responses that an execution received, oldest first; `next` is the `seq` to ask from next.

    There are fewer than wanted where they are large, one at least if there is any.
    """

    responses: list[dict[str, Any]]
    next: int
    finished: bool


class LogPage(msgspec.Struct, frozen=True):
    """Lines that guests logged or wrote, oldest first; `next` is the position to ask after next."""

    logs: list[dict[str, Any]]
    next: int
    finished: bool


class UnfinishedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no result yet."""

    execution_id: str
    state: Status
    lifecycle: Lifecycle


class CancelWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to cancel. `force` reaches workflows that may not be cancelled otherwise, all the way down."""

    force: bool = False


class CancelDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a cancellation did.

    `reached` counts the executions it ended, `awaited` those that must end by themselves first: workflows that may
    not be cancelled without `force`. The rest ends when they have.
    """

    execution_id: str
    already_finished: bool
    reached: int
    awaited: int


class PauseDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What pausing or resuming did: `changed` is false when there was nothing to do."""

    execution_id: str
    changed: bool
    state: Status
    lifecycle: Lifecycle


class RetryWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The id of the new execution; the daemon makes one if it is left out."""

    execution_id: str | None = None


class DelayDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A delay that is still to end. A paused one ends when it is resumed and due, or when it is cancelled."""

    delay_id: str
    join_set: str
    due_at: str
    paused: bool


class DelayList(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page, by id; `next` is the cursor of the page after it, if there is one."""

    delays: list[DelayDocument]
    next: str | None = None


class DelayPauseDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A delay after it was paused or resumed."""

    delay_id: str
    paused: bool
    due_at: str


class DelayCancelDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What cancelling a delay did."""

    delay_id: str
    already_ended: bool


class ParameterDocument(msgspec.Struct, frozen=True):
    """A parameter and its WIT type."""

    name: str
    type: str


class FunctionDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A function that can be submitted. `signature` is its whole type as WIT text."""

    ffqn: str
    kind: str
    component: str
    component_digest: str
    labels: list[str]
    signature: str
    params: list[ParameterDocument]
    settings: dict[str, Any]
    returns: str | None = None
    types: dict[str, Any] | None = None
    """`params`, pairs of name and type, and `result`: types in parts, for forms; only when they were asked for."""


class FunctionList(msgspec.Struct, frozen=True):
    """The functions of the active generation."""

    generation: int
    functions: list[FunctionDocument]


class ComponentDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A component of the active generation; `size` is in bytes."""

    name: str
    kind: str
    digest: str
    size: int
    path: str
    labels: list[str]
    exports: list[str]
    imports: list[str]


class ComponentList(msgspec.Struct, frozen=True):
    """The components of the active generation."""

    generation: int
    components: list[ComponentDocument]


class WitPackageDocument(msgspec.Struct, frozen=True):
    """A WIT package as a file of its own, and what to call the file."""

    name: str
    file: str
    text: str


class WitDocument(msgspec.Struct, frozen=True):
    """WIT text of functions of the active generation: by package, and all as one text."""

    generation: int
    packages: list[WitPackageDocument]
    wit: str


class ExecutorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An executor of this daemon: what it offers, and how much of it is taken."""

    name: str
    executor_id: str
    labels: list[str]
    max_running: int
    running: int
    hot: int


class DriftDocument(msgspec.Struct, frozen=True):
    """A file that differs from what is active. `subject` is `manifest` or the name of a component."""

    subject: str
    path: str
    message: str


class StatusDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The daemon. `executions` counts the unfinished ones by state and lifecycle."""

    version: str
    executor_id: str
    generation: int
    started_at: str
    ready: bool
    running: int
    hot: int
    executions: dict[str, int]
    state_dir: str
    pid: int
    executors: list[ExecutorDocument]
    automatic_pauses: dict[str, int]
    """Executions that the daemon paused since they could not go on, by reason."""
    drift: list[DriftDocument] = []
    """Files that differ from what is active."""
    manifest_refused: str | None = None
    """Why the last content of the manifest's file did not become active; `/v1/manifest` says more."""
    degraded: str | None = None
    not_ready: str | None = None


class IdentityDocument(msgspec.Struct, frozen=True):
    """Who asks: a token's name, `unix:uid=...`, or `loopback:dev`; and what they may."""

    name: str
    role: Role


class HealthDocument(msgspec.Struct, frozen=True):
    """`ok`."""

    status: str


class ReasonDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reason why an execution does not run: a stable code, and a sentence whose subject is the execution."""

    code: Code
    text: str
    commands: list[str] | None = None
    """What would help, as one types it."""
    execution_id: str | None = None
    """Whose reason it is, if not of the execution that was asked about."""


class WhyDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Why an execution does not run, the nearest reason first; after a child that it waits for, that one's reasons."""

    execution_id: str
    state: Status
    lifecycle: Lifecycle
    reasons: list[ReasonDocument]


class UpgradeWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to move a workflow to the current code. With `force` its log is not replayed there before."""

    force: bool = False


class UpgradeDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an upgrade did: `changed` is false when the workflow was on the current code, and had not failed there."""

    execution_id: str
    changed: bool
    component_digest: str
    """Of the code that it goes on with."""
    state: Status
    lifecycle: Lifecycle
    rehearsal: str | None = None
    """What the replay of its log found."""
