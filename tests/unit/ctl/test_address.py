from pathlib import Path

import pytest

from obelisk_daemon.ctl.address import Address, find_address, parse_address
from obelisk_daemon.ctl.failure import UNREACHABLE, USAGE, CtlError


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("unix:/run/api.sock", Address("/run/api.sock", "localhost", 0), "unix:/run/api.sock"),
        ("unix:///run/api.sock", Address("/run/api.sock", "localhost", 0), "unix:/run/api.sock"),
        ("http://127.0.0.1:5005", Address(None, "127.0.0.1", 5005), "http://127.0.0.1:5005"),
        ("http://localhost/", Address(None, "localhost", 80), "http://localhost:80"),
        ("127.0.0.1:5005", Address(None, "127.0.0.1", 5005), "http://127.0.0.1:5005"),
        ("http://[::1]:5005", Address(None, "::1", 5005), "http://[::1]:5005"),
        ("https://host", Address(None, "host", 443, tls=True), "https://host:443"),
    ],
)
def test_addresses_are_read_and_shown(text: str, address: Address, shown: str) -> None:
    assert parse_address(text) == address
    assert str(address) == shown


@pytest.mark.parametrize("text", ["ftp://host", "http://", "http://host/path", "http://host:port", ":5005"])
def test_what_is_no_address_is_a_usage_error(text: str) -> None:
    with pytest.raises(CtlError) as caught:
        parse_address(text)
    assert caught.value.exit_code == USAGE


def test_the_option_goes_before_the_environment() -> None:
    assert find_address("unix:/a", {"OBELISK_URL": "unix:/b"}).path == "/a"
    assert find_address(None, {"OBELISK_URL": "unix:/b"}).path == "/b"


def test_the_first_default_socket_that_is_there_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".obelisk").mkdir()
    (tmp_path / ".obelisk" / "api.sock").touch()
    assert find_address(None, {}).path == ".obelisk/api.sock"
    assert find_address(None, {"OBELISK_STATE_DIR": str(tmp_path / "none")}).path == ".obelisk/api.sock"
    (tmp_path / "api.sock").touch()
    assert find_address(None, {"OBELISK_STATE_DIR": str(tmp_path)}).path == str(tmp_path / "api.sock")


def test_without_a_socket_it_names_where_it_looked_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CtlError, match=r"\.obelisk/api\.sock.*obeliskd --manifest") as caught:
        find_address(None, {})
    assert (caught.value.exit_code, caught.value.code) == (UNREACHABLE, "daemon_unreachable")
