"""Fields, requests and bodies as a guest builds them, and the judgement before anything is sent."""

import asyncio
from datetime import timedelta

import pytest

from obelisk_daemon.wasm.resources import GuestStopped
from obelisk_daemon.wasm.wasi.context import HttpLimits
from obelisk_daemon.wasm.wasi.egress import EgressPolicy, parse_allowed_host
from obelisk_daemon.wasm.wasi.error_codes import HttpFailure
from obelisk_daemon.wasm.wasi.http_body import RequestBody
from obelisk_daemon.wasm.wasi.streams import CHUNK, StreamEndedError

pytestmark = pytest.mark.anyio

FIELDS = "http/types.[method]fields."
REQUEST = "http/types.[method]outgoing-request."
OPTIONS = "http/types.[method]request-options."


def new_fields(guest, *entries) -> int:
    return guest.call("http/types.[static]fields.from-list", list(entries))["ok"]


def new_request(guest, *headers, method="get", scheme="HTTP", authority="a.test", path="/") -> int:
    request = guest.call("http/types.[constructor]outgoing-request", new_fields(guest, *headers))
    for name, value in (
        ("method", method),
        ("scheme", scheme),
        ("authority", authority),
        ("path-with-query", path),
    ):
        assert guest.call(f"{REQUEST}set-{name}", request, value) == {"ok": None}
    return request


class NeverClient:
    """A client that must not be reached."""

    def open(self, request):
        raise AssertionError(f"{request} was sent")


@pytest.fixture
def allowed(guest):
    """A guest that may reach a.test, as far as the policy goes."""
    guest.wasi.http = NeverClient()
    guest.wasi.egress = EgressPolicy((parse_allowed_host("http://a.test", ("GET", "POST"), False),))
    return guest


def test_fields_keep_order_and_case_and_compare_without_case(guest):
    fields = new_fields(guest, ["X-B", b"1"], ["x-a", b"2"], ["x-b", b"3"])
    assert guest.call(FIELDS + "get", fields, "X-b") == [b"1", b"3"]
    assert guest.call(FIELDS + "has", fields, "X-A") is True
    assert guest.call(FIELDS + "has", fields, "x-c") is False
    assert guest.call(FIELDS + "entries", fields) == [["X-B", b"1"], ["x-a", b"2"], ["x-b", b"3"]]


def test_fields_are_changed_by_name(guest):
    fields = guest.call("http/types.[constructor]fields")
    assert guest.call(FIELDS + "append", fields, "a", b"1") == {"ok": None}
    assert guest.call(FIELDS + "append", fields, "a", b"2") == {"ok": None}
    copy = guest.call(FIELDS + "clone", fields)
    assert guest.call(FIELDS + "set", fields, "A", [b"3"]) == {"ok": None}
    assert guest.call(FIELDS + "entries", fields) == [["A", b"3"]]
    assert guest.call(FIELDS + "delete", fields, "a") == {"ok": None}
    assert guest.call(FIELDS + "entries", fields) == []
    assert guest.call(FIELDS + "get", copy, "a") == [b"1", b"2"]


@pytest.mark.parametrize("name", ["", "a b", "a:", "ä", "a\n", "a\0"])
def test_a_name_that_is_no_token_is_refused(guest, name):
    assert guest.call("http/types.[static]fields.from-list", [[name, b""]]) == {"err": "invalid_syntax"}


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"\0", b"\x7f", b" padded", b"padded\t"])
def test_a_value_that_could_break_out_of_its_line_is_refused(guest, value):
    fields = guest.call("http/types.[constructor]fields")
    assert guest.call(FIELDS + "append", fields, "a", value) == {"err": "invalid_syntax"}
    assert guest.call(FIELDS + "set", fields, "a", [b"ok", value]) == {"err": "invalid_syntax"}
    assert guest.call(FIELDS + "entries", fields) == []


@pytest.mark.parametrize("name", ["Host", "connection", "transfer-encoding", "Proxy-Authorization", "upgrade", "te"])
def test_a_header_that_belongs_to_the_host_is_forbidden(guest, name):
    fields = guest.call("http/types.[constructor]fields")
    assert guest.call(FIELDS + "append", fields, name, b"x") == {"err": "forbidden"}


def test_the_headers_of_a_request_can_not_be_changed_any_more(guest):
    request = new_request(guest, ["a", b"1"])
    headers = guest.call(REQUEST + "headers", request)
    assert guest.call(FIELDS + "append", headers, "b", b"2") == {"err": "immutable"}
    assert guest.call(FIELDS + "set", headers, "a", []) == {"err": "immutable"}
    assert guest.call(FIELDS + "delete", headers, "a") == {"err": "immutable"}


