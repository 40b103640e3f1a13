"""Telling the other hosts what was committed here, and hearing what they tell.

It is a wake-up, not the truth: what is not heard is found when the tables are looked at, which `on_gap` asks for.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
import psycopg
import structlog

from obelisk_daemon.errors import OperatorError, StorageUnavailableError
from obelisk_daemon.ids import ExecutionId, ExecutorId
from obelisk_daemon.storage.postgres.connecting import PostgresThread, Target
from obelisk_daemon.storage.postgres.connection import PostgresConnection
from obelisk_daemon.storage.records import Change, ResponseChange, StateChange, Subscriber

_EVERY: Final = 0.01
"""Seconds between two announcements at least: what happens meanwhile goes together."""
_LONGEST: Final = 7_900
"""Bytes of an announcement; PostgreSQL takes 8,000."""
_MOST: Final = 5_000
"""Changes that wait to be announced; beyond them the others are told to look."""
_FIRST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 2.0
_log: Final = structlog.get_logger("storage")


class _Announcement(msgspec.Struct, array_like=True):
    sender: str
    states: list[StateChange] = []
    answered: list[tuple[str, str | None]] = []
    """Executions that have a response, each with the executor that keeps it in memory."""
    gap: bool = False


class Announcer:
    """Exchanges changes with the other hosts. `run` is a task of the store's owner.

    `publish` takes what others have told. `on_gap` is called when something may have been missed, and `on_answered`
    with an execution that an executor of this host has in memory, and that another host has given a response.
    """

    def __init__(self, thread: PostgresThread, target: Target, sender: str, publish: Subscriber) -> None:
        self._thread = thread
        self._target = target
        self._sender = sender
        self._publish = publish
        self._waiting: list[Change] = []
        self._some = asyncio.Event()
        self._overflown = False
        self._own: set[ExecutorId] = set()
        self.on_gap: Callable[[], None] = lambda: None
        self.on_answered: Callable[[ExecutionId], None] = lambda _: None

    def know(self, executor_id: ExecutorId) -> None:
        """Take an executor for one of this host."""
        self._own.add(executor_id)

    def take(self, change: Change) -> None:
        """Have a change of this host announced."""
        if isinstance(change, ResponseChange) and (change.executor_id is None or change.executor_id in self._own):
            return  # nobody elsewhere has it in memory
        if len(self._waiting) >= _MOST:
            self._overflown = True
            return
        if isinstance(change, StateChange) and change.outcome is not None:
            change = msgspec.structs.replace(change, outcome=None)
        self._waiting.append(change)
        self._some.set()

    async def run(self) -> None:
        """Announce and listen, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._announce(), name="announce")
            tasks.create_task(self._listen(), name="listen")

    async def _announce(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            waiting, self._waiting = self._waiting, []
            overflown, self._overflown = self._overflown, False
            payloads = _payloads(self._sender, waiting, gap=overflown)
            try:
                await self._thread.call(partial(_send, payloads))
            except StorageUnavailableError as error:
                _log.warning("announcement_failed", code=error.code, detail=str(error))
                self._overflown = True
            await asyncio.sleep(_EVERY)

    async def _listen(self) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                conninfo = await asyncio.to_thread(lambda: self._target.conninfo)  # it may read a file
                async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
                    await connection.execute("LISTEN obelisk")
                    wait = _FIRST_WAIT
                    self.on_gap()  # nothing was heard until now
                    async for told in connection.notifies():
                        self._hear(told.payload)
            except (psycopg.Error, OperatorError) as error:
                _log.warning("listening_failed", detail=str(error))
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    def _hear(self, payload: str) -> None:
        told = msgspec.json.decode(payload, type=_Announcement)
        if told.sender == self._sender:
            return
        if told.gap:
            self.on_gap()
        for state in told.states:
            self._publish(state)
        for execution_id, executor_id in told.answered:
            if executor_id in self._own:
                self.on_answered(ExecutionId(execution_id))


def _send(payloads: list[str], connection: PostgresConnection) -> None:
    for payload in payloads:
        connection.execute("announce", (payload,)).fetchall()


def _payloads(sender: str, changes: list[Change], *, gap: bool) -> list[str]:
    """Put changes into as few announcements as they fit."""
    made: list[str] = []
    current, size = _Announcement(sender, gap=gap), 100
    for change in changes:
        length = 180 if isinstance(change, StateChange) else 100
        length += len(change.execution_id)
        if size + length > _LONGEST:
            made.append(msgspec.json.encode(current).decode())
            current, size = _Announcement(sender), 100
        size += length
        if isinstance(change, StateChange):
            current.states.append(change)
        else:
            current.answered.append((change.execution_id, change.executor_id))
    return [*made, msgspec.json.encode(current).decode()]
