import asyncio
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from litestar.types import Receive, Scope, Send

from obelisk_config import Tls, Token
from obelisk_daemon.api.access import AccessCheck, identify, refused
from obelisk_daemon.api.connection import ARRIVAL, Arrival, Connection
from obelisk_daemon.api.identity import Anonymous, Identity
from obelisk_daemon.api.listeners import TcpListener, UnixListener
from obelisk_daemon.api.peers import client_behind
from tests.fakes.serving import access
from tests.fakes.tokens import holder

TCP = Arrival(TcpListener("127.0.0.1", 5005))
UNIX = Arrival(UnixListener(Path("/run/api.sock")), uid=1000)
TOKEN, HOLDER = holder("ci", "operate")


def scope(*headers: tuple[str, str], client: str = "127.0.0.1", server: str = "127.0.0.1") -> Any:
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    asked = {"raw_path": b"/v1/status", "query_string": b"", "headers": encoded}
    return {"type": "http", "client": (client, 40_000), "server": (server, 5005), **asked}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:5005", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:5005", "localhost."]
)
def test_loopback_names_are_served(host: str) -> None:
    assert refused(scope(("host", host)), TCP) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.com",
        "localhost.example.com",
        "127.0.0.1.example.com:5005",
        "10.0.0.1",
        "[::2]",
        "0.0.0.0",
        "::1",
        "[::1",
    ],
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


HTTPS = Arrival(TcpListener("0.0.0.0", 5005, Tls("/cert", "/key"), hosts=frozenset(["obelisk.example"])))
PROXIED = Arrival(
    TcpListener("10.0.0.1", 5005, proxies=(ip_network("10.0.0.5"),), hosts=frozenset(["obelisk.example"]))
)


@pytest.mark.parametrize("host", ["obelisk.example", "OBELISK.example:443", "10.0.0.1", "10.0.0.1:5005"])
def test_a_listener_beyond_the_loopback_is_reached_by_its_names_and_its_address(host: str) -> None:
    assert refused(scope(("host", host), client="192.0.2.7", server="10.0.0.1"), HTTPS) is None


@pytest.mark.parametrize(
    "host", ["other.example", "localhost", "127.0.0.1", "10.0.0.2", "0.0.0.0", "a.obelisk.example"]
)
def test_other_names_of_such_a_listener_are_refused(host: str) -> None:
    problem = refused(scope(("host", host), client="192.0.2.7", server="10.0.0.1"), HTTPS)
    assert problem is not None
    assert problem.code == "foreign_host"


def test_an_ipv4_address_that_came_over_ipv6_is_the_same() -> None:
    assert refused(scope(("host", "10.0.0.1"), client="::ffff:192.0.2.7", server="::ffff:10.0.0.1"), HTTPS) is None


@pytest.mark.parametrize(("scheme", "own"), [("https", True), ("http", False)])
def test_the_origin_has_the_scheme_that_the_client_used(scheme: str, own: bool) -> None:
    headers = (("host", "obelisk.example"), ("origin", f"{scheme}://obelisk.example"))
    assert (refused(scope(*headers, server="10.0.0.1"), HTTPS) is None) == own
    for said in ((), (("x-forwarded-proto", "https"),), (("x-forwarded-proto", "http, https"),)):
        assert (refused(scope(*headers, *said, client="10.0.0.5", server="10.0.0.1"), PROXIED) is None) == own
    plain = scope(*headers, ("x-forwarded-proto", "http"), client="10.0.0.5", server="10.0.0.1")
    assert (refused(plain, PROXIED) is None) != own


def test_where_nobody_is_a_proxy_nobody_is_taken_for_one() -> None:
    headers = (("host", "localhost"), ("origin", "https://localhost"), ("x-forwarded-proto", "https"))
    assert refused(scope(*headers), TCP) is not None
    told = identify(scope(("x-forwarded-for", "192.0.2.7"), ("authorization", f"Bearer {TOKEN}")), TCP, access(HOLDER))
    assert told.peer == "127.0.0.1"


def test_only_the_trusted_proxy_may_ask_and_who_asked_it_is_told() -> None:
    for client in ("10.0.0.6", "127.0.0.1", "10.0.0.1"):
        problem = refused(scope(("host", "obelisk.example"), client=client, server="10.0.0.1"), PROXIED)
        assert problem is not None
        assert (problem.status, problem.code) == (403, "foreign_peer")
    asked = scope(
        ("x-forwarded-for", "203.0.113.9, 192.0.2.7"), ("authorization", f"Bearer {TOKEN}"), client="10.0.0.5"
    )
    assert identify(asked, PROXIED, access(HOLDER)) == Identity("ci", "operate", "192.0.2.7", HOLDER)


def test_behind_a_proxy_nothing_is_open_even_with_dev() -> None:
    local = Arrival(TcpListener("127.0.0.1", 5005, proxies=(ip_network("127.0.0.1"),)))
    assert isinstance(identify(scope(), local, access(dev=True)), Anonymous)


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ([], "10.0.0.5"),
        (["192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 10.0.0.5"], "192.0.2.7"),
        (["203.0.113.9", "192.0.2.7"], "192.0.2.7"),
        (["nonsense"], "10.0.0.5"),
        (["192.0.2.7, nonsense"], "10.0.0.5"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["2001:db8::1%eth0"], "2001:db8::1"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxys(forwarded: list[str], client: str) -> None:
    assert client_behind("10.0.0.5", forwarded, [ip_network("10.0.0.5")]) == client


def test_too_many_headers_and_a_target_too_long_are_refused() -> None:
    many = refused(scope(*[("host", "localhost")] + [("x", "y")] * 100), TCP)
    assert many is not None
    assert (many.status, many.code) == (431, "too_many_headers")
    asked = scope(("host", "localhost"))
    asked["query_string"] = b"x" * 8_192
    long = refused(asked, TCP)
    assert long is not None
    assert (long.status, long.code) == (414, "target_too_long")


class Ended:
    """Stands for a connection, and counts how often it is ended."""

    def __init__(self) -> None:
        self.times = 0

    def end(self) -> None:
        self.times += 1


@pytest.mark.anyio
async def test_a_request_that_is_ending_takes_nothing_from_the_next_one_on_its_connection() -> None:
    ending, going = asyncio.Event(), asyncio.Event()
    tokens: list[Token] = [HOLDER]
    connection = Ended()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await scope["state"]["until"].wait()

    async def nothing(*_: object) -> Any:
        return None

    def asked(until: asyncio.Event) -> Any:
        arrival = Arrival(TcpListener("127.0.0.1", 5005), cast(Connection, connection))
        headers = scope(("host", "localhost"), ("authorization", f"Bearer {TOKEN}"))
        return headers | {"state": {ARRIVAL: arrival, "until": until}}

    check = AccessCheck(application, msgspec.structs.replace(access(), tokens=lambda: tokens))
    first, second = (asyncio.create_task(check(asked(until), nothing, nothing)) for until in (ending, going))
    await asyncio.sleep(0)
    ending.set()
    await first
    check.recheck()
    assert connection.times == 0
    tokens.clear()
    check.recheck()
    assert connection.times == 1
    going.set()
    await second
    check.recheck()
    assert connection.times == 1
