"""Executions that are submitted one by one at the same time, written together.

Each in a transaction of its own costs a savepoint, three look-ups and three inserts; of many in one, the look-ups are
made once, and each insert is one statement for all.
"""

from typing import Final

from obelisk_daemon.errors import CallerError, OutcomeUnknownError
from obelisk_daemon.storage.records import NewExecution
from obelisk_daemon.storage.sql import queueing
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


class Submissions:
    """Gathers what is submitted until the writer takes it."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._gathered: _Gathered | None = None

    async def submit(self, new: NewExecution) -> bool:
        """Insert a top-level execution, once, in one transaction with others that come at the same time."""
        gathered = self._gathered
        if gathered is None or not gathered.is_open:
            gathered = self._gathered = _Gathered(self._writer)
        place = gathered.add(new)
        try:
            done = (await gathered.ticket.outcome())[place]
        except OutcomeUnknownError:
            raise
        except Exception:
            if len(gathered.many) == 1:
                raise
            return await self._alone(new)  # another one may be at fault, or too large for what room there is
        if isinstance(done, CallerError):
            raise done
        return done

    async def _alone(self, new: NewExecution) -> bool:
        return await self._writer.queue(lambda tx: queueing.submit(tx, new), rows=_ROWS).outcome()