def test_fields_without_end_stop_the_guest(guest):
    fields = guest.call("http/types.[constructor]fields")
    for _ in range(4):
        guest.call(FIELDS + "append", fields, "a", b"x" * 60_000)
    with pytest.raises(GuestStopped, match="fields of more than"):
        guest.call(FIELDS + "append", fields, "a", b"x" * 60_000)


@pytest.mark.parametrize(
    ("setter", "value"),
    [
        ("set-method", {"other": "GET /"}),
        ("set-method", {"other": ""}),
        ("set-path-with-query", "/a b"),
        ("set-path-with-query", "/a\r\nb"),
        ("set-path-with-query", "/ä"),
        ("set-path-with-query", "/a#b"),
        ("set-path-with-query", "http://evil.test/"),
        ("set-authority", "user@a.test"),
        ("set-authority", "127.1"),
        ("set-authority", "a.test:99999"),
        ("set-scheme", {"other": "a b"}),
    ],
)
def test_a_part_of_a_request_that_is_malformed_is_refused(guest, setter, value):
    request = new_request(guest)
    assert guest.call(REQUEST + setter, request, value) == {"err": None}


def test_a_request_gives_back_what_it_was_told(guest):
    request = new_request(guest, method={"other": "PURGE"}, scheme="HTTPS", authority="A.test:1", path="?q")
    assert guest.call(REQUEST + "method", request) == {"other": "PURGE"}
    assert guest.call(REQUEST + "scheme", request) == "HTTPS"
    assert guest.call(REQUEST + "authority", request) == "A.test:1"
    assert guest.call(REQUEST + "path-with-query", request) == "?q"


def test_a_body_and_its_stream_are_given_once(guest):
    request = new_request(guest)
    body = guest.call(REQUEST + "body", request)["ok"]
    assert guest.call(REQUEST + "body", request) == {"err": None}
    assert "ok" in guest.call("http/types.[method]outgoing-body.write", body)
    assert guest.call("http/types.[method]outgoing-body.write", body) == {"err": None}


def test_a_body_shorter_than_its_content_length_is_refused_when_finished(guest):
    request = new_request(guest, ["content-length", b"5"])
    body = guest.call(REQUEST + "body", request)["ok"]
    stream = guest.call("http/types.[method]outgoing-body.write", body)["ok"]
    guest.call("io/streams.[method]output-stream.write", stream, b"abc")
    finished = guest.call("http/types.[static]outgoing-body.finish", body, None)
    assert finished == {"err": {"HTTP_request_body_size": 3}}


def test_trailers_stop_the_guest_rather_than_being_lost(guest):
    body = guest.call(REQUEST + "body", new_request(guest))["ok"]
    with pytest.raises(GuestStopped, match="trailers"):
        guest.call("http/types.[static]outgoing-body.finish", body, new_fields(guest, ["a", b"1"]))


def test_options_give_back_what_they_were_told(guest):
    options = guest.call("http/types.[constructor]request-options")
    for name in ("connect-timeout", "first-byte-timeout", "between-bytes-timeout"):
        assert guest.call(OPTIONS + name, options) is None
        assert guest.call(f"{OPTIONS}set-{name}", options, 5) == {"ok": None}
        assert guest.call(OPTIONS + name, options) == 5


async def handle(guest, request, options=None):
    return await guest.wait("http/outgoing-handler.handle", request, options)


async def test_a_workflow_has_no_network_and_the_trace_says_so(guest):
    assert await handle(guest, new_request(guest)) == {"err": "HTTP_request_denied"}
    (entry,) = guest.wasi.trace
    assert (entry.method, entry.url, entry.error) == ("GET", "http://a.test/", "HTTP-request-denied")
    assert "call an activity" in entry.reason
    assert entry.started_at == 1_700_000_000_123_456


@pytest.mark.parametrize(
    ("request_parts", "code"),
    [
        ({"authority": "b.test"}, "HTTP_request_denied"),
        ({"method": "delete"}, "HTTP_request_denied"),
        ({"scheme": "HTTPS"}, "HTTP_request_denied"),
        ({"scheme": None}, "HTTP_request_denied"),
        ({"scheme": {"other": "ftp"}}, "HTTP_request_URI_invalid"),
        ({"authority": None}, "HTTP_request_URI_invalid"),
        ({"method": "connect"}, "HTTP_request_method_invalid"),
        ({"method": {"other": "connect"}}, "HTTP_request_method_invalid"),
        ({"path": "/" + "x" * 70_000}, "HTTP_request_URI_too_long"),
    ],
)
async def test_a_request_that_is_not_allowed_is_denied_and_traced(allowed, request_parts, code):
    assert await handle(allowed, new_request(allowed, **request_parts)) == {"err": code}
    (entry,) = allowed.wasi.trace
    assert entry.error == code.replace("_", "-")
    assert entry.reason
    assert entry.status is None


