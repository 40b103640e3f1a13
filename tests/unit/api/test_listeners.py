import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from obelisk_config import TcpListen, Tls, UnixListen
from obelisk_daemon.api.listeners import (
    Listener,
    TcpListener,
    UnixListener,
    bind,
    bind_all,
    bound_address,
    describe,
    listener_of,
    remove_socket,
)
from obelisk_daemon.errors import OperatorError


def test_a_listener_is_made_of_what_the_manifest_says() -> None:
    assert listener_of(UnixListen("/run/api.sock")) == UnixListener(Path("/run/api.sock"))
    tls = Tls("/cert.pem", "/key.pem")
    made = listener_of(TcpListen("::", 5005, tls, ("10.0.0.5/32", "fd00::/8"), ("a.example", "b.example")))
    assert isinstance(made, TcpListener)
    assert (made.place, made.tls, made.is_loopback) == (("::", 5005), tls, False)
    assert [str(one) for one in made.proxies] == ["10.0.0.5/32", "fd00::/8"]
    assert made.hosts == {"a.example", "b.example"}


def test_a_socket_is_for_its_user_and_group_only_and_its_directory_is_made(tmp_path: Path) -> None:
    path = tmp_path / "run" / "api.sock"
    bound = bind(UnixListener(path))
    bound.close()
    assert path.stat().st_mode & 0o777 == 0o660
    assert path.parent.stat().st_mode & 0o777 == 0o750


def test_the_socket_of_a_dead_daemon_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    bind(UnixListener(path)).close()
    again = bind(UnixListener(path))
    again.listen()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    again.close()


def test_the_socket_of_a_living_daemon_is_left_alone(tmp_path: Path) -> None:
    listener = UnixListener(tmp_path / "api.sock")
    bound = bind(listener)
    bound.listen()
    with pytest.raises(OperatorError, match="another daemon") as caught:
        bind(listener)
    bound.close()
    assert caught.value.code == "listen_in_use"
    assert listener.path.exists()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    path.write_text("precious")
    with pytest.raises(OperatorError, match="not a socket"):
        bind(UnixListener(path))
    assert path.read_text() == "precious"


def test_the_port_that_port_0_became_is_told() -> None:
    listener = TcpListener("127.0.0.1", 0)
    bound = bind(listener)
    address, port = bound_address(listener, bound), bound.getsockname()[1]
    bound.close()
    assert address == f"127.0.0.1:{port}" != describe(listener)
    assert describe(TcpListener("::1", 80)) == "[::1]:80"


def test_a_port_that_is_taken_is_named() -> None:
    bound = bind(TcpListener("127.0.0.1", 0))
    bound.listen()
    port = bound.getsockname()[1]
    with pytest.raises(OperatorError, match=str(port)) as caught:
        bind(TcpListener("127.0.0.1", port))
    bound.close()
    assert caught.value.code == "listen_in_use"


def test_only_the_own_socket_file_is_removed(tmp_path: Path) -> None:
    listener = UnixListener(tmp_path / "api.sock")
    first = bind(listener)
    inode = listener.path.lstat().st_ino
    first.close()
    remove_socket(listener, inode + 1)
    assert listener.path.exists()
    remove_socket(listener, inode)
    assert not listener.path.exists()


Pass = Callable[[str | tuple[str, int]], socket.socket]


@pytest.fixture
def passed() -> Iterator[Pass]:
    """Make listening sockets as systemd does: with its own mode on the file."""
    with ExitStack() as stack:

        def listen(address: str | tuple[str, int]) -> socket.socket:
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
            made = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            made.bind(address)
            made.listen()
            if isinstance(address, str) and address.startswith("/"):
                Path(address).chmod(0o600)
            return made

        yield listen


def test_a_passed_socket_is_taken_for_the_listener_with_its_path_and_stays_as_it_is(
    passed: Pass, tmp_path: Path
) -> None:
    path = tmp_path / "api.sock"
    socket_of_systemd = passed(str(path))
    (bound,) = bind_all([UnixListener(path)], [socket_of_systemd])
    assert bound.socket is socket_of_systemd
    assert bound.address == f"unix:{path}"
    bound.close()
    assert path.is_socket()
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_path_of_a_passed_socket_may_be_written_through_a_link(passed: Pass, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "var").symlink_to("run")
    (bound,) = bind_all([UnixListener(tmp_path / "var/api.sock")], [passed(str(tmp_path / "run/api.sock"))])
    assert bound.address == f"unix:{tmp_path}/var/api.sock"


def test_a_passed_port_is_taken_for_the_listener_with_its_address(passed: Pass) -> None:
    socket_of_systemd = passed(("127.0.0.1", 0))
    listener = TcpListener(*socket_of_systemd.getsockname())
    (bound,) = bind_all([listener], [socket_of_systemd])
    assert bound.socket is socket_of_systemd
    assert bound.address == describe(listener)


def test_listeners_that_nothing_was_passed_for_are_bound_and_passed_sockets_without_listener_are_served(
    passed: Pass, tmp_path: Path
) -> None:
    ours, systemds = tmp_path / "ours", tmp_path / "systemds"
    listeners: list[Listener] = [UnixListener(ours), TcpListener("127.0.0.1", 0)]
    port = passed(("127.0.0.1", 0))
    bound = bind_all(listeners, [passed(str(systemds)), port])
    addresses = [one.address for one in bound]
    assert addresses[0] == f"unix:{ours}"
    assert addresses[2:] == [f"unix:{systemds}", f"127.0.0.1:{port.getsockname()[1]}"]
    assert addresses[1] != addresses[3]
    for one in bound:
        one.close()
    assert (ours.exists(), systemds.exists()) == (False, True)


def test_a_passed_port_that_others_can_reach_is_served_as_its_listener_says(passed: Pass) -> None:
    socket_of_systemd = passed(("0.0.0.0", 0))
    listener = TcpListener(*socket_of_systemd.getsockname(), tls=Tls("/cert.pem", "/key.pem"))
    (bound,) = bind_all([listener], [socket_of_systemd])
    assert (bound.socket, bound.listener) == (socket_of_systemd, listener)


def test_a_passed_socket_that_others_can_reach_is_refused(passed: Pass) -> None:
    with pytest.raises(OperatorError, match=r"systemd passed a socket on 0\.0\.0\.0:\d+") as caught:
        bind_all([], [passed(("0.0.0.0", 0))])
    assert caught.value.code == "listen_not_loopback"


def test_a_passed_socket_without_a_file_is_refused_since_no_mode_says_who_may_use_it(
    passed: Pass, tmp_path: Path
) -> None:
    with pytest.raises(OperatorError, match="neither a path nor an IP address") as caught:
        bind_all([UnixListener(tmp_path / "api.sock")], [passed("\0obelisk-test")])
    assert caught.value.code == "invalid_listen"
    assert not (tmp_path / "api.sock").exists()


def test_of_several_listeners_none_stays_bound_when_one_can_not_be_had(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(OperatorError):
        bind_all([UnixListener(tmp_path / "api.sock"), UnixListener(taken)], [])
    assert not (tmp_path / "api.sock").exists()
