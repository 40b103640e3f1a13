"""wasi:http from the handlers to a real server and back, without wasm: the whole life of an exchange and its trace."""

import asyncio
from datetime import timedelta

import pytest

from obelisk_daemon.wasm.wasi.context import HttpLimits
from obelisk_daemon.wasm.wasi.egress import EgressPolicy, parse_allowed_host
from tests.integration.wasi.http_guest import CHUNK, HttpGuest
from tests.integration.wasi.servers import always, answer, never, read_body, scripted

pytestmark = pytest.mark.anyio

BODY = "http/types.[method]outgoing-body.write"
FINISH = "http/types.[static]outgoing-body.finish"
WRITE = "io/streams.[method]output-stream.blocking-write-and-flush"


@pytest.fixture
async def guest(client, names):
    names.answers["a.test"] = ["127.0.0.1"]
    guest = HttpGuest()
    guest.wasi.http = client
    guest.wasi.egress = EgressPolicy((parse_allowed_host("http://a.test:*", None, True),))
    async with guest.wasi:
        yield guest
        guest.end()


async def test_a_request_gives_status_headers_and_body(guest):
    async with scripted(always(answer(b"hello", "201 Created", "X-Thing: 1"))) as server:
        response = (await guest.response(await guest.send(f"http://a.test:{server.port}/a?b")))["ok"]["ok"]
        assert guest.call("http/types.[method]incoming-response.status", response) == 201
        headers = guest.call("http/types.[method]incoming-response.headers", response)
        assert guest.call("http/types.[method]fields.entries", headers) == [
            ["content-length", b"5"],
            ["x-thing", b"1"],
        ]
        assert guest.call("http/types.[method]fields.append", headers, "a", b"") == {"err": "immutable"}
        body, stream = guest.stream(response)
        assert await guest.read_all(stream) == (b"hello", "closed")
        trailers = guest.call("http/types.[static]incoming-body.finish", body)
        assert guest.call("http/types.[method]future-trailers.get", trailers) == {"ok": {"ok": None}}


async def test_a_request_is_in_the_trace_with_its_times_and_sizes(guest):
    async def echo(head, reader, writer):
        body = await read_body(head, reader)
        guest.clock.now += 3_000_000
        writer.write(answer(body * 2))

    async with scripted(echo) as server:
        url = f"http://a.test:{server.port}/echo"
        request = guest.request(url, method="post")
        body = guest.call("http/types.[method]outgoing-request.body", request)["ok"]
        stream = guest.call(BODY, body)["ok"]
        future = (await guest.handle(request))["ok"]
        await guest.wait(WRITE, stream, b"abc")
        guest.call(FINISH, body, None)
        response = (await guest.response(future))["ok"]["ok"]
        assert await guest.read_all(guest.stream(response)[1]) == (b"abcabc", "closed")
        (entry,) = guest.wasi.trace
        assert (entry.method, entry.url, entry.status, entry.error) == ("POST", url, 200, None)
        assert (entry.request_bytes, entry.response_bytes) == (3, 6)
        assert entry.started_at == 1_700_000_000_123_456
        assert entry.duration == timedelta(milliseconds=3)
        assert b"content-length: 3\r\n" in server.heads[0]
        assert b"chunked" not in server.heads[0]


async def test_parts_of_a_response_are_given_once(guest):
    async with scripted(always(answer())) as server:
        future = await guest.send(f"http://a.test:{server.port}/")
        assert guest.call("http/types.[method]future-incoming-response.get", future) is None
        response = (await guest.response(future))["ok"]["ok"]
        assert guest.call("http/types.[method]future-incoming-response.get", future) == {"err": None}
        body = guest.call("http/types.[method]incoming-response.consume", response)["ok"]
        assert guest.call("http/types.[method]incoming-response.consume", response) == {"err": None}
        assert "ok" in guest.call("http/types.[method]incoming-body.stream", body)
        assert guest.call("http/types.[method]incoming-body.stream", body) == {"err": None}


async def test_handles_that_were_passed_on_may_be_dropped_without_ending_the_exchange(guest):
    async with scripted(always(answer(b"still there"))) as server:
        future = await guest.send(f"http://a.test:{server.port}/")
        response = (await guest.response(future))["ok"]["ok"]
        guest.table.drop(future)
        _, stream = guest.stream(response)
        guest.table.drop(response)
        assert await guest.read_all(stream) == (b"still there", "closed")


