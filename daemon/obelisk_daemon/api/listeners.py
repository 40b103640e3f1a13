"""Where the API listens: `unix:/path` and `HOST:PORT`, also on sockets that systemd holds."""

import errno
import socket
import stat
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from obelisk_config import Listen, Tls, UnixListen
from obelisk_daemon.errors import OperatorError

_SOCKET_MODE: Final = 0o660
_DIRECTORY_MODE: Final = 0o750


class UnixListener(msgspec.Struct, frozen=True):
    """A unix socket; whoever may write to its file may use the API."""

    path: Path


class TcpListener(msgspec.Struct, frozen=True):
    """An IP address; port 0 takes any free one."""

    host: str
    port: int
    tls: Tls | None = None
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """The only places that requests are taken from; empty: from everywhere."""
    hosts: frozenset[str] = frozenset()
    """Names beside its address."""

    @property
    def is_loopback(self) -> bool:
        """Say whether only this machine can reach it."""
        return ip_address(self.host).is_loopback

    @property
    def place(self) -> tuple[str, int]:
        """Give what tells it from others."""
        return self.host, self.port


Listener: TypeAlias = UnixListener | TcpListener


def listener_of(listen: Listen) -> Listener:
    """Make a listener of what the manifest says."""
    if isinstance(listen, UnixListen):
        return UnixListener(Path(listen.path))
    proxies = tuple(ip_network(network) for network in listen.trusted_proxy)
    return TcpListener(listen.host, listen.port, listen.tls, proxies, frozenset(listen.hosts))


def bind(listener: Listener) -> socket.socket:
    """Make the listening socket; the caller closes it, and removes the file of a unix one with `remove_socket`.

    Raises:
        OperatorError: the address can't be had: `listen_failed`, `listen_in_use`.
    """
    try:
        return _bind_unix(listener.path) if isinstance(listener, UnixListener) else _bind_tcp(listener)
    except OSError as error:
        code = "listen_in_use" if error.errno == errno.EADDRINUSE else "listen_failed"
        raise OperatorError(code, f"can't listen on {describe(listener)}: {error.strerror}") from error


class Bound:
    """A socket of the API and where it listens. `passed` is one that systemd holds: its file is none of ours."""

    def __init__(self, listener: Listener, passed: socket.socket | None = None) -> None:
        self.socket = bind(listener) if passed is None else passed
        self.address = bound_address(listener, self.socket)
        self.listener = listener
        made = passed is None and isinstance(listener, UnixListener)
        self._inode = Path(self.socket.getsockname()).lstat().st_ino if made else None

    def close(self) -> None:
        """Close the socket, and remove the file that `bind` made for it."""
        self.socket.close()
        if self._inode is not None:
            remove_socket(self.listener, self._inode)


def bind_all(listeners: Sequence[Listener], passed: Sequence[socket.socket]) -> list[Bound]:
    """Have a socket for each listener: the passed one with its address, or else a new one. The caller closes them.

    Passed sockets that no listener names are served too: who wrote the socket unit wants it.

    Raises:
        OperatorError: an address can't be had, or others could reach a passed socket; no new one is left.
    """
    held = [(_passed(one), one) for one in passed]
    bound: list[Bound] = []
    try:
        for listener in listeners:
            same = next((pair for pair in held if _is_same(pair[0], listener)), None)
            if same is not None:
                held.remove(same)
            bound.append(Bound(listener, same and same[1]))
        bound += [Bound(_unreachable_by_others(listener), one) for listener, one in held]
    except BaseException:
        for one in bound:
            one.close()
        raise
    return bound


def _passed(passed: socket.socket) -> Listener:
    """Say where a socket that systemd passed listens.

    Raises:
        OperatorError: `invalid_listen`: it is of a kind that is no listener's.
    """
    name = passed.getsockname()
    if passed.family == socket.AF_UNIX and isinstance(name, str) and name:
        return UnixListener(Path(name))
    if passed.family in (socket.AF_INET, socket.AF_INET6):
        return TcpListener(*name[:2])
    # One of the abstract namespace has no file whose mode would say who may use the API.
    raise OperatorError("invalid_listen", f"systemd passed a socket that is neither a path nor an IP address: {name!r}")


def _unreachable_by_others(listener: Listener) -> Listener:
    """Insist on the loopback for a passed socket that the manifest does not name: only that says how it is encrypted.

    Raises:
        OperatorError: `listen_not_loopback`.
    """
    if isinstance(listener, TcpListener) and not listener.is_loopback:
        message = f"systemd passed a socket on {describe(listener)}, which others can reach"
        raise OperatorError("listen_not_loopback", f"{message}: add it to listen, with tls or trusted_proxy")
    return listener


def _is_same(one: Listener, other: Listener) -> bool:
    if isinstance(one, UnixListener) and isinstance(other, UnixListener):
        return one.path.resolve() == other.path.resolve()  # /var/run is a link
    return isinstance(one, TcpListener) and isinstance(other, TcpListener) and one.place == other.place


def describe(listener: Listener) -> str:
    """Write a listener as it is written in the manifest."""
    if isinstance(listener, UnixListener):
        return f"unix:{listener.path}"
    host = f"[{listener.host}]" if ":" in listener.host else listener.host
    return f"{host}:{listener.port}"


def bound_address(listener: Listener, bound: socket.socket) -> str:
    """Write where the socket really listens, with the port that port 0 became."""
    if isinstance(listener, UnixListener):
        return describe(listener)
    return describe(TcpListener(listener.host, bound.getsockname()[1]))


def _bind_tcp(listener: TcpListener) -> socket.socket:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((listener.host, listener.port))
    except BaseException:
        bound.close()
        raise
    return bound


def _bind_unix(path: Path) -> socket.socket:
    if not path.parent.exists():
        path.parent.mkdir(mode=_DIRECTORY_MODE)
    _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        # Nobody can connect before `listen`, so the mode is right from the first moment on.
        path.chmod(_SOCKET_MODE)
    except BaseException:
        bound.close()
        raise
    return bound


def _remove_stale(path: Path) -> None:
    """Remove the socket of a daemon that died; never one that is listened on, nor another kind of file."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OperatorError("listen_failed", f"{path} is there and is not a socket; remove it or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OperatorError("listen_in_use", f"another daemon listens on {path}")


def remove_socket(listener: Listener, inode: int) -> None:
    """Remove the file of a unix socket if it is still the one with that inode, and not a successor's."""
    if not isinstance(listener, UnixListener):
        return
    try:
        if listener.path.lstat().st_ino == inode:
            listener.path.unlink()
    except FileNotFoundError:
        return
