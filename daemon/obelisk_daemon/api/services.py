"""What the API needs of the layers below it, as Protocols that the supervisor fulfils."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from obelisk_config.difference import Difference
from obelisk_daemon.api.watch import Watcher
from obelisk_daemon.clock import Instant
from obelisk_daemon.deployment.control import FileState, ManifestState, VerdictReport
from obelisk_daemon.deployment.proposal import Wish
from obelisk_daemon.deployment.rehearsal import ReplayReport
from obelisk_daemon.deployment.reports import PlanReport
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.events import Intent
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.execution.saved_log import SavedLog
from obelisk_daemon.execution.wit_interfaces import WitInterface
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import DelayId, ExecutionId, ExecutorId, IdSource
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.storage.database import DatabaseKeeper
from obelisk_daemon.storage.generations import Generation, GenerationRow, OnUpgrade
from obelisk_daemon.storage.port import ExecutionReader
from obelisk_daemon.storage.records import Summary
from obelisk_daemon.storage.retention import RetentionRound

if TYPE_CHECKING:  # its documents are made from those that are made from these
    from obelisk_daemon.api.live.live import Live

Kind: TypeAlias = Literal["activity", "workflow", "stub"]


class FunctionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A function that can be submitted. `settings` holds JSON values, as the API shows them."""

    ffqn: Ffqn
    kind: Kind
    component: str
    digest: str
    type: FunctionType
    labels: tuple[str, ...] = ()
    settings: Mapping[str, object] = {}
    max_running: int | None = None
    """Of its component, over the whole store."""
    on_upgrade: OnUpgrade = "latest"
    """What becomes of executions that were started on older code."""
    older: tuple[str, ...] = ()
    """Digests of older code that is here for executions that stay on it."""


class ComponentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A component of the active generation. `size` is in bytes, `exports` are full function names."""

    name: str
    kind: Kind
    digest: str
    size: int
    path: str
    labels: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    interfaces: tuple[WitInterface, ...] = ()
    """The exports with the names of their types; empty where no WIT told them."""
    imported_types: tuple[WitInterface, ...] = ()


class Catalog(Protocol):
    """The functions and components of one generation; an immutable value."""

    @property
    def generation(self) -> int:
        """The number of the generation."""
        ...

    def components(self) -> Sequence[ComponentInfo]:
        """Give all components, in the manifest's order."""
        ...

    def functions(self) -> Sequence[FunctionInfo]:
        """Give all functions, in the manifest's order."""
        ...

    def get(self, ffqn: str) -> FunctionInfo | None:
        """Give the function of a full name; None where it is not in this generation."""
        ...

    def find(self, ffqn_text: str) -> FunctionInfo:
        """Find a function by its full name, or by `interface.function` where that names only one.

        Raises:
            CallerError: `function_not_found`, `ambiguous_function`.
        """
        ...


class NewCall(msgspec.Struct, frozen=True, kw_only=True):
    """A top-level execution to create: what is called, when it may start, and which execution it repeats.

    Without an `intent` it may start at once.
    """

    execution_id: ExecutionId
    function: FunctionInfo
    params: list[object]
    intent: Intent | None = None
    retried_from: ExecutionId | None = None
    labels: tuple[str, ...] = ()
    priority: int | None = None
    tags: Mapping[str, str] = {}


class CancelReport(msgspec.Struct, frozen=True):
    """What a cancellation did. `reached` counts the executions it ended, the first one included.

    `awaited` counts those that have to end by themselves first: workflows that may not be cancelled.
    """

    already_finished: bool
    reached: int
    awaited: int = 0


class ExecutorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An executor of this daemon: what it offers, and how much of it is taken."""

    name: str
    executor_id: ExecutorId
    labels: tuple[str, ...]
    max_running: int
    running: int
    hot: int


class DaemonStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon about itself, without the counts that come from the database.

    `degraded` says what is wrong while the daemon works on; `not_ready` why it takes no work now. `now` is when this is
    told, by the clock that everything is due by.
    """

    version: str
    executor_id: ExecutorId
    generation: int
    started_at: Instant
    now: Instant
    running: int
    hot: int
    state_dir: str
    pid: int
    disk_full: bool = False
    """No space is left for the state directory."""
    executors: tuple[ExecutorInfo, ...] = ()
    degraded: str | None = None
    not_ready: str | None = None


