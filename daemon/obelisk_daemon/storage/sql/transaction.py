"""A logical transaction in progress, on the writer's thread."""

from collections.abc import Callable, Iterable

from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Change, DelayEnded, Recorded
from obelisk_daemon.storage.sql.connection import Connection, Cursor, Values
from obelisk_daemon.storage.sql.unwritten import Unwritten


class Transaction:
    """One of a group. What the whole group adds to rows may wait in `unwritten`: until another statement is run."""

    def __init__(self, connection: Connection, unwritten: Unwritten, *, looks_later: bool = False) -> None:
        self.connection = connection
        self.unwritten = unwritten
        self._looks_later = looks_later
        self.looks: list[Callable[[], None]] = []
        """What is still to be done with answers before the commit, in order."""
        self.changes: list[Change] = []
        self.recorded: list[Recorded | DelayEnded] = []
        self.left_unlocked: list[ExecutionId] = []
        """What is not held by the run that was begun for it."""

    def execute(self, name: str, values: Values = (), /) -> Cursor:
        """Run the statement of a name."""
        self.unwritten.write()
        return self.connection.execute(name, values)

    def executemany(self, name: str, values: Iterable[Values], /) -> None:
        """Run it once for each."""
        self.unwritten.write()
        self.connection.executemany(name, values)

    def look(self, look: Callable[[], None]) -> None:
        """Look at an answer that nothing here depends on: at once, or before the commit where waiting is dear.

        What it raises undoes the whole transaction, also what was written after.
        """
        if self._looks_later:
            self.looks.append(look)
        else:
            look()
