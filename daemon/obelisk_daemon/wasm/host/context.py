"""What a run gives its guest, as the host functions see it."""

from collections.abc import Awaitable
from typing import Literal, Protocol, TypeAlias

import msgspec

from obelisk_daemon.execution.events import ResponseItem, Schedule
from obelisk_daemon.execution.journal import Journal
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.wasm.resources import Resources
from obelisk_daemon.wasm.wasi.context import WasiContext

StubOutcome: TypeAlias = Literal["ok", "execution_not_found", "conflict"]
LogLevel: TypeAlias = Literal["trace", "debug", "info", "warn", "error"]


class LogSink(Protocol):
    """Where a guest's log lines go; the bound is the sink's to keep."""

    def line(self, level: LogLevel, message: str) -> None:
        """Take one line."""
        ...


class WorkflowHost(Protocol):
    """The run of a workflow: its journal, and the ways to wait for what the journal hasn't got yet."""

    journal: Journal
    dropped: list[str]
    """Join sets whose handles the guest dropped: they are closed before it may ask for anything else."""

    def function_type(self, ffqn: str) -> FunctionType | None:
        """Look up a function of the active generation."""
        ...

    def wait(self, join_set: str) -> Awaitable[ResponseItem]:
        """Commit what was asked, then wait for the next response of the join set."""
        ...

    def flush(self) -> Awaitable[None]:
        """Commit what was asked, so that children start; nothing is waited for but the commit."""
        ...

    def close(self, join_set: str) -> Awaitable[None]:
        """Close a join set: cancel what can be cancelled, wait for the rest."""
        ...

    def is_taken(self, event: Schedule) -> Awaitable[bool]:
        """Tell if there is an execution of that id already, and it is another call; what was asked is committed."""
        ...

    def find_stub(self, execution_id: ExecutionId) -> Awaitable[str | None]:
        """Look up the function of a stub's execution; None where there is no such execution of a stub."""
        ...

    def finish_stub(self, execution_id: ExecutionId, ffqn: str, result: dict[str, object]) -> Awaitable[StubOutcome]:
        """Give a stub's execution its result, once; the same one again is fine."""
        ...


class GuestContext(msgspec.Struct):
    """`guest.context` of every guest. Only a workflow's has a `workflow`."""

    wasi: WasiContext
    log: LogSink
    workflow: WorkflowHost | None = None


class HostedGuest(Protocol):
    """A guest, as the host functions see it."""

    @property
    def context(self) -> GuestContext:
        """Give what the run gave."""
        ...

    @property
    def table(self) -> Resources:
        """Give the host objects that the guest holds."""
        ...


def workflow_of(guest: HostedGuest) -> WorkflowHost:
    """Give the workflow's run. Linking lets no other guest import what needs one."""
    host = guest.context.workflow
    assert host is not None
    return host
