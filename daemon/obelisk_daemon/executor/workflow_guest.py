"""A workflow's guest, and all that it is given: a time that its journal knows, seeded randomness, limits.

A run of an executor, a replay and the test kit differ only in their host; what the guest sees is the same.
"""

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import msgspec

from obelisk_daemon.execution.events import Created, GuestTerms
from obelisk_daemon.execution.joinsets import JoinSet
from obelisk_daemon.execution.journal import HistoryLimitError, Journal, MisuseError
from obelisk_daemon.execution.outcome import FailureKind, Outcome, Returned
from obelisk_daemon.execution.projection import ChildFailedError, returned
from obelisk_daemon.execution.seeds import SeededBytes
from obelisk_daemon.executor.run import trap_of
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import FailureId
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.guest import Returned as GuestReturned
from obelisk_daemon.wasm.host.context import GuestContext, LogSink, WorkflowHost
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.wasi.context import WasiContext


class Program(msgspec.Struct, frozen=True):
    """A workflow function's code, and the limits that the manifest has for it now."""

    linked: LinkedComponent
    ffqn: Ffqn
    limits: GuestLimits


class Stopped(msgspec.Struct, frozen=True):
    """The guest did not return. `is_trap` tells what `on_trap` is for from what always fails."""

    kind: FailureKind
    message: str
    backtrace: str = ""
    cause: FailureId | None = None
    is_trap: bool = True


class Output(LogSink, Protocol):
    """Where a guest's log lines and prints go."""

    def output(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        """Take what the guest writes to a stream."""
        ...


class JournalClock:
    """The time the journal allows the guest to know."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._started_at = journal.now

    def wall_ns(self) -> int:
        """Read nanoseconds since the Unix epoch."""
        return self._journal.now * 1_000

    def monotonic_ns(self) -> int:
        """Read nanoseconds since the execution was created."""
        return (self._journal.now - self._started_at) * 1_000

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Fail: nothing may wait."""
        raise AssertionError(f"time stands still, so nothing waits for {monotonic_ns}")


async def call_workflow(program: Program, created: Created, host: WorkflowHost, output: Output) -> Returned | Stopped:
    """Run the function from its start, answered by its journal as far as that goes.

    Raises:
        NondeterminismError: it asks for something else than the journal has.
        HostExhaustedError: this machine has no room for the guest now.
    """
    terms = created.terms
    wasi = WasiContext(
        clock=JournalClock(host.journal),
        random=SeededBytes(created.seed, "wasi").take,
        output=output.output,
        environ=terms.env if terms else {},
        time_stands_still=True,
    )
    context = GuestContext(wasi=wasi, log=output, workflow=host)
    try:
        async with wasi:
            ended = await program.linked.run(program.ffqn, created.params, context, limits_of(program.limits, terms))
    except ChildFailedError as failed:
        return Stopped("child_failed", str(failed), cause=failed.failure.failure_id, is_trap=False)
    except MisuseError as misuse:
        return Stopped("trap", str(misuse), "\n".join(getattr(misuse, "__notes__", ())))
    except HistoryLimitError as limit:
        return Stopped("limit_exceeded", str(limit), is_trap=False)
    if isinstance(ended, GuestReturned):
        return returned(program.linked.component.exports[program.ffqn], ended.value)
    trap = trap_of(ended)
    return Stopped(trap.kind, trap.message, trap.backtrace)


def ending_of(ended: Returned | Stopped) -> str:
    """Say how the guest ended, as a divergence tells it."""
    return "the end of the function" if isinstance(ended, Returned) else f"a failure of the function: {ended.message}"


def limits_of(now: GuestLimits, terms: GuestTerms | None) -> GuestLimits:
    """Raised limits hold for running executions too, lowered ones only for new ones: a replay must get as far."""
    if terms is None:
        return now
    return GuestLimits(
        memory=max(now.memory, terms.memory),
        fuel=max(now.fuel or 0, terms.fuel),
        host_calls=now.host_calls,
        value=now.value,
    )


async def close_open_sets(journal: Journal, outcome: Outcome, settle: Callable[[JoinSet], Awaitable[None]]) -> None:
    """Close what the function left open; the first join set that owes something carries how it had ended."""
    carried: Outcome | None = outcome
    for join_set in journal.sets.open():
        owes = not join_set.all_taken
        await settle(journal.begin_close(join_set.name, carried if owes else None))
        carried = None if owes else carried
