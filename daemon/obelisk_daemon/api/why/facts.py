"""What the rules go by and what they give: facts of one execution, and reasons. Also the words that they share."""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias, TypeVar

import msgspec

from obelisk_daemon.api.services import DaemonStatus, FunctionInfo
from obelisk_daemon.clock import Instant, to_rfc3339
from obelisk_daemon.execution.events import Event
from obelisk_daemon.ids import ExecutionId, ExecutorId
from obelisk_daemon.storage.hosts import KnownHost
from obelisk_daemon.storage.records import Standing, Summary

Code: TypeAlias = Literal[
    "finished",
    "running",
    "paused",
    "paused_automatically",
    "cancelling",
    "not_due",
    "waits_for_retry",
    "given_up",
    "suspect",
    "waits_for_result",
    "response_arrived",
    "daemon_not_ready",
    "storage_full",
    "function_gone",
    "no_executor_offers",
    "hosts_not_ready",
    "outdated_code",
    "limit_reached",
    "slots_taken",
    "queued",
    "due",
    "waits_for_answers",
    "waits_for_delay",
    "waits_for_child",
]
"""Stable: programs match on them."""
E = TypeVar("E", bound=msgspec.Struct)
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_SHORTEST: Final = 1_000
_DIGEST_SHOWN: Final = len("sha256:") + 12


class Reason(msgspec.Struct, frozen=True):
    """One reason: a sentence whose subject is the execution, and commands that would help.

    `child` is one that it waits for, whose own reasons say more.
    """

    code: Code
    text: str
    commands: tuple[str, ...] = ()
    child: ExecutionId | None = None


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """An executor that could run it, if it offers what is required: one of this daemon, or of a live `host`."""

    executor_id: ExecutorId
    name: str
    labels: tuple[str, ...]
    max_running: int
    running: int
    host: KnownHost | None = None

    @property
    def called(self) -> str:
        """Name it."""
        return f'"{self.name}"' if self.host is None else f'"{self.name}" of host "{self.host.host}"'


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an execution that someone asks about, and of what could run it, here and `elsewhere`.

    `function` is that of the active generation, None where it has none of the name. `failed_on` is where and why the
    execution could not go on on the current code, if it was tried. `running` counts what runs of its component.
    """

    standing: Standing
    daemon: DaemonStatus
    function: FunctionInfo | None
    failed_on: tuple[int | None, str] | None = None
    running: int = 0
    elsewhere: tuple[Offer, ...] = ()

    @property
    def offers(self) -> list[Offer]:
        """Give the executors of all hosts, this one's first."""
        here = [
            Offer(executor_id=x.executor_id, name=x.name, labels=x.labels, max_running=x.max_running, running=x.running)
            for x in self.daemon.executors
        ]
        return [*here, *self.elsewhere]

    @property
    def summary(self) -> Summary:
        """The row of the execution."""
        return self.standing.summary

    @property
    def execution_id(self) -> ExecutionId:
        """Who is asked about."""
        return self.standing.summary.execution_id

    @property
    def now(self) -> Instant:
        """When it is asked."""
        return self.daemon.now

    def newest(self, kind: type[E]) -> tuple[Instant, E] | None:
        """Find the newest event of a kind among the last ones, and when it was written."""
        for entry in reversed(self.standing.tail):
            event: Event = entry.event
            if isinstance(event, kind):
                return entry.created_at, event
        return None

    def executor(self, executor_id: ExecutorId | None) -> str:
        """Name an executor; of one that is gone, only the id is known."""
        called = [one.called for one in self.offers if one.executor_id == executor_id]
        return f"executor {called[0]}" if called else f"executor {executor_id} of another daemon"

    def at(self, instant: Instant) -> str:
        """Write a time, and how far it is from now."""
        distance = instant - self.now
        told = f"in {span(distance)}" if distance > 0 else f"{span(-distance)} ago"
        told = told if abs(distance) >= _SHORTEST else "now"
        return f"{to_rfc3339(instant)} ({told})"


def span(micros: int) -> str:
    """Write a duration in its two largest units: `2d 3h`, `59m 5s`, `1.5s`, `20ms`."""
    if micros < 1_000_000:
        return f"{micros // 1_000}ms"
    if micros < 60_000_000:
        return f"{micros // 100_000 / 10:g}s"
    seconds, parts = micros // 1_000_000, []
    for unit, size in _UNITS:
        number, seconds = divmod(seconds, size)
        parts.append((number, unit))
    first = next(place for place, (number, _) in enumerate(parts) if number)
    return " ".join(f"{number}{unit}" for number, unit in parts[first : first + 2] if number)


def quoted(names: Iterable[str]) -> str:
    """List names in quotes."""
    return ", ".join(f'"{name}"' for name in names)


def short(digest: str) -> str:
    """Cut a digest to what tells it from others."""
    return digest[:_DIGEST_SHOWN]


def number_of(count: int, what: str) -> str:
    """Count things: `1 execution`, `2 executions`."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def ctl(*words: str) -> str:
    """Write a command."""
    return " ".join(("obelisk-ctl", *words))
