"""The streams of single executions, read from the database at each reader's pace.

All who follow the same execution from the same position share one read and its bytes: an event is encoded once.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple

from obelisk_daemon.api.live import documents
from obelisk_daemon.api.live.documents import NoteDocument
from obelisk_daemon.api.live.messages import HEARTBEAT, advanced, body_of, id_of, message, told, with_id
from obelisk_daemon.api.live.streams import HEARTBEAT_SECONDS, Stream
from obelisk_daemon.api.live.window import Changes, Window
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.port import ExecutionReader
from obelisk_daemon.storage.records import Change, Position, Progress, StateChange, Summary

_PAGE: Final = 200
MOST_DESCENDANTS: Final = 1_000
"""Told at the start, and again after more changes than are kept; `tree` and the list tell of all."""
_DEEPEST: Final = 32
_SHARED_PAGES: Final = 4
_GATHERING_SECONDS: Final = 0.025
"""So long is waited, after a change, for others: one that changes a thousand times a second costs forty reads."""
_LOG: Final = logging.getLogger(__name__)


class Page(NamedTuple):
    """What came after a position: its bytes, where they end, and what the execution is by then."""

    body: bytes
    end: Position
    summary: Summary
    state: bytes
    is_last: bool
    """Nothing more is there by now: only then is `state` worth telling."""


class Wish(NamedTuple):
    """What a client wants to be told, from where on."""

    execution_id: ExecutionId
    after: Position
    logs: bool
    children: bool


class Followed:
    """One execution that somebody follows. A page is kept until the execution changes, for others to share it."""

    def __init__(self, reader: ExecutionReader, execution_id: ExecutionId) -> None:
        self._reader = reader
        self._id = execution_id
        self._pages: dict[tuple[Position, bool], asyncio.Task[Page]] = {}
        self.listeners: set[Stream] = set()
        self.descendants = Window()
        self.changes = Changes(reader.summaries_of, self._tell, self._forget)
        self._telling: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """Take notice of a change of the execution itself."""
        self._pages.clear()
        for listener in self.listeners:
            listener.wake()

    async def page(self, after: Position, *, logs: bool) -> Page:
        """Read what comes after a position, together with all who ask for the same before the next change.

        Raises:
            NotFoundError: `execution_not_found`.
        """
        known = (after, logs)
        if known not in self._pages:
            while len(self._pages) >= _SHARED_PAGES:
                del self._pages[next(iter(self._pages))]
            self._pages[known] = asyncio.create_task(self._read(after, logs=logs))
        try:
            return await asyncio.shield(self._pages[known])
        except Exception:
            self._pages.pop(known, None)
            raise

    async def _read(self, after: Position, *, logs: bool) -> Page:
        return page_of(await self._reader.progress(self._id, after, _PAGE, logs=logs), after)

    @contextmanager
    def descending(self, stream: Stream) -> Iterator[None]:
        """Have a stream told of descendants while the block runs."""
        self.descendants.listeners.add(stream)
        if self._telling is None:
            self._telling = asyncio.create_task(self.changes.run())
            self._telling.add_done_callback(self._stopped)
        try:
            yield
        finally:
            self.descendants.listeners.discard(stream)
            if not self.descendants.listeners and self._telling is not None:
                task, self._telling = self._telling, None
                task.cancel()

    def _stopped(self, task: "asyncio.Task[None]") -> None:
        """End who listened to a task that failed: they come back, and find out what is wrong."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("the changes of descendants can't be told", exc_info=error)
            self._telling = None
            for listener in self.descendants.listeners:
                listener.end()

    def _tell(self, changed: Sequence[Summary]) -> None:
        for one in sorted(changed, key=documents.order_of):
            self.descendants.append("child", body_of("child", documents.short(one)))
        self.descendants.announce()

    def _forget(self) -> None:
        self.descendants.forget()
        self.descendants.announce()


