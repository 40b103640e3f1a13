"""What proves to a daemon who asks, and to whoever asks that it is the daemon.

A token comes from a file or the environment. There is no option for the token itself: everybody on the machine can
read the command lines of others.
"""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from obelisk_daemon.ctl.address import Address
from obelisk_daemon.ctl.failure import BAD_DATA, USAGE, CtlError

_LONGEST: Final = 1_000


class Credentials(NamedTuple):
    """The token to send, and the certificates to trust; None: the system's."""

    token: str | None = None
    ca_file: str | None = None


class Files(NamedTuple):
    """The options that name files."""

    token: str | None = None
    ca: str | None = None


def find_credentials(address: Address, files: Files, environ: Mapping[str, str]) -> Credentials:
    """Find them for an address. A unix socket needs none: the mode of its file says who may.

    Raises:
        CtlError: a file can't be read or has no token, or the token would go over the network as it is.
    """
    if address.path is not None:
        return Credentials()
    ca_file = files.ca or environ.get("OBELISK_CA_FILE") or None
    token = _read(files.token) if files.token else environ.get("OBELISK_TOKEN") or None
    if token is None:
        return Credentials(None, ca_file)
    if not _is_plain(token.strip()):
        where = files.token or "OBELISK_TOKEN"
        raise CtlError(BAD_DATA, "invalid_token", f"{where} has no token, which is one word: obk_...")
    if not address.tls and not _is_loopback(address.host):
        message = f"the token would go to {address} over the network as it is: use https"
        raise CtlError(USAGE, "token_unencrypted", message)
    return Credentials(token.strip(), ca_file)


def _read(file: str) -> str:
    try:
        with Path(file).open("rb") as opened:
            return opened.read(_LONGEST).decode("ascii", "replace")
    except OSError as error:
        raise CtlError(BAD_DATA, "file_unreadable", f"{file} can't be read: {error.strerror}") from error


def _is_plain(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token and 0 < len(token) < _LONGEST


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
