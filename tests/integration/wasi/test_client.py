"""The client over real sockets: what it connects to, what it trusts, how long it waits, what it leaves behind."""

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager

import pytest

from obelisk_daemon.wasm.wasi.addresses import Reach
from obelisk_daemon.wasm.wasi.client import ClientRequest, HttpClient, Timeouts
from obelisk_daemon.wasm.wasi.egress import parse_target
from obelisk_daemon.wasm.wasi.error_codes import HttpFailure
from obelisk_daemon.wasm.wasi.resolver import SystemResolver
from tests.integration.wasi.servers import always, answer, never, read_body, scripted

pytestmark = pytest.mark.anyio


def request(url: str, *, reach=Reach.PRIVATE, method="GET", body=b"", headers=(), **times) -> ClientRequest:
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    timeouts = Timeouts(**({"connect": 30.0, "first_byte": 30.0, "between_bytes": 30.0} | times))
    return ClientRequest(
        method, parse_target(scheme, authority), reach, slash + path or "/", list(headers), body, timeouts
    )


async def fetch(client: HttpClient, wanted: ClientRequest) -> tuple[int, bytes]:
    async with client.open(wanted) as response:
        body = b""
        while chunk := await response.read():
            body += chunk
        return response.status, body


async def failure(client: HttpClient, wanted: ClientRequest) -> HttpFailure:
    with pytest.raises(HttpFailure) as failed:
        await fetch(client, wanted)
    return failed.value


@asynccontextmanager
async def http(names, script, name="a.test", addresses=("127.0.0.1",)):
    names.answers[name] = list(addresses)
    async with scripted(script) as server:
        yield server


async def test_a_request_reaches_the_checked_address_with_the_name_as_its_host(client, names):
    async with http(names, always(answer(b"hello"))) as server:
        assert await fetch(client, request(f"http://a.test:{server.port}/x?y=1")) == (200, b"hello")
        assert server.heads[0].startswith(f"GET /x?y=1 HTTP/1.1\r\nhost: a.test:{server.port}\r\n".encode())


async def test_nothing_is_added_to_a_request_but_its_host(client, names):
    async with http(names, always(answer())) as server:
        await fetch(client, request(f"http://a.test:{server.port}/", headers=[(b"x-a", b"1")]))
        assert server.heads == [f"GET / HTTP/1.1\r\nhost: a.test:{server.port}\r\nx-a: 1\r\n\r\n".encode()]