class Following:
    """All executions that somebody follows. `publish` is a `storage.records.Subscriber`."""

    def __init__(self, reader: ExecutionReader) -> None:
        self._reader = reader
        self._followed: dict[ExecutionId, Followed] = {}

    def publish(self, change: Change) -> None:
        """Wake whoever follows the execution that changed, or one that it descends from."""
        if not self._followed:
            return
        if (followed := self._followed.get(change.execution_id)) is not None:
            followed.changed()
        if isinstance(change, StateChange):
            for above in _ancestors(change.execution_id):
                if (followed := self._followed.get(above)) is not None and followed.descendants.listeners:
                    followed.changes.note(change.execution_id)

    async def follow(self, wish: Wish, stream: Stream) -> AsyncIterator[bytes]:
        """Give an execution's stream in chunks, to its end.

        Raises:
            NotFoundError: `execution_not_found`.
        """
        with ExitStack() as stack:
            followed = stack.enter_context(self._following(wish.execution_id, stream))
            if wish.children:
                stack.enter_context(followed.descending(stream))
            async for chunk in _Telling(self._reader, followed, wish, stream).chunks():
                yield chunk

    @contextmanager
    def _following(self, execution_id: ExecutionId, stream: Stream) -> Iterator[Followed]:
        if execution_id not in self._followed:
            self._followed[execution_id] = Followed(self._reader, execution_id)
        followed = self._followed[execution_id]
        followed.listeners.add(stream)
        try:
            yield followed
        finally:
            followed.listeners.discard(stream)
            if not followed.listeners:
                del self._followed[execution_id]


class _Telling:
    """What one client is told of an execution, and how far it has been told."""

    def __init__(self, reader: ExecutionReader, followed: Followed, wish: Wish, stream: Stream) -> None:
        self._reader = reader
        self._followed = followed
        self._wish = wish
        self._stream = stream
        self._position = wish.after
        self._state = b""
        self._descendant: int | None = None
        """The number of the last change of a descendant that was told; None before the first."""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give what is new, and wait for more, until the execution has finished or the stream is ended."""
        page = await self._page()
        if self._position.version > page.summary.version:  # the database is an older one than it was
            self._position = Position()
            yield message("reset", id_of(self._position), NoteDocument("the log is shorter than what was read of it"))
            page = await self._page()
        while not self._stream.ended:
            self._position = page.end
            if chunk := page.body + await self._latest(page):
                yield chunk
            if page.is_last:
                if page.summary.outcome is not None:
                    return
                while not await self._stream.wait(HEARTBEAT_SECONDS):
                    yield HEARTBEAT
                if not self._stream.ended:
                    await asyncio.sleep(_GATHERING_SECONDS)
            page = await self._page()

    async def _page(self) -> Page:
        return await self._followed.page(self._position, logs=self._wish.logs)

    async def _latest(self, page: Page) -> bytes:
        """Give the newest states, once the log has been told up to now."""
        if not page.is_last:
            return b""
        finished = page.summary.outcome is not None
        descendants = b""
        if self._wish.children:
            if finished:
                await self._followed.changes.settle()
            descendants = await self._descendants(whole=finished)
        if finished:
            return descendants + message("finished", id_of(self._position), documents.finished(page.summary))
        if page.state == self._state:
            return descendants
        self._state = page.state
        return descendants + with_id(id_of(self._position), page.state)

    async def _descendants(self, *, whole: bool) -> bytes:
        window, parts = self._followed.descendants, []
        while self._descendant != window.last:
            known = id_of(self._position)
            kept = None if self._descendant is None else window.after(self._descendant)
            if kept is None:
                self._descendant = window.last
                below = await self._reader.tree(self._wish.execution_id, _DEEPEST, MOST_DESCENDANTS + 1)
                parts += [message("child", known, documents.short(node)) for node in below.nodes[1:]]
            else:
                self._descendant = kept[-1].number
                parts += [with_id(known, one.body) for one in kept]
            if not whole:
                self._stream.wake()
                break
        return b"".join(parts)


def page_of(progress: Progress, after: Position) -> Page:
    """Write what is new after a position."""
    position, parts = after, []
    for one in told(progress):
        position = advanced(position, one)
        parts.append(message(one.name, id_of(position), one.document))
    state = b"" if progress.more else body_of("state", documents.short(progress.summary))
    return Page(b"".join(parts), position, progress.summary, state, not progress.more)


def _ancestors(execution_id: ExecutionId) -> Iterator[ExecutionId]:
    """Give the executions that a child descends from: their ids are the beginnings of its own."""
    end = execution_id.rfind(".")
    while end > 0:
        yield ExecutionId(execution_id[:end])
        end = execution_id.rfind(".", 0, end)
