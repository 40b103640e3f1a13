"""What the API needs of the layers below it, as Protocols that the supervisor fulfils."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from obelisk_daemon.api.watch import Watcher
from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutionId, ExecutorId, IdSource
from obelisk_daemon.storage.port import ExecutionReader

Kind: TypeAlias = Literal["activity", "workflow"]


class FunctionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A function that can be submitted. `settings` holds JSON values, as the API shows them."""

    ffqn: Ffqn
    kind: Kind
    component: str
    digest: str
    type: FunctionType
    labels: tuple[str, ...] = ()
    settings: Mapping[str, object] = {}


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

    def find(self, ffqn_text: str) -> FunctionInfo:
        """Find a function by its full name, or by `interface.function` where that names only one.

        Raises:
            CallerError: `function_not_found`, `ambiguous_function`.
        """
        ...


class CancelReport(msgspec.Struct, frozen=True):
    """What a cancellation did. `reached` counts the executions asked to end, the first one included."""

    already_finished: bool
    reached: int


class DaemonStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon about itself, without the counts that come from the database.

    `degraded` says what is wrong while the daemon works on; `not_ready` why it takes no work now.
    """

    version: str
    executor_id: ExecutorId
    generation: int
    started_at: Instant
    running: int
    hot: int
    state_dir: str
    pid: int
    degraded: str | None = None
    not_ready: str | None = None


class Engine(Protocol):
    """What changes executions."""

    async def submit(
        self, execution_id: ExecutionId, function: FunctionInfo, params: list[object], due_at: Instant | None
    ) -> bool:
        """Create a top-level execution, durably; True when it is new, False when the same one was there.

        Raises:
            ConflictError: `execution_exists`: the id belongs to another call.
            StorageUnavailableError: nothing was written; the caller may try again.
        """
        ...

    async def cancel(self, execution_id: ExecutionId) -> CancelReport:
        """Ask an execution and its children to end.

        Raises:
            NotFoundError: `execution_not_found`.
        """
        ...

    def status(self) -> DaemonStatus:
        """Describe the daemon now."""
        ...


class Services(NamedTuple):
    """All that the API works with. `catalog` gives the active generation's at each call."""

    reader: ExecutionReader
    engine: Engine
    catalog: Callable[[], Catalog]
    watcher: Watcher
    ids: IdSource
