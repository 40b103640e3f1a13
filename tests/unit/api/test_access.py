from typing import Any

import pytest

from obelisk_daemon.api.access import is_loopback_host, refused


def scope(*headers: tuple[str, str], tcp: bool = True) -> Any:
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    return {"type": "http", "headers": encoded, "server": ("127.0.0.1", 5005) if tcp else ("/run/api.sock", None)}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:5005", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:5005"])
def test_loopback_names_are_served(host: str) -> None:
    assert is_loopback_host(host)
    assert refused(scope(("host", host))) is None


@pytest.mark.parametrize(
    "host",
    ["", "example.com", "localhost.example.com", "127.0.0.1.example.com:5005", "10.0.0.1", "[::2]", "0.0.0.0", "::1"],
)
def test_other_host_names_are_refused_on_tcp(host: str) -> None:
    problem = refused(scope(("host", host)))
    assert problem is not None
    assert (problem.status, problem.code) == (403, "foreign_host")


def test_a_request_without_a_host_or_with_two_is_refused_on_tcp() -> None:
    assert refused(scope()) is not None
    assert refused(scope(("host", "localhost"), ("host", "localhost"))) is not None


def test_the_host_does_not_matter_on_a_unix_socket() -> None:
    assert refused(scope(("host", "anything"), tcp=False)) is None


@pytest.mark.parametrize("origin", ["http://example.com", "https://localhost:5005", "http://localhost:5006", "null"])
@pytest.mark.parametrize("tcp", [True, False])
def test_foreign_origins_are_refused_everywhere(origin: str, tcp: bool) -> None:
    problem = refused(scope(("host", "localhost:5005"), ("origin", origin), tcp=tcp))
    assert problem is not None
    assert (problem.status, problem.code) == (403, "foreign_origin")


def test_the_daemons_own_pages_may_ask() -> None:
    assert refused(scope(("host", "localhost:5005"), ("origin", "http://localhost:5005"))) is None
