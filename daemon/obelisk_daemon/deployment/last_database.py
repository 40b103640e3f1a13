"""Which database a state directory was last used with, for a start whose manifest can't tell."""

from pathlib import Path
from typing import Final

import msgspec

from obelisk_config import Database
from obelisk_daemon.errors import OperatorError

_NAME: Final = "database.json"
_DECODER: Final[msgspec.json.Decoder[Database]] = msgspec.json.Decoder(Database)


def last_database(state_dir: Path) -> Database | None:
    """Read it; None: there is no such directory yet, or nobody has said.

    Raises:
        OperatorError: `state_dir_unusable`: what is kept there can't be read.
    """
    file = state_dir / _NAME
    try:
        return _DECODER.decode(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.MsgspecError) as error:
        message = f"{file}, which tells the database that was used last, can't be read: {error}; delete it"
        raise OperatorError("state_dir_unusable", message) from error


def keep_database(state_dir: Path, database: Database) -> None:
    """Note it. Its password isn't noted, only where that is.

    Raises:
        OperatorError: `state_dir_unusable`: it can't be written.
    """
    file, part = state_dir / _NAME, state_dir / f"{_NAME}.part"
    try:
        part.write_bytes(msgspec.json.encode(database))
        part.replace(file)
    except OSError as error:
        raise OperatorError("state_dir_unusable", f"{file} can't be written: {error.strerror}") from error
