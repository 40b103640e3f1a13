from pathlib import Path

import pytest

from obelisk_daemon.ctl.address import parse_address
from obelisk_daemon.ctl.credentials import Credentials, Files, find_credentials
from obelisk_daemon.ctl.failure import CtlError

LOOPBACK = parse_address("http://localhost:5005")
REMOTE = parse_address("https://obelisk.example")


def test_the_file_goes_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("obk_file\n")
    environ = {"OBELISK_TOKEN": "obk_environ", "OBELISK_CA_FILE": "ca.pem"}
    assert find_credentials(LOOPBACK, Files(str(file), "other.pem"), environ) == Credentials("obk_file", "other.pem")
    assert find_credentials(REMOTE, Files(), environ) == Credentials("obk_environ", "ca.pem")
    assert find_credentials(REMOTE, Files(), {"OBELISK_TOKEN": "", "OBELISK_CA_FILE": ""}) == Credentials()


def test_a_unix_socket_is_sent_no_token() -> None:
    assert find_credentials(parse_address("unix:/a"), Files("nowhere"), {"OBELISK_TOKEN": "obk_a"}) == Credentials()


def test_a_token_does_not_go_over_the_network_as_it_is() -> None:
    with pytest.raises(CtlError) as caught:
        find_credentials(parse_address("http://obelisk.example"), Files(), {"OBELISK_TOKEN": "obk_a"})
    assert (caught.value.exit_code, caught.value.code) == (64, "token_unencrypted")
    assert "obk_a" not in str(caught.value)


@pytest.mark.parametrize("text", ["\n", "obk_a obk_b", "obk_a\r\nX: y", "obk_\u00e9", "x" * 2_000])
def test_what_is_no_token_is_not_sent(text: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(CtlError) as caught:
        find_credentials(LOOPBACK, Files(str(file)), {})
    assert (caught.value.exit_code, caught.value.code) == (65, "invalid_token")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CtlError, match="nowhere can't be read: No such file"):
        find_credentials(LOOPBACK, Files(str(tmp_path / "nowhere")), {})