class Engine(Protocol):
    """What changes executions."""

    async def submit(self, call: NewCall) -> Summary | None:
        """Create a top-level execution, durably; give its row when it is new, None when the same one was there.

        Raises:
            ConflictError: `execution_exists`: the id belongs to another call.
            QueueFullError: `queue_full`: as many wait as may; nothing was written.
            StorageUnavailableError: nothing was written; the caller may try again.
        """
        ...

    def holds(self, execution_id: ExecutionId) -> bool:
        """Tell if a run of it is in this process, so that its end will be published."""
        ...

    async def submit_many(self, calls: Sequence[NewCall]) -> Sequence[bool | CallerError]:
        """Create executions in one write: for each whether it is new, or how `submit` refuses it.

        Raises:
            StorageUnavailableError: nothing was written; the caller may try again.
        """
        ...

    async def cancel(self, execution_id: ExecutionId, *, force: bool) -> CancelReport:
        """Ask an execution and its children to end; `force` reaches those that may not be cancelled, too.

        Raises:
            NotFoundError: `execution_not_found`.
            ConflictError: `not_cancellable`.
        """
        ...

    async def pause(self, execution_id: ExecutionId) -> bool:
        """Stop an execution until it is resumed; False when it is paused already.

        Raises:
            NotFoundError: `execution_not_found`.
            ConflictError: `already_finished`, `cancelling`, or `running` for an activity that runs.
        """
        ...

    async def resume(self, execution_id: ExecutionId) -> bool:
        """Lift a pause, also one that the daemon made; False when it is not paused.

        Raises:
            NotFoundError: `execution_not_found`.
        """
        ...

    async def upgrade(self, execution_id: ExecutionId, digest: str, *, force: bool) -> None:
        """Move a workflow to the code with this digest, and lift a pause that the daemon made.

        `force` says that its log was not replayed on that code before.

        Raises:
            NotFoundError: `execution_not_found`.
            ConflictError: `already_finished`, `cancelling`; `outdated`: the code is not the current one.
        """
        ...

    async def finish_stub(
        self, execution_id: ExecutionId, ffqn: str, returned: Returned
    ) -> Literal["ok", "execution_not_found", "conflict"]:
        """Give a stub's execution its result; the same one again is fine."""
        ...

    async def cancel_delay(self, delay_id: DelayId) -> bool:
        """End a delay as cancelled; False when there is none that is still to end."""
        ...

    async def set_delay_paused(self, delay_id: DelayId, paused: bool) -> Instant:
        """Hold a delay back, or let it go on; give when it is due.

        Raises:
            NotFoundError: `delay_not_found`: there is none that is still to end.
        """
        ...

    async def set_draining(self, host: str, *, draining: bool) -> None:
        """Have a host take no more work, or take work again.

        Raises:
            NotFoundError: `host_not_found`.
        """
        ...

    def status(self) -> DaemonStatus:
        """Describe the daemon now."""
        ...


class Replayer(Protocol):
    """What looks at the logs of workflows without changing them."""

    async def saved(self, execution_id: ExecutionId) -> SavedLog:
        """Read a workflow's log and what a replay needs beside it.

        Raises:
            NotFoundError: `execution_not_found`.
            CallerError: `not_a_workflow`.
        """
        ...

    async def replay(self, execution_id: ExecutionId, code: bytes | None) -> ReplayReport:
        """Replay a workflow on the active generation's code, or on the component given.

        Raises:
            NotFoundError: `execution_not_found`.
            CallerError: it can't be replayed on that code; the code says why.
            ComponentError: the component can't be used.
            HostExhaustedError: this machine has no room for the guest now.
        """
        ...


class ManifestControl(Protocol):
    """What an operator does with the manifest."""

    async def state(self) -> ManifestState:
        """Describe what is active, and where the disk differs from it."""
        ...

    async def file_state(self) -> FileState:
        """Compare the disk with what is active."""
        ...

    async def plan(self, source: bytes | None, wish: Wish, name: str | None = None) -> PlanReport:
        """Tell what would come of a manifest, in a file of that name; without one, of the daemon's file.

        Raises:
            OperatorError: the file can't be read.
        """
        ...

    async def reload(self, wish: Wish) -> VerdictReport:
        """Check the file at once, and activate it if nothing speaks against that.

        Raises:
            OperatorError: it can't be read.
            ConflictError: `plan_outdated`.
        """
        ...

    async def roll_back(self, number: int | None, wish: Wish) -> VerdictReport:
        """Make a generation of an old one: by default of the one before the active one.

        Raises:
            CallerError: `generation_not_found`, `nothing_before`.
        """
        ...

    async def history(self, before: int | None, limit: int) -> list[GenerationRow]:
        """Read the generations, newest first."""
        ...

    async def show(self, number: int | None) -> Generation:
        """Read a generation; without a number, the active one.

        Raises:
            NotFoundError: `generation_not_found`.
        """
        ...

    async def difference(self, before: int, after: int) -> Difference:
        """Compare two generations.

        Raises:
            NotFoundError: `generation_not_found`.
        """
        ...


class Services(NamedTuple):
    """All that the API works with. `catalog` gives the active generation's at each call."""

    reader: ExecutionReader
    engine: Engine
    catalog: Callable[[], Catalog]
    watcher: Watcher
    ids: IdSource
    replayer: Replayer
    manifest: ManifestControl
    metrics: Metrics
    live: "Live"
    database: DatabaseKeeper
    last_removal: Callable[[], RetentionRound | None]
    """What the last round of retention removed, if there was one."""
