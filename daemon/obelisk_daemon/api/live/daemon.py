"""The stream of the whole daemon: what every execution becomes, the load, and what becomes of the manifest.

It is made in memory, and only while somebody listens, or did so a moment ago. A message's id has the name of that
time and a number in it; a client that comes back with an id of another time, or too late, gets a `reset`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from obelisk_daemon.api.live import documents
from obelisk_daemon.api.live.documents import DriftNow, GenerationChange, LoadDocument, NoteDocument, RatesDocument
from obelisk_daemon.api.live.messages import HEARTBEAT, body_of, with_id
from obelisk_daemon.api.live.streams import HEARTBEAT_SECONDS, Stream
from obelisk_daemon.api.live.window import WINDOW_SECONDS, Changes, Kept, Window
from obelisk_daemon.clock import Instant, to_rfc3339
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Change, StateChange, Summary

LINGER_SECONDS: Final = 30.0
"""After its last listener has gone, the stream goes on for so long, so that one that comes back misses nothing."""
_LOAD_SECONDS: Final = 1.0
_DRIFT_SECONDS: Final = 5.0
_LOG: Final = logging.getLogger(__name__)
_NOTHING: Final = RatesDocument(0.0, 0.0, 0.0)
Executions: TypeAlias = Literal["all", "top_level", "none"]


class Sources(Protocol):
    """Where the daemon's stream reads what it tells."""

    async def summaries_of(self, chosen: Sequence[ExecutionId]) -> list[Summary]:
        """Read the rows of executions."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """Count the unfinished executions by status and lifecycle."""
        ...

    def running(self) -> tuple[int, int]:
        """Count the runs of this daemon, and its workflows in memory."""
        ...

    async def drift(self) -> DriftNow:
        """Compare the files with what is active."""
        ...

    async def generation(self) -> GenerationChange:
        """Describe what is active."""
        ...


class Asked(NamedTuple):
    """What a client wants to be told: of which executions, and after which message."""

    executions: Executions
    after: str | None


class _Counted:
    """What happened since it was asked last."""

    def __init__(self) -> None:
        self._submitted = self._started = self._finished = 0

    def count(self, change: StateChange) -> None:
        self._submitted += change.is_new
        self._started += change.has_begun
        self._finished += change.status == "finished"

    def rates(self, seconds: float) -> RatesDocument:
        """Give how much of it happened a second, and begin anew."""
        counted = (self._submitted, self._started, self._finished)
        self._submitted = self._started = self._finished = 0
        return RatesDocument(*(round(number / seconds, 1) for number in counted))


class DaemonStream:
    """Tells all listeners the same. `publish` is a `storage.records.Subscriber`; `name` is that of this process."""

    def __init__(self, sources: Sources, now: Callable[[], Instant], name: str) -> None:
        self._sources = sources
        self._now = now
        self._name = name
        self._times = 0
        self._window = Window()
        self._changes = Changes(sources.summaries_of, self._tell, self._forget)
        self._tasks: list[asyncio.Task[None]] = []
        self._end: asyncio.TimerHandle | None = None
        self._moved = asyncio.Event()
        self._look = asyncio.Event()
        self._counted = _Counted()
        self._drift: DriftNow | None = None

    @property
    def is_on(self) -> bool:
        """Tell if messages are made."""
        return bool(self._tasks)

    def publish(self, change: Change) -> None:
        """Take notice of a change of a state."""
        if not self._tasks or not isinstance(change, StateChange):
            return
        self._changes.note(change.execution_id)
        self._counted.count(change)
        self._moved.set()

    def announce(self, event: Literal["generation", "manifest"], document: object) -> None:
        """Tell at once what became of the manifest."""
        if self._tasks:
            self._window.append(event, self._message(event, document))
            self._window.announce()
            self._moved.set()
            self._look.set()

    async def listen(self, asked: Asked, stream: Stream) -> AsyncIterator[bytes]:
        """Give the stream in chunks until it is ended."""
        with self._listening(stream):
            cursor = self._resumed(asked.after)
            if cursor is None:
                cursor = self._window.last
                opening = await self._standing(cursor)
                yield opening if asked.after is None else self._reset("the messages after it are gone") + opening
            while not stream.ended:
                kept = self._window.after(cursor)
                if kept is None:
                    yield self._at(self._window.last, body_of("lost", NoteDocument("too slow")))
                    return
                if kept:
                    cursor = kept[-1].number
                    if chunk := b"".join(one.body for one in kept if _is_wanted(one, asked.executions)):
                        yield chunk
                elif not await stream.wait(HEARTBEAT_SECONDS):
                    yield HEARTBEAT

    async def close(self) -> None:
        """Stop making messages."""
        if self._end is not None:
            self._end.cancel()
        tasks = list(self._tasks)
        self._stop()
        if tasks:
            await asyncio.wait(tasks)

    @contextmanager
    def _listening(self, stream: Stream) -> Iterator[None]:
        if self._end is not None:
            self._end.cancel()
            self._end = None
        if not self._tasks:
            self._begin()
        self._window.listeners.add(stream)
        try:
            yield
        finally:
            self._window.listeners.discard(stream)
            if not self._window.listeners and self._tasks:
                self._end = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._stop)

    def _begin(self) -> None:
        self._times += 1
        self._window = Window()
        self._changes = Changes(self._sources.summaries_of, self._tell, self._forget)
        self._counted = _Counted()
        self._drift = None
        self._tasks = [self._spawn(work) for work in (self._changes.run(), self._tell_load(), self._tell_drift())]

    def _spawn(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work, name="daemon stream")
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """End who listens when a task has failed: they come back, and find out what is wrong."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("the daemon's stream has ended", exc_info=error)
            for listener in self._window.listeners:
                listener.end()
            self._stop()

    def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()

    def _resumed(self, after: str | None) -> int | None:
        """Give the number of the message to go on after; None where that can't be done."""
        if after is None:
            return None
        name, _, number = after.rpartition("-")
        if name != self._stream_name or not number.isdecimal() or len(number) > 15:
            return None
        return int(number) if self._window.after(int(number)) is not None else None

    @property
    def _stream_name(self) -> str:
        return f"{self._name}-{self._times}"

    def _at(self, number: int, body: bytes) -> bytes:
        return with_id(f"{self._stream_name}-{number}", body)

    def _message(self, event: str, document: object) -> bytes:
        return self._at(self._window.last + 1, body_of(event, document))

    def _reset(self, reason: str) -> bytes:
        return self._at(self._window.last, body_of("reset", NoteDocument(reason)))

    async def _standing(self, number: int) -> bytes:
        """Tell how everything stands, to somebody who begins to listen."""
        self._drift = drift = await self._sources.drift()
        told = (
            ("generation", await self._sources.generation()),
            ("drift", drift),
            ("load", await self._load(_NOTHING)),
        )
        return b"".join(self._at(number, body_of(event, document)) for event, document in told)

    def _tell(self, changed: Sequence[Summary]) -> None:
        for one in changed:
            kind = "top_level" if one.parent_id is None else "child"
            self._window.append(kind, self._message("execution", documents.changed(one)))
        self._window.announce()

    def _forget(self) -> None:
        self._window.append("reset", self._message("reset", NoteDocument("too many executions have changed")))
        self._window.announce()

    async def _tell_load(self) -> None:
        """Tell the load once a second while something happens, and once more when nothing does."""
        loop = asyncio.get_running_loop()
        while True:
            await self._moved.wait()
            rates = _NOTHING
            while self._moved.is_set() or rates != _NOTHING:
                self._moved.clear()
                began = loop.time()
                await asyncio.sleep(_LOAD_SECONDS)
                rates = self._counted.rates(loop.time() - began)
                self._window.append("load", self._message("load", await self._load(rates)))
                self._window.announce()

    async def _load(self, rates: RatesDocument) -> LoadDocument:
        counts = await self._sources.counts()
        running, hot = self._sources.running()
        at = to_rfc3339(self._now())
        return LoadDocument(at=at, executions=dict(counts), running=running, hot=hot, rates=rates)

    async def _tell_drift(self) -> None:
        """Look at the files now and then, and soon after a verdict, which is told of before it is taken notice of."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRIFT_SECONDS):
                    await self._look.wait()
                    self._look.clear()
                    await asyncio.sleep(WINDOW_SECONDS)
            if (drift := await self._sources.drift()) != self._drift:
                self._drift = drift
                self._window.append("drift", self._message("drift", drift))
                self._window.announce()


def _is_wanted(kept: Kept, executions: Executions) -> bool:
    match kept.kind:
        case "child":
            return executions == "all"
        case "top_level" | "reset":
            return executions != "none"
        case _:
            return True
