"""Secrets on their way to a server and back: what goes out, what is refused, what comes back, what is kept of it."""

import asyncio
import base64
import os

import msgspec
import pytest

from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm import wasi
from obelisk_daemon.wasm.guest import GuestLimits, Returned
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.wasi.addresses import Reach
from obelisk_daemon.wasm.wasi.client import ClientRequest, Timeouts
from obelisk_daemon.wasm.wasi.context import HttpLimits
from obelisk_daemon.wasm.wasi.egress import EgressPolicy, Target, parse_allowed_host
from obelisk_daemon.wasm.wasi.placeholders import Placeholders
from obelisk_daemon.wasm.wasi.secret import Secret
from tests import guests
from tests.integration.wasi.http_guest import HttpGuest
from tests.integration.wasi.servers import always, answer, scripted

pytestmark = pytest.mark.anyio

VALUE = b"s3cr3t-value-0001"
TIMES = Timeouts(1, 1, 1)
SECRETS = (Secret("api-key", "API_KEY", VALUE), Secret("other", "OTHER", b"s3cr3t-value-0002"))


def allowed(url: str, *names: str, methods: tuple[str, ...] | None = None):
    return msgspec.structs.replace(parse_allowed_host(url, methods, True), secrets=frozenset(names))


@pytest.fixture
async def guest(client, names):
    names.answers |= {"a.test": ["127.0.0.1"], "b.test": ["127.0.0.1"]}
    guest = HttpGuest()
    guest.wasi.http = client
    guest.wasi.egress = EgressPolicy((allowed("http://a.test:*", "api-key"), allowed("http://b.test:*", "other")))
    guest.wasi.placeholders = Placeholders(SECRETS, os.urandom)
    async with guest.wasi:
        yield guest
        guest.end()
    shown = repr(guest.wasi.trace).encode()
    assert not any(secret.reveal() in shown for secret in SECRETS)


def in_guest(guest: HttpGuest, variable: str = "API_KEY") -> bytes:
    return guest.wasi.placeholders.environ[variable].encode()


def bearer(guest: HttpGuest, variable: str = "API_KEY") -> list[tuple[str, bytes]]:
    return [("authorization", b"Bearer " + in_guest(guest, variable))]


async def echo(head, _reader, writer):
    """Send back the request's head, in the body and in a header."""
    line = head.split(b"\r\n")[0].decode()
    headers = [f"X-{name}" for name in head.decode("latin-1").split("\r\n")[1:-2]]
    writer.write(answer(head, "200 OK", f"X-Line: {line}", *headers))


async def test_the_value_goes_to_the_host_that_names_it_and_to_no_other(guest):
    async with scripted(always(answer())) as server:
        await guest.fetch(f"http://a.test:{server.port}/", headers=bearer(guest))
        assert b"authorization: Bearer " + VALUE in server.heads[0]
        refused = await guest.handle(guest.request(f"http://b.test:{server.port}/", headers=bearer(guest)))
        assert refused == {"err": "HTTP_request_denied"}
        assert len(server.heads) == 1
        entry = guest.wasi.trace[1]
        assert (entry.error, entry.status) == ("HTTP-request-denied", None)
        assert '"api-key" is in the header authorization, and no entry of allowed_hosts' in entry.reason
        await guest.fetch(f"http://b.test:{server.port}/", headers=bearer(guest, "OTHER"))
        assert b"authorization: Bearer s3cr3t-value-0002" in server.heads[1]


async def test_what_is_sent_shows_no_headers_of_its_own():
    request = ClientRequest("GET", Target("http", "a.test", 80), Reach.PUBLIC, "/", [(b"x", VALUE)], b"", TIMES)
    assert repr(request) == "ClientRequest('GET', Target(scheme='http', host='a.test', port=80))"
    carried = Placeholders(SECRETS, os.urandom).put_in([(b"x", VALUE)], b"/", ())
    assert VALUE.decode() not in repr((carried, carried.masking(), Placeholders(SECRETS, os.urandom)))


