"""What a guest's WASI reaches of the world outside: everything comes in through one `WasiContext`.

For an activity that is the machine's clock, real randomness and, where the manifest allows it, HTTP. For a workflow
it is a clock that shows what the log shows, a generator on the execution's seed, and no network; so whatever the
guest's runtime asks at its start, it gets the same on every replay.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias, TypeVar

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.wasm.wasi.client import HttpClient
from obelisk_daemon.wasm.wasi.egress import EgressPolicy
from obelisk_daemon.wasm.wasi.placeholders import NO_SECRETS, Placeholders
from obelisk_daemon.wasm.wasi.tasks import TaskOwner

T = TypeVar("T")

OutputStreamName: TypeAlias = Literal["stdout", "stderr"]
HandlerTable: TypeAlias = Mapping[str, Callable[..., object]]
"""`package/interface.function`, without `wasi:` and version, to its handler."""


class WasiClock(Protocol):
    """The clocks a guest sees."""

    def wall_ns(self) -> int:
        """Read nanoseconds since the Unix epoch."""
        ...

    def monotonic_ns(self) -> int:
        """Read nanoseconds of a clock that never goes back."""
        ...

    async def sleep_until(self, monotonic_ns: int) -> None:
        """Return once `monotonic_ns()` has reached this. Never called when `WasiContext.time_stands_still`."""
        ...


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on the HTTP of one attempt. A guest may ask for shorter times, never for longer ones."""

    requests: int = 1_000
    concurrent: int = 64
    header_bytes: int = 64 * 1024
    """Names and values of one request, or of one response."""
    request_body_bytes: int = 16 * 1024 * 1024
    response_body_bytes: int = 64 * 1024 * 1024
    connect_timeout: timedelta = timedelta(seconds=10)
    """For resolving and for connecting, and again for the TLS handshake."""
    first_byte_timeout: timedelta = timedelta(seconds=60)
    """From the request sent to the response's head."""
    between_bytes_timeout: timedelta = timedelta(seconds=30)


class HttpTrace(msgspec.Struct, kw_only=True):
    """One request of an attempt, whether it was sent or refused. Final once the context is closed."""

    method: str
    url: str
    started_at: Instant
    status: int | None = None
    error: str | None = None
    """The WIT name of the error code, also of a body that failed after a status; `dropped` if the guest cut it off."""
    reason: str | None = None
    """For people: why it was refused or failed."""
    duration: timedelta = timedelta()
    """Until the body was read to its end, failed or dropped."""
    request_bytes: int = 0
    response_bytes: int = 0
    """Of the bodies, without heads."""
    host: str = ""
    """The entry of `allowed_hosts` that allows it, as the manifest writes its host; empty: none does."""
    was_sent: bool = False
    """Whether it was allowed and begun."""


class WasiContext(msgspec.Struct, kw_only=True):
    """One attempt's or one run's WASI. Close it after the guest: `async with WasiContext(...) as wasi`."""

    clock: WasiClock
    random: Callable[[int], bytes]
    """Gives that many bytes. One source serves the secure and the insecure interface."""
    output: Callable[[OutputStreamName, bytes], None]
    """Takes what the guest prints; the bound is the sink's to keep."""
    environ: Mapping[str, str] = {}
    args: Sequence[str] = ()
    time_stands_still: bool = False
    """For workflows: a timer is ready at once, and the monotonic clock moves on by as much (`clocks`)."""
    http: HttpClient | None = None
    """None answers every request with `HTTP-request-denied`."""
    egress: EgressPolicy = EgressPolicy()
    http_limits: HttpLimits = HttpLimits()
    placeholders: Placeholders = NO_SECRETS
    """What `environ` has of them must be these."""
    trace: list[HttpTrace] = msgspec.field(default_factory=list)
    tasks: TaskOwner = msgspec.field(default_factory=TaskOwner)
    skipped_ns: int = 0
    """By how much timers have moved the monotonic clock on, when time stands still."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all requests still under way. Afterwards `trace` is final."""
        await self.tasks.aclose()


class ResourceTable(Protocol):
    """A guest's resources by number."""

    def new(self, obj: object) -> int:
        """Add one."""
        ...

    def get(self, rep: int) -> Any:
        """Look one up that the guest still holds."""
        ...

    def take(self, rep: int) -> Any:
        """Take one that the guest handed over."""
        ...


class HasWasi(Protocol):
    """What a guest runs with, as far as WASI is concerned."""

    @property
    def wasi(self) -> WasiContext:
        """Give the guest's WASI."""
        ...


class WasiGuest(Protocol):
    """A guest, as the handlers see it."""

    @property
    def context(self) -> Any:
        """Give what the guest runs with; it has a `wasi` (`HasWasi`)."""
        ...

    @property
    def table(self) -> ResourceTable:
        """Give the guest's resources."""
        ...


def wasi_of(guest: WasiGuest) -> WasiContext:
    """Give the guest's WASI context."""
    context: HasWasi = guest.context
    return context.wasi


def borrowed(guest: WasiGuest, rep: int, kind: type[T]) -> T:
    """Look up a resource that was lent to a call. The type system of wasm has checked its kind already."""
    found = guest.table.get(rep)
    assert isinstance(found, kind), f"resource {rep} is a {type(found).__name__}, not a {kind.__name__}"
    return found


def taken(guest: WasiGuest, rep: int, kind: type[T]) -> T:
    """Take a resource that was handed over with a call."""
    found = guest.table.take(rep)
    assert isinstance(found, kind), f"resource {rep} is a {type(found).__name__}, not a {kind.__name__}"
    return found
