"""Writing what the daemon sends to a file that is there as a whole or not at all."""

import hashlib
import os
from base64 import b64encode
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from obelisk_daemon.ctl.client import Client, Download
from obelisk_daemon.ctl.failure import BAD_DATA, FAILED, CtlError
from obelisk_daemon.ctl.progress import Progress

_CHUNK: Final = 1 << 20


class Saved(NamedTuple):
    """What was written: its size in bytes and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


def save(client: Client, path: str, file: Path, shown: Progress, *, replace: bool) -> Saved:
    """Ask for a copy and write it, mode 0600, durably. What was there is kept unless `replace`, and if this fails.

    Raises:
        CtlError: it can't be had or written, or is not what the daemon sent.
    """
    if not replace and file.exists():
        raise _there(file)
    draft = file.with_name(f"{file.name}.part")
    try:
        with open(draft, "xb", opener=_private) as output:  # before the daemon makes a copy in vain
            try:
                with client.download(path) as download:
                    made = _copy(download, output, shown)
                _publish(draft, file, replace=replace)
            finally:
                draft.unlink(missing_ok=True)
    except FileExistsError:
        message = f"{draft} is there: another backup writes it, or is gone and left it; delete it then"
        raise CtlError(FAILED, "file_exists", message) from None
    except OSError as error:
        raise CtlError(FAILED, "file_unwritable", f"{file} can't be written: {error.strerror}") from error
    return made


def _copy(download: Download, output: BinaryIO, shown: Progress) -> Saved:
    digest, size = hashlib.sha256(), 0
    shown.update(total=download.size, text="reading the copy")
    while chunk := download.read(_CHUNK):
        digest.update(chunk)
        size += output.write(chunk)
        shown.update(done=size)
    output.flush()
    os.fsync(output.fileno())
    if download.digest != f"sha-256=:{b64encode(digest.digest()).decode()}:":
        raise CtlError(BAD_DATA, "damaged_on_the_way", "what came is not what the daemon sent; try again")
    return Saved(size, digest.hexdigest())


def _publish(draft: Path, file: Path, *, replace: bool) -> None:
    if not replace and file.exists():  # somebody made it meanwhile
        raise _there(file)
    draft.replace(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _there(file: Path) -> CtlError:
    return CtlError(FAILED, "file_exists", f"{file} is there; --force replaces it")