async def test_only_the_methods_of_the_entry_that_names_a_secret_carry_it(guest):
    guest.wasi.egress = EgressPolicy(
        (allowed("http://a.test:*", "api-key", methods=("POST",)), allowed("http://a.test:*", methods=("GET",)))
    )
    async with scripted(always(answer())) as server:
        request = guest.request(f"http://a.test:{server.port}/", headers=bearer(guest))
        assert await guest.handle(request) == {"err": "HTTP_request_denied"}
        await guest.fetch(f"http://a.test:{server.port}/", method="post", headers=bearer(guest))
        assert VALUE in server.heads[0]


async def test_of_several_entries_that_match_each_may_name_secrets(guest):
    guest.wasi.egress = EgressPolicy((allowed("http://*.test:*", "other"), allowed("http://a.test:*", "api-key")))
    async with scripted(always(answer())) as server:
        headers = [*bearer(guest), ("x-other", in_guest(guest, "OTHER"))]
        await guest.fetch(f"http://a.test:{server.port}/", headers=headers)
        assert b"x-other: s3cr3t-value-0002" in server.heads[0]
        assert VALUE in server.heads[0]


async def test_a_placeholder_in_the_url_is_refused(guest):
    async with scripted(always(answer())) as server:
        request = guest.request(f"http://a.test:{server.port}/?key={in_guest(guest).decode()}")
        assert await guest.handle(request) == {"err": "HTTP_request_denied"}
        assert server.heads == []
    assert guest.wasi.trace[0].reason.endswith("is in the URL, and secrets go into headers only")


async def test_a_redirect_gives_the_guest_a_location_and_takes_the_value_nowhere(guest):
    async with scripted(always(answer(b"", "302 Found", "location: http://b.test/"))) as server:
        status, _, _ = await guest.fetch(f"http://a.test:{server.port}/", headers=bearer(guest))
        assert status == 302
        assert len(server.heads) == 1
        request = guest.request(f"http://b.test:{server.port}/", headers=bearer(guest))
        assert await guest.handle(request) == {"err": "HTTP_request_denied"}
        assert len(server.heads) == 1


async def test_a_server_that_sends_the_value_back_is_not_repeated_to_the_guest(guest):
    async with scripted(echo) as server:
        url = f"http://a.test:{server.port}/"
        response = (await guest.response(await guest.send(url, headers=bearer(guest))))["ok"]["ok"]
        headers = dict(guest.call("http/types.[method]fields.entries", headers_of(guest, response)))
        assert headers["x-authorization"] == b"Bearer " + in_guest(guest)
        body, end = await guest.read_all(guest.stream(response)[1])
        assert (len(body), end) == (int(headers["content-length"]), "closed")
        assert b"authorization: Bearer " + b"*" * len(VALUE) in body
        assert VALUE in server.heads[0]


async def test_basic_authentication_is_sent_with_the_value_and_shown_without(guest):
    written = b"Basic " + base64.b64encode(b"me:" + in_guest(guest))
    sent = b"Basic " + base64.b64encode(b"me:" + VALUE)
    async with scripted(echo) as server:
        url = f"http://a.test:{server.port}/"
        response = (await guest.response(await guest.send(url, headers=[("authorization", written)])))["ok"]["ok"]
        headers = dict(guest.call("http/types.[method]fields.entries", headers_of(guest, response)))
        assert headers["x-authorization"] == written
        body, _ = await guest.read_all(guest.stream(response)[1])
        assert sent[6:] not in body
        assert sent in server.heads[0]


def headers_of(guest: HttpGuest, response: int) -> int:
    return guest.call("http/types.[method]incoming-response.headers", response)


async def test_a_value_that_is_cut_in_two_by_the_network_is_masked(guest):
    async def in_two(_head, _reader, writer):
        first, second = b"<" + VALUE[:9], VALUE[9:] + b">"
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(first), first))
        await writer.drain()
        while guest.wasi.trace[0].response_bytes < len(first):
            await asyncio.sleep(0)
        writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(second), second))

    async with scripted(in_two) as server:
        _, body, end = await guest.fetch(f"http://a.test:{server.port}/", headers=bearer(guest))
        assert (body, end) == (b"<" + b"*" * len(VALUE) + b">", "closed")


