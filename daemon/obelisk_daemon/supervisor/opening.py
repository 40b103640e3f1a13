"""The one place that knows the kinds of databases: it opens the store, its clock and its keeper by the setting."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from obelisk_config import Database, Postgresql, Sqlite
from obelisk_daemon.clock import Clock, SystemClock
from obelisk_daemon.deployment.last_database import keep_database, last_database
from obelisk_daemon.deployment.secrets import read_password
from obelisk_daemon.errors import OutcomeUnknownError
from obelisk_daemon.metrics import StorageMetrics
from obelisk_daemon.offline import Beginning
from obelisk_daemon.storage.database import DatabaseKeeper
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.keeper import SqliteKeeper
from obelisk_daemon.storage.sqlite.moved import refuse_moved
from obelisk_daemon.storage.sqlite.store import open_store

if TYPE_CHECKING:
    from obelisk_daemon.storage.postgres.announcing import Announcer

_log: Final = structlog.get_logger("obeliskd")


class Opening(msgspec.Struct, frozen=True):
    """What opening a database needs to know. `variables` are those of the environment, for passwords."""

    database: Database
    state_dir: Path
    """Held by this daemon alone, whatever the database is."""
    variables: Mapping[str, str]
    on_broken: Callable[[OutcomeUnknownError], None]
    metrics: StorageMetrics


class Opened(msgspec.Struct, frozen=True):
    """A database that is open, and what belongs to it. All instants that it keeps are of this clock."""

    store: SqlStore
    clock: Clock
    keeper: DatabaseKeeper
    announcer: "Announcer | None" = None
    """What hears other hosts, where there may be some."""


def database_to_open(beginning: Beginning) -> Database:
    """Choose the database, and note it in the state directory.

    Where the manifest can't be read as far as that, it is the one used last, in which the last good generation is:
    SQLite's would be an empty one, or hold what has long gone on elsewhere.

    Raises:
        OperatorError: `state_dir_unusable`.
    """
    told = beginning.settings.database
    last = last_database(beginning.state_dir)
    if not beginning.tells_database:
        return told if last is None else last
    if last is not None and last != told:
        _log.warning("database_changed", last=str(last), now=str(told))
    keep_database(beginning.state_dir, told)
    return told


@asynccontextmanager
async def open_database(opening: Opening) -> AsyncIterator[Opened]:
    """Open the database for as long as the context lasts; what is queued at the end is still written.

    Raises:
        OperatorError: it can't be used, or its password can't be read.
    """
    match opening.database:
        case Sqlite():
            async with _sqlite(opening) as opened:
                yield opened
        case Postgresql() as database:
            # a tenth of a second and 9 MiB, which a daemon with SQLite need not spend
            from obelisk_daemon.supervisor.opening_postgres import open_postgresql

            async with open_postgresql(database, opening) as opened:
                yield opened


@asynccontextmanager
async def _sqlite(opening: Opening) -> AsyncIterator[Opened]:
    file, clock = opening.state_dir / "obelisk.db", SystemClock()
    refuse_moved(file)
    async with open_store(file, opening.on_broken, metrics=opening.metrics) as store:
        keeper = SqliteKeeper(file, opening.state_dir / "cache", store.writer, clock.monotonic)
        try:
            yield Opened(store, clock, keeper)
        finally:
            keeper.close()


def password_of(database: Postgresql, variables: Mapping[str, str]) -> Callable[[], str | None]:
    """Give what reads the password of a database, anew each time, so that it may change; None where none is told.

    It raises OperatorError: `missing_secret`, `bad_secret`, and blocks on the disk: call it on a thread.
    """
    source = database.password
    return partial(read_password, source, variables) if source is not None else _no_password


def _no_password() -> None:
    """Have none, so that what libpq finds (trust, a certificate, ~/.pgpass) counts."""