async def test_a_future_that_is_dropped_closes_the_connection_and_is_traced_as_dropped(guest):
    async with scripted(never) as server:
        future = await guest.send(f"http://a.test:{server.port}/")
        while not server.heads:
            await asyncio.sleep(0)
        guest.table.drop(future)
        await server.closed.wait()
        await guest.wasi.aclose()
        assert guest.wasi.trace[0].error == "dropped"


async def test_a_body_that_is_dropped_half_read_closes_the_connection(guest):
    async def endless(_head, _reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * CHUNK)
            await writer.drain()

    async with scripted(endless) as server:
        response = (await guest.response(await guest.send(f"http://a.test:{server.port}/")))["ok"]["ok"]
        body, stream = guest.stream(response)
        assert (await guest.wait("io/streams.[method]input-stream.blocking-read", stream, 10))["ok"] == b"x" * 10
        guest.table.drop(stream)
        guest.table.drop(body)
        await server.closed.wait()
        await guest.wasi.aclose()
        entry = guest.wasi.trace[0]
        assert (entry.status, entry.error) == (200, "dropped")
        assert entry.response_bytes < 1_000_000


async def test_the_end_of_the_guest_ends_its_requests(guest):
    async with scripted(never) as server:
        for _ in range(3):
            await guest.send(f"http://a.test:{server.port}/")
        while len(server.heads) < 3:
            await asyncio.sleep(0)
        guest.end()
        await guest.wasi.aclose()
        assert len(guest.wasi.tasks) == 0
        assert [entry.error for entry in guest.wasi.trace] == ["dropped"] * 3


async def test_a_request_that_never_began_is_traced_too(guest):
    await guest.send("http://a.test:1/")
    guest.end()
    await guest.wasi.aclose()
    assert [entry.error for entry in guest.wasi.trace] == ["dropped"]


async def test_a_failure_is_an_error_code_for_the_guest_and_an_entry_in_the_trace(guest, unused_port):
    answered = await guest.response(await guest.send(f"http://a.test:{unused_port}/"))
    assert answered == {"ok": {"err": "connection_refused"}}
    assert guest.wasi.trace[0].error == "connection-refused"
    assert "ConnectionRefusedError" in guest.wasi.trace[0].reason


async def test_an_allowed_name_that_resolves_to_a_private_address_is_denied_and_traced(guest):
    guest.wasi.egress = EgressPolicy((parse_allowed_host("http://a.test", None, False),))
    assert await guest.response(await guest.send("http://a.test/")) == {"ok": {"err": "destination_IP_prohibited"}}
    (entry,) = guest.wasi.trace
    assert entry.error == "destination-IP-prohibited"
    assert entry.reason == "a.test: address 127.0.0.1 is not public, and allow_private is not set"


async def test_a_long_upload_goes_in_chunks_with_the_guest_waiting(guest):
    total = 40 * CHUNK
    got = []

    async def count(head, reader, writer):
        got.append(len(await read_body(head, reader)))
        writer.write(answer())

    async with scripted(count) as server:
        request = guest.request(f"http://a.test:{server.port}/", method="put")
        body = guest.call("http/types.[method]outgoing-request.body", request)["ok"]
        stream = guest.call(BODY, body)["ok"]
        future = (await guest.handle(request))["ok"]
        for _ in range(40):
            assert await guest.wait(WRITE, stream, b"x" * CHUNK) == {"ok": None}
        guest.call(FINISH, body, None)
        assert "ok" in (await guest.response(future))["ok"]
        assert got == [total]
        assert b"transfer-encoding: chunked" in server.heads[0]


async def test_a_guest_that_declares_a_length_is_believed_and_held_to_it(guest):
    async with scripted(always(answer())) as server:
        request = guest.request(f"http://a.test:{server.port}/", method="post", headers=[("content-length", b"6")])
        body = guest.call("http/types.[method]outgoing-request.body", request)["ok"]
        stream = guest.call(BODY, body)["ok"]
        future = (await guest.handle(request))["ok"]
        await guest.wait(WRITE, stream, b"abcdef")
        guest.call(FINISH, body, None)
        assert "ok" in (await guest.response(future))["ok"]
        assert server.heads[0].count(b"content-length") == 1


async def test_an_upload_over_the_limit_fails_for_the_stream_and_for_the_response(guest):
    guest.wasi.http_limits = HttpLimits(request_body_bytes=2 * CHUNK)
    async with scripted(always(answer())) as server:
        request = guest.request(f"http://a.test:{server.port}/", method="post")
        body = guest.call("http/types.[method]outgoing-request.body", request)["ok"]
        stream = guest.call(BODY, body)["ok"]
        future = (await guest.handle(request))["ok"]
        answers = [await guest.wait(WRITE, stream, b"x" * CHUNK) for _ in range(3)]
        assert answers[:2] == [{"ok": None}] * 2
        error = answers[2]["err"]["last_operation_failed"]
        code = {"HTTP_request_body_size": 3 * CHUNK}
        assert guest.call("http/types.http-error-code", error) == code
        assert await guest.response(future) == {"ok": {"err": code}}