async def test_a_body_that_ends_like_a_value_begins_comes_whole(guest):
    async with scripted(always(answer(b"see " + VALUE[:8]))) as server:
        _, body, end = await guest.fetch(f"http://a.test:{server.port}/", headers=bearer(guest))
        assert (body, end) == (b"see " + VALUE[:8], "closed")


async def test_a_value_that_is_cut_off_with_its_connection_is_not_shown_in_part(guest):
    data = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsee " + VALUE[:-1]
    async with scripted(always(data, close=True)) as server:
        _, body, end = await guest.fetch(f"http://a.test:{server.port}/", headers=bearer(guest))
        assert body == b"see "
        assert guest.call("http/types.http-error-code", end["last_operation_failed"]) == "HTTP_response_incomplete"


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 200 OK\r\nno colon: here but %s\x00\r\n\r\n", b"NOTHTTP %s\r\n\r\n",
     b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%s\r\n"],
)  # fmt: skip
async def test_an_answer_that_is_no_http_is_not_quoted_in_the_trace(guest, data):
    async def nonsense(_head, _reader, writer):
        writer.write(data % VALUE)
        writer.close()

    async with scripted(nonsense) as server:
        answered = await guest.response(await guest.send(f"http://a.test:{server.port}/", headers=bearer(guest)))
        if "ok" in answered["ok"]:
            _, end = await guest.read_all(guest.stream(answered["ok"]["ok"])[1])
            assert "last_operation_failed" in end
        else:
            assert answered["ok"] == {"err": "HTTP_protocol_error"}
        expected = "RemoteProtocolError: what it is about may have a secret and isn't shown"
        assert guest.wasi.trace[0].reason == expected


async def test_other_failures_still_say_why(guest, unused_port):
    failed = await guest.response(await guest.send(f"http://a.test:{unused_port}/", headers=bearer(guest)))
    assert failed == {"ok": {"err": "connection_refused"}}
    assert "ConnectionRefusedError" in guest.wasi.trace[0].reason


async def test_values_that_make_the_headers_too_long_are_refused_without_a_size(guest):
    long = Secret("api-key", "API_KEY", b"x" * 8_000)
    guest.wasi.placeholders = Placeholders((long,), os.urandom)
    guest.wasi.http_limits = HttpLimits(header_bytes=8_000)
    async with scripted(always(answer())) as server:
        refused = await guest.handle(guest.request(f"http://a.test:{server.port}/", headers=bearer(guest)))
        assert refused == {"err": {"HTTP_request_header_section_size": None}}
        assert server.heads == []


class Context:
    def __init__(self, wasi_context) -> None:
        self.wasi = wasi_context


@pytest.mark.guests
async def test_the_activity_people_copy_sends_its_key_to_the_host_that_names_it_only(guest, compiler):
    component = await compiler.load(guests.path("http-python").read_bytes(), "activity")
    linked = LinkedComponent(component, lambda interface, function, _: wasi.resolve(interface, function))
    guest.wasi.environ = {"REGION": "eu"} | guest.wasi.placeholders.environ

    async def get(url: str):
        outcome = await linked.run(Ffqn("example:http/client", "get"), [url], Context(guest.wasi), GuestLimits())
        assert isinstance(outcome, Returned), outcome
        return outcome.value

    async with scripted(echo) as server:
        value = await get(f"http://a.test:{server.port}/")
        assert value["ok"]["status"] == 200
        assert f"authorization: Bearer {'*' * len(VALUE)}\r\n" in value["ok"]["body"]
        assert b"authorization: Bearer " + VALUE + b"\r\n" in server.heads[0]
        assert await get(f"http://b.test:{server.port}/") == {"err": {"permanent_denied": "HTTP-request-denied"}}
        assert len(server.heads) == 1
    async with scripted(always(answer(b"", "302 Found", f"location: http://b.test:{server.port}/"))) as server:
        assert (await get(f"http://a.test:{server.port}/"))["ok"]["status"] == 302
        assert len(server.heads) == 1
