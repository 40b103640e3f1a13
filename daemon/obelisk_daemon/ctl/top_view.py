"""The daemon at a glance, as lines that fit a screen. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from obelisk_daemon.ctl.output import printable
from obelisk_daemon.ctl.streaming import Message
from obelisk_daemon.ctl.tree_view import Part

Document = Mapping[str, Any]
_NOTHING: Final[Document] = {"submitted": 0.0, "started": 0.0, "finished": 0.0}


class TopView:
    """What is known of the daemon; `when` writes a time of the API.

    `take`, `read` and `lines` may be called by a thread each.
    """

    def __init__(self, address: str, status: Document, when: Callable[[str], str]) -> None:
        self._address = address
        self._when = when
        self._status = status
        self._load: Document = {}
        self._generation: Document = {}
        self._drift: Document = {"drift": status.get("drift", [])}
        self._tables: tuple[Sequence[Document], Sequence[Document]] = ((), status.get("executors", ()))

    def take(self, message: Message) -> None:
        """Take notice of a message of the daemon's stream."""
        match message.event:
            case "load":
                self._load = message.data
            case "generation":
                self._generation = message.data
            case "drift":
                self._drift = message.data

    def read(self, queues: Sequence[Document], executors: Sequence[Document]) -> None:
        """Take notice of what was read of the queues and the executors."""
        self._tables = (queues, executors)

    def lines(self, most: int) -> list[list[Part]]:
        """Write at most so many lines."""
        return [*self._head(), *self._counts(), *self._files(), *self._executors(), *self._queues()][:most]

    def _head(self) -> Iterator[list[Part]]:
        status = self._status
        started = self._when(status["started_at"])
        number = self._generation.get("generation", status["generation"])
        yield [
            Part(f"obeliskd {status['version']}", "bold"),
            Part(f"  {self._address}  started {started}  generation {number}"),
        ]
        for name in ("not_ready", "degraded"):
            if text := status.get(name):
                yield [Part(f"{name.replace('_', ' ')}: {printable(text)}", "red")]

    def _counts(self) -> Iterator[list[Part]]:
        counts: Document = self._load.get("executions", self._status["executions"])
        running, hot = (self._load.get(name, self._status[name]) for name in ("running", "hot"))
        states = ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none unfinished"
        yield [Part("executions  ", "dim"), Part(states)]
        yield [Part("here        ", "dim"), Part(f"{running:,} running, {hot:,} in memory")]
        if self._load:
            rates = ", ".join(f"{self._load['rates'].get(name, 0):,.1f} {name}" for name in _NOTHING)
            yield [Part("per second  ", "dim"), Part(rates)]

    def _files(self) -> Iterator[list[Part]]:
        if refused := self._drift.get("manifest_refused"):
            yield [Part(f"manifest refused: {printable(refused)}", "red")]
        for one in self._drift.get("drift", ()):
            yield [Part(printable(f"drift       {one['subject']}: {one['message']}"), "yellow")]

    def _executors(self) -> Iterator[list[Part]]:
        rows = [
            (
                one["name"],
                f"{one['running']} of {one['max_running']}",
                str(one["hot"]),
                ", ".join(one["labels"]),
                one.get("host", ""),
            )
            for one in self._tables[1]
        ]
        yield from _table(("EXECUTOR", "RUNNING", "IN MEMORY", "LABELS", "HOST"), rows)

    def _queues(self) -> Iterator[list[Part]]:
        queues = sorted(self._tables[0], key=lambda one: (-one["pending"], -one["running"], one["component"]))
        rows = [
            (
                one["component"],
                one.get("kind", ""),
                _of(one["pending"], one.get("max_pending")),
                _of(one["running"], one.get("max_running")),
                self._when(one["oldest_due_at"]) if "oldest_due_at" in one else "",
            )
            for one in queues
        ]
        yield from _table(("QUEUE", "KIND", "PENDING", "RUNNING", "OLDEST DUE"), rows)


def _of(number: int, most: int | None) -> str:
    return f"{number:,}" if most is None else f"{number:,} of {most:,}"


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[list[Part]]:
    if not rows:
        return
    plain = [tuple(printable(cell).replace("\n", "\\n") for cell in row) for row in rows]
    used = [place for place, _ in enumerate(columns) if any(row[place] for row in plain)]
    widths = [max(len(row[place]) for row in (columns, *plain)) for place in used]
    yield []
    for number, row in enumerate((columns, *plain)):
        cells = (row[place].ljust(width) for place, width in zip(used, widths, strict=True))
        yield [Part("  ".join(cells).rstrip(), "bold" if number == 0 else None)]
