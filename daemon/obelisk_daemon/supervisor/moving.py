"""What is done with databases without a daemon: moving one from SQLite to PostgreSQL, and checking one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from obelisk_config import Postgresql
from obelisk_daemon.errors import OperatorError
from obelisk_daemon.storage.database import CheckReport
from obelisk_daemon.storage.postgres.checking import check_database as check_postgres
from obelisk_daemon.storage.postgres.connecting import Target
from obelisk_daemon.storage.sqlite.checking import check_database as check_sqlite
from obelisk_daemon.storage.sqlite.directory import hold
from obelisk_daemon.storage.transfer import Transfer, TransferReport, transfer
from obelisk_daemon.supervisor.opening import password_of

_NAME: Final = "obelisk.db"
_SCHEME: Final = "sqlite:"


class Move(msgspec.Struct, frozen=True):
    """What to move, and where to. `host` is the name that the daemon's host has there; `told` is that of `Transfer`."""

    source: str
    """`sqlite:PATH`, a state directory or a database file."""
    target: Postgresql
    host: str
    told: Callable[[str, int, int], None]


def move(wanted: Move, variables: Mapping[str, str]) -> TransferReport:
    """Copy all of it to an empty database. A state directory is held meanwhile, as a daemon holds it.

    Raises:
        OperatorError: why nothing was copied, and what would help.
    """
    file = _file(wanted.source)
    password = password_of(wanted.target, variables)
    password()  # what is missing is told now, not after the source was checked
    with _held(file):
        return transfer(Transfer(file, Target(wanted.target.url, password), wanted.host, wanted.told))


def check(database: Path | Postgresql, *, full: bool) -> CheckReport:
    """Look for damage in a database; the password of one at a URL is what libpq finds.

    Raises:
        OperatorError: it is no database of this version, or can't be read.
    """
    if isinstance(database, Postgresql):
        return check_postgres(Target(database.url), full=full)
    return check_sqlite(database, full=full)


def _file(source: str) -> Path:
    path = Path(source.removeprefix(_SCHEME))
    file = path / _NAME if path.is_dir() else path
    if not source.startswith(_SCHEME) or not path.name or not file.is_file():
        cure = "write sqlite: and a state directory, sqlite:/var/lib/obelisk, or a backup"
        raise OperatorError("database_unusable", f'"{source}" is no database of SQLite: {cure}')
    return file.absolute()


@contextmanager
def _held(file: Path) -> Iterator[None]:
    """Hold the state directory; a backup has none, and nobody writes to it."""
    if file.name != _NAME:
        yield
        return
    try:
        with hold(file.parent):
            yield
    except OperatorError as error:
        if error.code != "state_dir_in_use":
            raise
        message = f"{error}; stop it first (systemctl stop obeliskd): nothing it would write now could be copied"
        raise OperatorError(error.code, message) from None
