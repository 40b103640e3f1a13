"""The certificate of a listener, read again when its files change."""

import logging
import os
import ssl
from pathlib import Path
from typing import Final, TypeAlias

from obelisk_config import Tls
from obelisk_daemon.errors import OperatorError

_LOG: Final = logging.getLogger(__name__)
_Look: TypeAlias = tuple[tuple[int, int, int], ...]
"""What tells another content of the files: inode, size and time of change of each."""


class Certificate:
    """A certificate and its key. `context` is for the connections that come from now on."""

    def __init__(self, files: Tls) -> None:
        """Read it.

        Raises:
            OperatorError: `tls_unusable`.
        """
        self._files = files
        self._loaded = self._seen = _look(files)
        self.context = load(files)

    def refresh(self) -> None:
        """Read it again if its files have changed, once they are the same at two calls: there are two of them to write.

        A pair that can't be used is logged, and the one before stays.
        """
        before, self._seen = self._seen, _look(self._files)
        if self._seen != before or self._seen == self._loaded:
            return
        self._loaded = self._seen
        try:
            self.context = load(self._files)
        except OperatorError as error:
            _LOG.error("the certificate stays as it was: %s", error)
        else:
            _LOG.warning("the certificate %s was read again", self._files.cert)


def load(files: Tls) -> ssl.SSLContext:
    """Make what a server needs of a certificate and its key.

    Raises:
        OperatorError: `tls_unusable`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for file in (files.cert, files.key):
        try:
            os.close(os.open(file, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise OperatorError("tls_unusable", f"{file} can't be read: {error.strerror}") from error
    try:
        context.load_cert_chain(files.cert, files.key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        message = f"{files.cert} and {files.key} are no certificate with its key: {error}"
        raise OperatorError("tls_unusable", message) from error
    return context


def _no_password() -> str:
    """Give none in place of asking the terminal for one."""
    raise ValueError("the key has a password")


def _look(files: Tls) -> _Look:
    return tuple(_of(Path(file)) for file in (files.cert, files.key))


def _of(file: Path) -> tuple[int, int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0, 0
    return status.st_ino, status.st_size, status.st_mtime_ns