async def test_an_upload_that_is_dropped_unfinished_fails(guest):
    async with scripted(always(answer())) as server:
        request = guest.request(f"http://a.test:{server.port}/", method="post")
        body = guest.call("http/types.[method]outgoing-request.body", request)["ok"]
        future = (await guest.handle(request))["ok"]
        guest.table.drop(body)
        (code,) = (await guest.response(future))["ok"].values()
        assert "before it was finished" in code["internal_error"]
        assert server.heads == []


async def test_an_empty_body_of_a_get_is_no_body(guest):
    async with scripted(always(answer())) as server:
        request = guest.request(f"http://a.test:{server.port}/")
        body = guest.call("http/types.[method]outgoing-request.body", request)["ok"]
        future = (await guest.handle(request))["ok"]
        guest.call(FINISH, body, None)
        await guest.response(future)
        assert b"content-length" not in server.heads[0]
        assert b"chunked" not in server.heads[0]


async def test_a_big_download_comes_whole_and_is_not_read_ahead_without_bound(guest):
    size = 5 * 1024 * 1024
    async with scripted(always(answer(b"z" * size))) as server:
        response = (await guest.response(await guest.send(f"http://a.test:{server.port}/")))["ok"]["ok"]
        _, stream = guest.stream(response)
        while guest.wasi.trace[0].response_bytes < 2 * CHUNK:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert guest.wasi.trace[0].response_bytes < 6 * CHUNK
        data, end = await guest.read_all(stream)
        assert (len(data), end) == (size, "closed")
        assert guest.wasi.trace[0].response_bytes == size


async def test_a_download_over_the_limit_fails_after_what_was_allowed(guest):
    guest.wasi.http_limits = HttpLimits(response_body_bytes=100_000)
    async with scripted(always(answer(b"z" * 300_000))) as server:
        status, data, end = await guest.fetch(f"http://a.test:{server.port}/")
        assert (status, len(data) <= 100_000) == (200, True)
        code = guest.call("http/types.http-error-code", end["last_operation_failed"])
        assert list(code) == ["HTTP_response_body_size"]
        entry = guest.wasi.trace[0]
        assert (entry.status, entry.error) == (200, "HTTP-response-body-size")


async def test_response_headers_over_the_limit_fail(guest):
    guest.wasi.http_limits = HttpLimits(header_bytes=1_000)
    async with scripted(always(answer(b"", "200 OK", "x: " + "y" * 2_000))) as server:
        answered = await guest.response(await guest.send(f"http://a.test:{server.port}/"))
        assert list(answered["ok"]["err"]) == ["HTTP_response_header_section_size"]


async def test_a_body_that_is_cut_off_gives_its_bytes_and_then_the_error(guest):
    async with scripted(always(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", close=True)) as server:
        status, data, end = await guest.fetch(f"http://a.test:{server.port}/")
        assert (status, data) == (200, b"abc")
        assert guest.call("http/types.http-error-code", end["last_operation_failed"]) == "HTTP_response_incomplete"
        assert guest.wasi.trace[0].error == "HTTP-response-incomplete"


async def test_too_many_requests_at_once_are_refused(guest):
    guest.wasi.http_limits = HttpLimits(concurrent=2)
    async with scripted(never) as server:
        url = f"http://a.test:{server.port}/"
        for _ in range(2):
            await guest.send(url)
        assert await guest.handle(guest.request(url)) == {"err": "connection_limit_reached"}


async def test_a_response_and_a_timer_can_be_polled_together(guest):
    async with scripted(never) as server:
        future = await guest.send(f"http://a.test:{server.port}/")
        pollables = [
            guest.call("http/types.[method]future-incoming-response.subscribe", future),
            guest.call("clocks/monotonic-clock.subscribe-duration", 1_000_000),
        ]
        assert await guest.wait("io/poll.poll", pollables) == [1]


async def test_a_fault_of_ours_ends_the_guest_and_does_not_pass_for_a_network_error(guest):
    class Broken:
        def open(self, request):
            raise ZeroDivisionError

    guest.wasi.http = Broken()
    future = await guest.send("http://a.test:1/")
    with pytest.raises(ZeroDivisionError):
        await guest.response(future)
    with pytest.raises(ZeroDivisionError):
        await guest.wasi.aclose()
    guest.wasi.tasks._failed.clear()
