"""Executions that are submitted one by one at the same time, written together.

Each in a transaction of its own costs a savepoint, three look-ups and three inserts; of many in one, the look-ups are
made once, and each insert is one statement for all.
"""

from typing import Final

from obelisk_daemon.errors import CallerError, OutcomeUnknownError
from obelisk_daemon.storage.records import NewExecution
from obelisk_daemon.storage.sql import locking, queueing
from obelisk_daemon.storage.sql.writer import Writer, WriteTicket

_MOST: Final = 250
_ROWS: Final = 8
"""About how many each touches."""


class _Gathered:
    def __init__(self, writer: Writer) -> None:
        self.many: list[NewExecution] = []
        self.ticket: WriteTicket[list[bool | CallerError]] = writer.queue(
            lambda tx: queueing.submit_many(tx, self.many), rows=0
        )

    @property
    def is_open(self) -> bool:
        return not self.ticket.is_taken and len(self.many) < _MOST

    def add(self, new: NewExecution) -> int:
        """Add one, and give its place."""
        self.many.append(new)
        self.ticket.rows += _ROWS
        return len(self.many) - 1


class QueuedSubmission:
    """A submission that is written with others, by the `ticket`."""

    def __init__(self, writer: Writer, gathered: _Gathered, new: NewExecution) -> None:
        self.ticket = gathered.ticket
        self._writer = writer
        self._gathered = gathered
        self._new = new
        self._place = gathered.add(new)

    async def outcome(self) -> bool:
        """Wait until it is durable; False where it is there already."""
        try:
            done = (await self.ticket.outcome())[self._place]
        except OutcomeUnknownError:
            raise
        except Exception:
            is_held = self._new.state.status == "locked"
            if len(self._gathered.many) == 1 and not is_held:
                raise
            return await self._alone()  # another one may be at fault, or too large for what room there is
        if isinstance(done, CallerError):
            raise done
        return done

    async def _alone(self) -> bool:
        """Write it in a transaction of its own. It waits to be locked: whoever had it has given it up."""
        new = locking.unlocked(self._new)
        return await self._writer.queue(lambda tx: queueing.submit(tx, new), rows=_ROWS).outcome()


class Submissions:
    """Gathers what is submitted until the writer takes it."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._gathered: _Gathered | None = None

    def add(self, new: NewExecution) -> QueuedSubmission:
        """Have a top-level execution inserted, once, in one transaction with others that come at the same time."""
        if self._gathered is None or not self._gathered.is_open:
            self._gathered = _Gathered(self._writer)
        return QueuedSubmission(self._writer, self._gathered, new)
