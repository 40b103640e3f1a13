import socket
from pathlib import Path

import pytest

from obelisk_daemon.api.listeners import (
    TcpListener,
    UnixListener,
    bind,
    bound_address,
    describe,
    parse_listener,
    remove_socket,
)
from obelisk_daemon.errors import OperatorError


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("unix:/run/obelisk/api.sock", UnixListener(Path("/run/obelisk/api.sock"))),
        ("127.0.0.1:5005", TcpListener("127.0.0.1", 5005)),
        ("localhost:0", TcpListener("127.0.0.1", 0)),
        ("[::1]:5005", TcpListener("::1", 5005)),
    ],
)
def test_addresses_are_read(text: str, listener: object) -> None:
    assert parse_listener(text) == listener


@pytest.mark.parametrize("text", ["", "5005", ":5005", "localhost", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:²"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(OperatorError, match=r"127\.0\.0\.1:5005") as caught:
        parse_listener(text)
    assert caught.value.code == "invalid_listen"


@pytest.mark.parametrize("text", ["0.0.0.0:5005", "[::]:5005", "192.168.1.5:5005"])
def test_addresses_that_others_can_reach_are_refused(text: str) -> None:
    with pytest.raises(OperatorError) as caught:
        parse_listener(text)
    assert caught.value.code == "listen_not_loopback"


def test_a_relative_or_overlong_socket_path_is_refused() -> None:
    with pytest.raises(OperatorError, match="absolute"):
        parse_listener("unix:api.sock")
    with pytest.raises(OperatorError, match="107"):
        parse_listener("unix:/" + "x" * 107)


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
    address = bound_address(listener, bound)
    bound.close()
    assert parse_listener(address) != listener
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
