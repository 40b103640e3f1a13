"""A connection to PostgreSQL that is lost at a commit: what became of it is read back, and nothing is written twice."""

import asyncio
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest

from obelisk_daemon.errors import OutcomeUnknownError
from obelisk_daemon.storage.postgres.committing import PostgresGroupCommit
from obelisk_daemon.storage.postgres.connecting import PostgresThread, Target
from obelisk_daemon.storage.postgres.connection import PostgresConnection
from obelisk_daemon.storage.postgres.queries import WRITING
from obelisk_daemon.storage.postgres.schema import prepare
from obelisk_daemon.storage.sql.connection import Connection
from obelisk_daemon.storage.sql.transaction import Transaction
from obelisk_daemon.storage.sql.writer import WriteTicket

pytestmark = pytest.mark.anyio
WRITER = "writer-1"


class StumblingThread(PostgresThread):
    """Loses the next `stumbles` connections as soon as they are asked for."""

    def __init__(self, url: str) -> None:
        super().__init__(Target(url), WRITING)
        self.url = url
        self.stumbles = 0

    def connected(self) -> PostgresConnection:
        connection = super().connected()
        if self.stumbles:
            self.stumbles -= 1
            self.cut(connection)
        return connection

    def cut(self, connection: Connection) -> None:
        """Have the server end a connection, as it does when it stops."""
        assert isinstance(connection, PostgresConnection)
        with psycopg.connect(self.url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", (connection.raw.info.backend_pid,))


@pytest.fixture
async def thread(postgres: str) -> AsyncIterator[StumblingThread]:
    made = StumblingThread(postgres)
    await asyncio.to_thread(prepare, Target(postgres))
    await made.start()
    yield made
    await made.close()


def ticket(before: Callable[[Transaction], None]) -> WriteTicket[None]:
    def work(tx: Transaction) -> None:
        before(tx)
        tx.execute("set_proposal", ("host", "sha256:0", 1))

    return WriteTicket(work, None, None)


def proposals(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM obelisk.proposal").fetchone()
    assert row is not None
    return int(row[0])


async def test_a_group_whose_connection_is_lost_again_and_again_is_written_once(thread: StumblingThread) -> None:
    def lose(tx: Transaction) -> None:
        if not tries:
            thread.stumbles = 3
            thread.cut(tx.connection)
        tries.append(1)

    tries: list[int] = []
    written = ticket(lose)
    await PostgresGroupCommit(thread, WRITER).commit([written])
    assert (written.error, len(tries), thread.stumbles, proposals(thread.url)) == (None, 2, 0, 1)


async def test_an_outcome_that_the_server_refuses_to_tell_is_unknown(thread: StumblingThread) -> None:
    def lose(tx: Transaction) -> None:
        thread.cut(tx.connection)
        with psycopg.connect(thread.url, autocommit=True) as other:
            other.execute("DROP TABLE obelisk.committed")

    with pytest.raises(OutcomeUnknownError, match="its outcome can't be read"):
        await PostgresGroupCommit(thread, WRITER).commit([ticket(lose)])
