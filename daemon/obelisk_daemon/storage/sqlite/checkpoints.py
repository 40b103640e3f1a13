"""Moves what was committed from the WAL to the database file, mostly beside those who commit.

SQLite does it itself within the commit that makes the WAL too long. That commit takes as long as a hundred others, and
everybody waits for it. So what there is is moved on a connection of its own, for which no commit waits; what was
committed meanwhile is little, and once the connection that writes has moved that too, it begins the WAL anew.
"""

import asyncio
import logging
import sqlite3
from typing import Final

from obelisk_daemon.storage.sqlite.connection import SqliteConnection, SqliteThread

_LOG: Final = logging.getLogger(__name__)
_CHANGES: Final = 5_000
"""Rows after which it is time: of steps, they are some 8 MiB of the 16 after which SQLite would do it."""


class Checkpoints:
    """Follows the changes of the connection that writes. `run` is a task of the store's owner.

    What fails is only told, and done again: nothing is lost by it, since the WAL still has what could not be moved.
    """

    def __init__(self, thread: SqliteThread) -> None:
        self._thread = thread
        self._wake = asyncio.Event()
        self._changes = 0
        self._leaves_rest = False

    def note(self, changes: int) -> None:
        """Take how many rows the connection that writes has changed by now, all in all."""
        if changes - self._changes >= _CHANGES:
            self._changes = changes
            self._wake.set()

    async def run(self) -> None:
        """Move what there is to move whenever it is time, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._leaves_rest = await _move(self._thread)

    async def finish(self, writing: SqliteThread) -> None:
        """Move the rest, between two transactions of the connection that writes."""
        if self._leaves_rest:
            self._leaves_rest = False
            await _move(writing)


async def _move(thread: SqliteThread) -> bool:
    try:
        await thread.call(_checkpoint)
    except sqlite3.Error as error:
        _LOG.warning("what was committed could not be moved to the database file: %s", error)
        return False
    return True


def _checkpoint(connection: SqliteConnection) -> None:
    connection.raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