async def test_an_allowed_address_that_is_private_is_refused_before_any_connection(allowed):
    allowed.wasi.egress = EgressPolicy((parse_allowed_host("http://127.0.0.1:80", None, False),))
    denied = await handle(allowed, new_request(allowed, authority="127.0.0.1"))
    assert denied == {"err": "destination_IP_prohibited"}
    assert "not public" in allowed.wasi.trace[0].reason


@pytest.mark.parametrize("lengths", [[b"1", b"1"], [b"x"], [b"-1"], [b"1" * 30]])
async def test_a_content_length_that_is_not_one_number_is_refused(allowed, lengths):
    request = new_request(allowed, *[["content-length", length] for length in lengths])
    assert await handle(allowed, request) == {"err": "HTTP_protocol_error"}


async def test_headers_over_the_limit_are_refused_with_their_size(allowed):
    allowed.wasi.http_limits = HttpLimits(header_bytes=100)
    assert await handle(allowed, new_request(allowed, ["a", b"x" * 200])) == {
        "err": {"HTTP_request_header_section_size": 205}
    }


async def test_requests_over_the_limit_are_denied_and_only_the_first_of_them_is_traced(allowed):
    allowed.wasi.http_limits = HttpLimits(requests=2)
    for _ in range(5):
        assert await handle(allowed, new_request(allowed, authority="b.test")) == {"err": "HTTP_request_denied"}
    assert [entry.reason for entry in allowed.wasi.trace][2:] == ["an attempt may make 2 HTTP requests"]


async def test_writes_to_the_body_of_a_denied_request_are_closed(allowed):
    request = new_request(allowed, authority="b.test")
    stream = allowed.call("http/types.[method]outgoing-body.write", allowed.call(REQUEST + "body", request)["ok"])["ok"]
    await handle(allowed, request)
    assert allowed.call("io/streams.[method]output-stream.write", stream, b"x") == {"err": "closed"}


async def test_a_body_written_before_it_is_sent_waits_whole(guest):
    body = RequestBody(10 * CHUNK, None)
    for _ in range(5):
        assert body.room() == CHUNK
        body.write(b"x" * CHUNK)
    body.finish()
    assert await body.whole_if_short() == b"x" * 5 * CHUNK


async def test_a_long_body_makes_its_writer_wait_once_it_is_being_sent():
    body = RequestBody(10 * CHUNK, None)
    body.begin()
    body.write(b"x" * CHUNK)
    assert await body.whole_if_short() is None
    assert body.room() == 0
    waiting = asyncio.create_task(body.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert len(await anext(aiter(body))) == CHUNK
    await waiting
    body.finish()
    with pytest.raises(StopAsyncIteration):
        await anext(aiter(body))


async def test_a_body_over_the_limit_fails_for_its_writer_and_its_sender():
    body = RequestBody(10, None)
    body.write(b"x" * 10)
    with pytest.raises(HttpFailure, match="more than 10 bytes"):
        body.write(b"x")
    with pytest.raises(HttpFailure, match="more than 10 bytes"):
        await body.whole_if_short()


async def test_a_body_dropped_unfinished_fails_for_its_sender(guest):
    request = new_request(guest)
    body = guest.call(REQUEST + "body", request)["ok"]
    sent = guest.table.get(body).body
    guest.table.drop(body)
    with pytest.raises(HttpFailure, match="before it was finished"):
        await sent.whole_if_short()


def test_a_closed_body_takes_nothing():
    body = RequestBody(10, None)
    body.close()
    assert body.ready()
    with pytest.raises(StreamEndedError):
        body.write(b"x")


def test_a_guest_can_shorten_a_time_but_not_lengthen_it():
    from obelisk_daemon.wasm.wasi.http_outgoing import _seconds

    limit = timedelta(seconds=10)
    assert _seconds(None, limit) == 10
    assert _seconds(2_000_000_000, limit) == 2
    assert _seconds(60_000_000_000, limit) == 10
    assert _seconds(0, limit) == 0.001
