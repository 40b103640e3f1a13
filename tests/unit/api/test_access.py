from pathlib import Path
from typing import Any

import pytest

from obelisk_daemon.api.access import identify, is_loopback_host, refused
from obelisk_daemon.api.connection import Arrival
from obelisk_daemon.api.identity import Anonymous, Identity
from obelisk_daemon.api.listeners import TcpListener, UnixListener
from tests.fakes.serving import access
from tests.fakes.tokens import holder

TCP = Arrival(TcpListener("127.0.0.1", 5005))
UNIX = Arrival(UnixListener(Path("/run/api.sock")), uid=1000)
TOKEN, HOLDER = holder("ci", "operate")


def scope(*headers: tuple[str, str]) -> Any:
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    return {"type": "http", "headers": encoded, "client": ("127.0.0.1", 40_000)}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:5005", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:5005"])
def test_loopback_names_are_served(host: str) -> None:
    assert is_loopback_host(host)
    assert refused(scope(("host", host)), TCP) is None


@pytest.mark.parametrize(
    "host",
    ["", "example.com", "localhost.example.com", "127.0.0.1.example.com:5005", "10.0.0.1", "[::2]", "0.0.0.0", "::1"],
)
def test_other_host_names_are_refused_on_tcp(host: str) -> None:
    problem = refused(scope(("host", host)), TCP)
    assert problem is not None
    assert (problem.status, problem.code) == (403, "foreign_host")


def test_a_request_without_a_host_or_with_two_is_refused_on_tcp() -> None:
    assert refused(scope(), TCP) is not None
    assert refused(scope(("host", "localhost"), ("host", "localhost")), TCP) is not None


def test_the_host_does_not_matter_on_a_unix_socket() -> None:
    assert refused(scope(("host", "anything")), UNIX) is None


@pytest.mark.parametrize("origin", ["http://example.com", "https://localhost:5005", "http://localhost:5006", "null"])
@pytest.mark.parametrize("arrival", [TCP, UNIX])
def test_foreign_origins_are_refused_everywhere(origin: str, arrival: Arrival) -> None:
    problem = refused(scope(("host", "localhost:5005"), ("origin", origin)), arrival)
    assert problem is not None
    assert (problem.status, problem.code) == (403, "foreign_origin")


def test_the_daemons_own_pages_may_ask() -> None:
    assert refused(scope(("host", "localhost:5005"), ("origin", "http://localhost:5005")), TCP) is None


def test_whoever_opened_the_unix_socket_is_an_admin_and_known_by_the_user() -> None:
    assert identify(scope(("authorization", "Bearer nonsense")), UNIX, access()) == Identity("unix:uid=1000", "admin")


def test_a_token_stands_for_its_name_and_role() -> None:
    found = identify(scope(("authorization", f"Bearer {TOKEN}")), TCP, access(HOLDER))
    assert found == Identity("ci", "operate", "127.0.0.1", HOLDER)


def test_the_loopback_is_open_with_dev_until_there_is_a_token() -> None:
    assert identify(scope(), TCP, access(dev=True)) == Identity("loopback:dev", "admin", "127.0.0.1")
    for closed in (access(), access(HOLDER, dev=True), access(HOLDER)):
        assert isinstance(identify(scope(), TCP, closed), Anonymous)


def test_a_token_that_is_not_right_is_refused_even_where_none_is_needed() -> None:
    assert isinstance(identify(scope(("authorization", f"Bearer {TOKEN}")), TCP, access(dev=True)), Anonymous)