async def test_proxies_of_the_environment_are_not_used(client, names, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with http(names, always(answer())) as server:
        assert (await fetch(client, request(f"http://a.test:{server.port}/")))[0] == 200


async def test_a_redirect_is_given_back_and_not_followed(client, names):
    async with http(names, always(answer(b"", "302 Found", "location: http://127.0.0.1/"))) as server:
        assert await fetch(client, request(f"http://a.test:{server.port}/")) == (302, b"")
        assert len(server.heads) == 1


async def test_a_cookie_is_not_kept(client, names):
    async with http(names, always(answer(b"", "200 OK", "set-cookie: a=b"))) as server:
        for _ in range(2):
            await fetch(client, request(f"http://a.test:{server.port}/"))
        assert b"cookie" not in server.heads[1].lower()


async def test_a_name_with_a_private_address_is_refused_and_nothing_is_connected(client, names):
    async with http(names, always(answer())) as server:
        refused = await failure(client, request(f"http://a.test:{server.port}/", reach=Reach.PUBLIC))
        assert refused.code == "destination_IP_prohibited"
        assert "127.0.0.1" in refused.reason
        assert server.connections == 0


async def test_one_private_address_among_public_ones_refuses_the_name(client, names):
    names.answers["a.test"] = ["8.8.8.8", "2606:4700::1111", "10.0.0.1"]
    refused = await failure(client, request("http://a.test/", reach=Reach.PUBLIC))
    assert refused.code == "destination_IP_prohibited"


async def test_a_name_is_resolved_once_for_each_connection(client, names):
    async with http(names, always(answer(), close=True)) as server:
        await fetch(client, request(f"http://a.test:{server.port}/"))
        assert names.asked == ["a.test"]


async def test_of_several_addresses_the_first_that_answers_is_used(client, names):
    async with http(names, always(answer()), addresses=("127.0.0.99", "127.0.0.1")) as server:
        assert (await fetch(client, request(f"http://a.test:{server.port}/")))[0] == 200


async def test_a_connection_is_kept_for_requests_of_the_same_reach(client, names):
    async with http(names, always(answer())) as server:
        for _ in range(3):
            await fetch(client, request(f"http://a.test:{server.port}/"))
        assert server.connections == 1


async def test_a_connection_of_a_wider_reach_never_serves_a_narrower_one(client, names):
    async with http(names, always(answer())) as server:
        await fetch(client, request(f"http://a.test:{server.port}/", reach=Reach.PRIVATE))
        refused = await failure(client, request(f"http://a.test:{server.port}/", reach=Reach.PUBLIC))
        assert refused.code == "destination_IP_prohibited"


async def test_a_refused_connection_has_its_code(client, names):
    names.answers["a.test"] = ["127.0.0.1"]
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refused = await failure(client, request(f"http://a.test:{unused.getsockname()[1]}/"))
    assert refused.code == "connection_refused"


async def test_an_unknown_name_has_its_code(client_tls):
    async def unknown(_host, _port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    client = HttpClient(resolver=unknown, ssl_context=client_tls)
    failed = await failure(client, request("http://nowhere.test/"))
    assert failed.code == {"DNS_error": {"rcode": "NXDOMAIN", "info_code": None}}
    await client.aclose()


async def test_a_name_without_addresses_has_its_code(client, names):
    names.answers["a.test"] = []
    assert (await failure(client, request("http://a.test/"))).name == "DNS-error"


async def test_a_resolver_that_does_not_answer_is_given_up(client_tls):
    async def silent(_host, _port):
        await asyncio.Event().wait()
        return []

    client = HttpClient(resolver=silent, ssl_context=client_tls)
    assert (await failure(client, request("http://a.test/", connect=0.01))).code == "DNS_timeout"
    await client.aclose()


async def test_the_system_resolver_knows_localhost():
    resolver = SystemResolver()
    assert set(await resolver("localhost", 80)) <= {"127.0.0.1", "::1"}
    resolver.close()


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost"])
async def test_the_network_refuses_loopback_in_every_spelling(client_tls, host):
    """Should a host in an odd notation ever get past `hosts`, the check of the resolved address still holds."""
    from obelisk_daemon.wasm.wasi.client import CheckedNetwork

    resolver = SystemResolver()
    with pytest.raises(HttpFailure, match="not public"):
        await CheckedNetwork(resolver, Reach.PUBLIC).connect_tcp(host, 9, timeout=30)
    resolver.close()


async def test_a_unix_socket_is_refused(names):
    from obelisk_daemon.wasm.wasi.client import CheckedNetwork

    with pytest.raises(HttpFailure, match="refused"):
        await CheckedNetwork(names, Reach.LITERAL).connect_unix_socket("/run/x.sock")


async def test_a_server_that_says_nothing_is_given_up_after_the_first_byte_time(client, names):
    async with http(names, never) as server:
        failed = await failure(client, request(f"http://a.test:{server.port}/", first_byte=0.05))
        assert failed.code == "HTTP_response_timeout"
        await server.closed.wait()


async def test_a_head_that_comes_in_drips_is_bounded_as_a_whole(client, names):
    async def drip(_head, _reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"x: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with http(names, drip) as server:
        failed = await failure(client, request(f"http://a.test:{server.port}/", first_byte=0.1))
        assert failed.code == "HTTP_response_timeout"


async def test_a_body_that_stops_coming_is_given_up_after_the_between_bytes_time(client, names):
    async def stall(_head, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
        await reader.read()

    async with http(names, stall) as server:
        failed = await failure(client, request(f"http://a.test:{server.port}/", between_bytes=0.05))
        assert failed.code == "connection_read_timeout"
        await server.closed.wait()


async def test_the_first_byte_time_does_not_bound_a_body_that_keeps_coming(client, names):
    async def slowly(_head, _reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n")
        for _ in range(6):
            await asyncio.sleep(0.02)
            writer.write(b"x")

    async with http(names, slowly) as server:
        assert await fetch(client, request(f"http://a.test:{server.port}/", first_byte=0.05)) == (200, b"xxxxxx")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", "HTTP_response_incomplete"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", "HTTP_response_incomplete"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "HTTP_protocol_error"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000, {"HTTP_response_header_section_size": None}),
        (b"", "connection_terminated"),
    ],
)
async def test_a_server_that_breaks_the_rules_has_a_code(client, names, data, code):
    async with http(names, always(data, close=True)) as server:
        assert (await failure(client, request(f"http://a.test:{server.port}/"))).code == code


async def test_https_checks_the_certificate_for_the_name_and_not_for_the_address(client, names, server_tls):
    names.answers["secure.test"] = ["127.0.0.1"]
    async with scripted(always(answer(b"secret")), server_tls) as server:
        assert await fetch(client, request(f"https://secure.test:{server.port}/")) == (200, b"secret")
        assert await fetch(client, request(f"https://secure.test:{server.port}/")) == (200, b"secret")
        assert server.connections == 1


async def test_https_refuses_a_certificate_of_another_name(client, names, server_tls):
    names.answers["other.test"] = ["127.0.0.1"]
    async with scripted(always(answer()), server_tls) as server:
        failed = await failure(client, request(f"https://other.test:{server.port}/"))
        assert failed.code == "TLS_certificate_error"
        assert server.heads == []


async def test_https_refuses_a_certificate_that_nobody_known_has_signed(names, server_tls):
    client = HttpClient(resolver=names)
    names.answers["secure.test"] = ["127.0.0.1"]
    async with scripted(always(answer()), server_tls) as server:
        failed = await failure(client, request(f"https://secure.test:{server.port}/"))
        assert failed.code == "TLS_certificate_error"
    await client.aclose()


async def test_https_to_a_server_that_speaks_plain_http_has_a_code(client, names):
    async def plain(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    names.answers["secure.test"] = ["127.0.0.1"]
    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    failed = await failure(client, request(f"https://secure.test:{server.sockets[0].getsockname()[1]}/"))
    server.close()
    await server.wait_closed()
    assert failed.code == "TLS_protocol_error"


async def test_https_body_that_is_cut_off_has_a_code(client, names, server_tls):
    names.answers["secure.test"] = ["127.0.0.1"]
    async with scripted(always(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab", close=True), server_tls) as server:
        failed = await failure(client, request(f"https://secure.test:{server.port}/"))
        assert failed.code == "HTTP_response_incomplete"


async def test_tls_handshake_that_never_ends_is_given_up(client, names):
    names.answers["secure.test"] = ["127.0.0.1"]
    async with scripted(never) as server:
        failed = await failure(client, request(f"https://secure.test:{server.port}/", connect=0.1))
        assert failed.code == "connection_timeout"


async def test_a_posted_body_arrives(client, names):
    got = []

    async def echo(head, reader, writer):
        got.append(await read_body(head, reader))
        writer.write(answer(got[-1]))

    async with http(names, echo) as server:
        wanted = request(
            f"http://a.test:{server.port}/", method="POST", body=b"hello", headers=[(b"content-length", b"5")]
        )
        assert await fetch(client, wanted) == (200, b"hello")


async def test_a_cancelled_request_closes_its_connection(client, names):
    async with http(names, never) as server:
        task = asyncio.create_task(fetch(client, request(f"http://a.test:{server.port}/")))
        while not server.heads:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.closed.wait()


async def test_a_response_left_in_the_middle_closes_its_connection(client, names):
    async def endless(_head, _reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 65536)
            await writer.drain()

    async with http(names, endless) as server:
        async with client.open(request(f"http://a.test:{server.port}/")) as response:
            assert len(await response.read()) > 0
        await server.closed.wait()


async def test_when_all_connections_are_taken_a_request_gives_up_after_the_connect_time(names, client_tls):
    client = HttpClient(resolver=names, ssl_context=client_tls, max_connections=1)
    async with http(names, never) as server:
        first = asyncio.create_task(fetch(client, request(f"http://a.test:{server.port}/")))
        while not server.heads:
            await asyncio.sleep(0)
        failed = await failure(client, request(f"http://a.test:{server.port}/", connect=0.02))
        assert failed.code == "connection_limit_reached"
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    await client.aclose()


def test_the_machines_trust_is_used():
    from obelisk_daemon.wasm.wasi.client import trusting_system

    context = trusting_system()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
