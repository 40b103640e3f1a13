"""What a run gives its guest, as the host functions see it."""

from collections.abc import Awaitable
from typing import Literal, Protocol, TypeAlias

import msgspec

from obelisk_daemon.execution.events import ResponseItem
from obelisk_daemon.execution.journal import Journal
from obelisk_daemon.wasm.wasi.context import WasiContext

LogLevel: TypeAlias = Literal["trace", "debug", "info", "warn", "error"]


class LogSink(Protocol):
    """Where a guest's log lines go; the bound is the sink's to keep."""

    def line(self, level: LogLevel, message: str) -> None:
        """Take one line."""
        ...


class WorkflowHost(Protocol):
    """The run of a workflow: its journal, and the way to wait for what the journal hasn't got yet."""

    journal: Journal

    def wait(self, join_set: str) -> Awaitable[ResponseItem]:
        """Commit what was asked, then wait for the next response of the join set."""
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


def workflow_of(guest: HostedGuest) -> WorkflowHost:
    """Give the workflow's run. Linking lets no other guest import what needs one."""
    host = guest.context.workflow
    assert host is not None
    return host
