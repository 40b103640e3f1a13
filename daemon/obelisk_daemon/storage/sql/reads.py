"""Reads on connections that can't write, so they never wait for a commit and never hold one up."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeVar

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import NotFoundError
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import Entry, Event, Response
from obelisk_daemon.execution.outcome import FailureRecord
from obelisk_daemon.execution.written import WrittenLog, entry_of, response_of
from obelisk_daemon.ids import ExecutionId, FailureId, RunId
from obelisk_daemon.storage.audit import AuditFilter, AuditRow
from obelisk_daemon.storage.capacity import KnownExecutor, Queue, Sizes
from obelisk_daemon.storage.generations import GenerationRow, Newest, WorkInProgress
from obelisk_daemon.storage.hosts import KnownHost
from obelisk_daemon.storage.records import (
    Census,
    Delay,
    ListFilter,
    LogLine,
    Position,
    Progress,
    Standing,
    StoredLog,
    Summary,
    SummaryPage,
    Tree,
)
from obelisk_daemon.storage.retention import Window
from obelisk_daemon.storage.sql import auditing, capacity, following, hosting, listing, removal, rows, standing
from obelisk_daemon.storage.sql.connection import Connection, ConnectionThread, Row

T = TypeVar("T")
_ALL: Final = 2**62


class Reads:
    """`ExecutionReader` over a small pool of read-only connections; `sizes` measures the database by one of them."""

    def __init__(self, threads: Sequence[ConnectionThread], sizes: Callable[[Connection], Sizes]) -> None:
        self._sizes = sizes
        self._idle: asyncio.Queue[ConnectionThread] = asyncio.Queue()
        for thread in threads:
            self._idle.put_nowait(thread)

    async def summary(self, execution_id: ExecutionId) -> Summary:
        """Read one row."""
        row = await self._one("execution_row", (execution_id,))
        if row is None:
            raise rows.not_found(execution_id)
        return rows.summary_of(row)

    async def outline(self, execution_id: ExecutionId) -> tuple[Summary, Event, Event | None]:
        """Read one row with the first event of its log and the last."""
        row = await self._one("outline", (execution_id,))
        if row is None or row["first"] is None:
            raise rows.not_found(execution_id)
        last = None if row["last"] is None else codec.decode_event(row["last"])
        return rows.summary_of(row), codec.decode_event(row["first"]), last

    async def summaries(self, chosen: ListFilter) -> SummaryPage:
        """Read a page, newest first."""
        return await self._on_connection(lambda connection: listing.read(connection, chosen))

    async def entries(self, execution_id: ExecutionId, from_version: int, limit: int) -> list[Entry]:
        """Read events from a version on."""
        found = await self._page("events_from", (execution_id, from_version), limit)
        return [rows.entry_of(row) for row in found]

    async def responses(self, execution_id: ExecutionId, from_seq: int, limit: int) -> list[Response]:
        """Read responses from a sequence number on."""
        found = await self._page("responses_from", (execution_id, from_seq), limit)
        return [rows.response_of(row) for row in found]

    async def log_lines(
        self, execution_id: ExecutionId, after: int, limit: int
    ) -> list[tuple[int, RunId | None, LogLine]]:
        """Read log lines after a position."""
        found = await self._all("log_lines_after", (execution_id, after, limit))
        return [rows.log_line_of(row) for row in found]

    async def failure(self, failure_id: FailureId) -> FailureRecord:
        """Read a failure in full."""
        ((_, record),) = await self.failure_chain(failure_id, 1)
        return record

    async def failure_chain(self, failure_id: FailureId, limit: int) -> list[tuple[ExecutionId, FailureRecord]]:
        """Read a failure and what caused it."""
        chain: list[tuple[ExecutionId, FailureRecord]] = []
        wanted: FailureId | None = failure_id
        while wanted is not None and len(chain) < limit:
            row = await self._one("failure", (wanted,))
            if row is None:
                break
            chain.append((row["execution_id"], rows.failure_of(row)))
            wanted = row["cause"]
        if not chain:
            raise NotFoundError("failure_not_found", f"there is no failure {failure_id[:100]}")
        return chain

    async def delays(self, execution_id: ExecutionId, after: str, limit: int) -> list[Delay]:
        """Read delays that are still to end."""
        found = await self._all("delays_of", (execution_id, after, limit))
        return [Delay(r["delay_id"], r["join_set"], r["due_at"], bool(r["is_paused"])) for r in found]

    async def read_log(self, execution_id: ExecutionId) -> StoredLog:
        """Read a whole log and its responses in one snapshot."""

        def read(connection: Connection) -> StoredLog:
            found = _written(connection, execution_id)
            return StoredLog([entry_of(row) for row in found.events], [response_of(row) for row in found.responses])

        return await self._on_connection(read)

    async def read_written(self, execution_id: ExecutionId) -> WrittenLog:
        """Read a whole log and its responses in one snapshot, as they are stored."""
        return await self._on_connection(lambda connection: _written(connection, execution_id))

    async def counts(self) -> Mapping[str, int]:
        """Count unfinished executions by status, those that are paused or being cancelled apart."""
        counted: dict[str, int] = {}
        for status, lifecycle, number in await self._all("counts", ()):
            name = status if lifecycle == "active" else lifecycle
            counted[name] = counted.get(name, 0) + number
        return counted

    async def census(self, at: Instant) -> Sequence[Census]:
        """Count the unfinished executions by component and state."""
        return [Census(*row) for row in await self._all("census", {"at": at})]

    async def queues(self, at: Instant) -> Sequence[Queue]:
        """Read what waits and runs of each component."""
        return await self._on_connection(lambda connection: capacity.queues(connection, at))

    async def executors(self, seen_since: Instant, limit: int) -> Sequence[KnownExecutor]:
        """Read the executors that were seen since then."""
        return await self._on_connection(lambda connection: capacity.executors(connection, seen_since, limit))

    async def hosts(self) -> list[KnownHost]:
        """Read all hosts that are known."""
        return await self._on_connection(hosting.hosts)

    async def sizes(self) -> Sizes:
        """Measure the files."""
        return await self._on_connection(self._sizes)

    async def automatic_pauses(self) -> Mapping[str, int]:
        """Count the executions that were paused because they could not go on."""
        return {str(row[0]): int(row[1]) for row in await self._all("automatic_pauses", ())}

    async def locked_of(self, component: str) -> int:
        """Count the executions of a component that run now."""
        ((number,),) = await self._all("locked_of", (component,))
        return int(number)

    async def failed_on(self, execution_id: ExecutionId, digest: str, abi: int) -> tuple[int | None, str] | None:
        """Tell where and why an execution could not go on on some code."""
        row = await self._one("failed_on", (execution_id, digest, abi))
        return None if row is None else (row["version"], row["message"] or "")

    async def newest_generation(self, host: str) -> Newest:
        """Read the number of the active generation, beside that which a host runs."""
        row = await self._on_connection(lambda connection: connection.execute("newest_generation", (host,)).fetchone())
        return Newest(row["number"], row["told"])

    async def generations(self, before: int, limit: int) -> list[GenerationRow]:
        """Read the history, newest first."""
        return [GenerationRow(*row) for row in await self._all("generations", (before, limit))]

    async def work_in_progress(self) -> list[WorkInProgress]:
        """Count the unfinished executions by function and digest."""
        return [WorkInProgress(*row) for row in await self._all("work_in_progress", ())]

    async def unfinished_of(self, ffqn: str, after: str, limit: int) -> list[ExecutionId]:
        """Read ids of unfinished executions of a function."""
        return [row[0] for row in await self._all("unfinished_of", (ffqn, after, limit))]

    async def started_on_other_code(self, ffqn: str, digest: str, limit: int) -> list[tuple[ExecutionId, str]]:
        """Read unfinished executions of a function that were started on another digest."""
        return [(row[0], row[1]) for row in await self._all("started_on_other_code", (ffqn, digest, limit))]

    async def find_function(self, execution_id: ExecutionId) -> str | None:
        """Read the ffqn of an execution."""
        row = await self._one("execution_row", (execution_id,))
        return None if row is None else row["ffqn"]

    async def has_finished(self, execution_id: ExecutionId) -> bool:
        """Tell if an execution has ended."""
        row = await self._one("execution_row", (execution_id,))
        return row is not None and row["status"] == "finished"

    async def component_code(self, digest: str) -> bytes | None:
        """Read a component's bytes."""
        row = await self._one("component_code", (digest,))
        return None if row is None else bytes(row["code"])

    async def digests(self, name: Literal["unneeded_code", "stored_digests"]) -> list[str]:
        """Read digests of components."""
        return [row[0] for row in await self._all(name, ())]

    async def finished_before(self, before: Instant, after: str, window: int) -> Window:
        """Look at the next executions for those that finished before a time."""
        return await self._on_connection(lambda c: removal.finished_before(c, before, after, window))

    async def standing(self, execution_id: ExecutionId, at: Instant) -> Standing:
        """Read where an execution stands at a time."""
        return await self._on_connection(lambda connection: standing.read(connection, execution_id, at))

    async def progress(self, execution_id: ExecutionId, after: Position, limit: int, *, logs: bool) -> Progress:
        """Read what is new of an execution."""
        return await self._on_connection(lambda c: following.progress(c, execution_id, after, limit, logs=logs))

    async def summaries_of(self, chosen: Sequence[ExecutionId]) -> list[Summary]:
        """Read the rows of executions."""
        return [rows.summary_of(row) for row in await self._all("executions_of", (json.dumps(chosen),))]

    async def tree(self, execution_id: ExecutionId, depth: int, limit: int) -> Tree:
        """Read an execution and its descendants."""
        return await self._on_connection(lambda connection: following.tree(connection, execution_id, depth, limit))

    async def audit_rows(self, chosen: AuditFilter) -> list[AuditRow]:
        """Read a page of the audit log, newest first."""
        return [auditing.row_of(row) for row in await self._all(*auditing.query(chosen))]

    async def _all(self, name: str, values: tuple[object, ...] | dict[str, object]) -> list[Row]:
        return await self._on_connection(lambda c: c.execute(name, values).fetchall())

    async def _page(self, name: str, place: tuple[object, ...], limit: int) -> list[Row]:
        def read(connection: Connection) -> list[Row]:
            return following.page(connection.execute(name, (*place, limit)), "body", limit)[0]

        return await self._on_connection(read)

    async def _one(self, name: str, values: tuple[object, ...]) -> Row | None:
        found = await self._all(name, values)
        return found[0] if found else None

    async def _on_connection(self, read: Callable[[Connection], T]) -> T:
        thread = await self._idle.get()
        try:
            return await thread.call(read)
        finally:
            self._idle.put_nowait(thread)


def _written(connection: Connection, execution_id: ExecutionId) -> WrittenLog:
    with connection.snapshot():
        events = connection.tuples("events_from", (execution_id, 0, _ALL))
        return WrittenLog(events, connection.tuples("responses_from", (execution_id, 0, _ALL)))
