"""The HTTP activities people copy, as real guests against real servers."""

import asyncio
import json
import os
import random
from datetime import timedelta

import pytest

from obelisk_daemon.clock import SystemClock
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm import wasi
from obelisk_daemon.wasm.guest import GuestLimits, Returned
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.wasi.client import HttpClient
from obelisk_daemon.wasm.wasi.clocks import ActivityClock
from obelisk_daemon.wasm.wasi.context import HttpLimits, WasiContext
from obelisk_daemon.wasm.wasi.egress import EgressPolicy, parse_allowed_host
from tests import guests
from tests.integration.wasi.servers import always, answer, never, scripted

pytestmark = [pytest.mark.anyio, pytest.mark.guests]

LANGUAGES = ("http-python", "http-js")


class Context:
    def __init__(self, wasi_context: WasiContext) -> None:
        self.wasi = wasi_context


class Activity:
    """One component with what its attempts may reach; keeps the trace of the last one."""

    def __init__(self, linked: LinkedComponent, client: HttpClient) -> None:
        self.linked = linked
        self.client = client
        self.egress = EgressPolicy(
            (parse_allowed_host("http://*:*", None, True), parse_allowed_host("https://*:*", None, True))
        )
        self.limits = HttpLimits()
        self.trace = []
        self.printed = b""

    def _print(self, _stream: str, data: bytes) -> None:
        self.printed += data

    async def call(self, function: str, *params: str):
        context = WasiContext(
            clock=ActivityClock(SystemClock()),
            random=os.urandom,
            output=self._print,
            http=self.client,
            egress=self.egress,
            http_limits=self.limits,
        )
        self.trace = context.trace
        async with context:
            ffqn = Ffqn("example:http/client", function)
            outcome = await self.linked.run(ffqn, params, Context(context), GuestLimits())
        assert len(context.tasks) == 0
        assert isinstance(outcome, Returned), (outcome, self.printed)
        return outcome.value


@pytest.fixture(params=LANGUAGES)
async def activity(request, compiler, client, names):
    names.answers["a.test"] = ["127.0.0.1"]
    code = guests.path(request.param).read_bytes()
    component = await compiler.load(code, "activity")
    return Activity(
        LinkedComponent(component, lambda interface, function, _: wasi.resolve(interface, function)), client
    )


@pytest.fixture
async def python_activity(compiler, client, names):
    names.answers["a.test"] = ["127.0.0.1"]
    component = await compiler.load(guests.path("http-python").read_bytes(), "activity")
    return Activity(
        LinkedComponent(component, lambda interface, function, _: wasi.resolve(interface, function)), client
    )


async def test_get_200(activity, httpbin_port):
    value = await activity.call("get", f"http://a.test:{httpbin_port}/get?x=1")
    assert value["ok"]["status"] == 200
    assert json.loads(value["ok"]["body"])["args"] == {"x": "1"}
    (entry,) = activity.trace
    assert (entry.method, entry.status, entry.error) == ("GET", 200, None)
    assert entry.response_bytes == len(value["ok"]["body"].encode())


async def test_get_404_is_a_response(activity, httpbin_port):
    value = await activity.call("get", f"http://a.test:{httpbin_port}/status/404")
    assert value["ok"]["status"] == 404


async def test_get_500_is_an_error_of_the_component(activity, httpbin_port):
    value = await activity.call("get", f"http://a.test:{httpbin_port}/status/500")
    assert value["err"]["server_error"]["status"] == 500


async def test_post_is_echoed(activity, httpbin_port):
    value = await activity.call("post", f"http://a.test:{httpbin_port}/post", "hello wörld")
    assert value["ok"]["status"] == 200
    assert json.loads(value["ok"]["body"])["data"] == "hello wörld"
    assert activity.trace[0].request_bytes == len("hello wörld".encode())


async def test_post_of_a_big_body_is_streamed(activity, httpbin_port):
    value = await activity.call("post", f"http://a.test:{httpbin_port}/post", "x" * 300_000)
    assert value["ok"]["body"].count("x" * 300_000) == 1
    assert activity.trace[0].request_bytes == 300_000


async def test_a_big_response_is_streamed(activity):
    size = 700_000
    async with scripted(always(answer(b"z" * size))) as server:
        value = await activity.call("get", f"http://a.test:{server.port}/")
    assert value["ok"]["body"] == "z" * size


async def test_a_redirect_is_not_followed_by_the_host(python_activity, httpbin_port):
    value = await python_activity.call("get", f"http://a.test:{httpbin_port}/redirect-to?url=http://a.test:1/")
    assert value["ok"]["status"] == 302
    assert len(python_activity.trace) == 1


async def test_https_with_a_certificate_of_a_known_authority(activity, names, server_tls):
    names.answers["secure.test"] = ["127.0.0.1"]
    async with scripted(always(answer(b"secret")), server_tls) as server:
        value = await activity.call("get", f"https://secure.test:{server.port}/")
    assert value["ok"] == {"status": 200, "body": "secret"}


async def failing(activity, url: str, code: str):
    """Call `get`; assert the code in the trace. Python sees it too, JavaScript's fetch has one error for all."""
    value = await activity.call("get", url)
    assert [entry.error for entry in activity.trace] == [code], activity.trace
    assert activity.trace[0].reason
    (case,) = value["err"] if isinstance(value["err"], dict) else (value["err"],)
    return case


async def test_a_slow_response_is_a_timeout(activity):
    activity.limits = HttpLimits(first_byte_timeout=timedelta(milliseconds=100))
    async with scripted(never) as server:
        case = await failing(activity, f"http://a.test:{server.port}/", "HTTP-response-timeout")
    assert case in ("timeout", "other")


async def test_a_refused_connection(activity, unused_port):
    case = await failing(activity, f"http://a.test:{unused_port}/", "connection-refused")
    assert case in ("connection_refused", "other")


async def test_an_unknown_name(activity, names):
    names.answers["nowhere.test"] = []
    case = await failing(activity, "http://nowhere.test:8080/", "DNS-error")
    assert case in ("dns_error", "other")


async def test_a_host_that_is_not_allowed(activity):
    activity.egress = EgressPolicy((parse_allowed_host("https://api.example.com", None, False),))
    case = await failing(activity, "http://a.test:8080/", "HTTP-request-denied")
    assert case in ("permanent_denied", "other")
    assert "not in allowed_hosts" in activity.trace[0].reason


async def test_an_allowed_name_that_resolves_to_a_private_address(activity):
    activity.egress = EgressPolicy((parse_allowed_host("http://a.test", None, False),))
    case = await failing(activity, "http://a.test/", "destination-IP-prohibited")
    assert case in ("permanent_denied", "other")
    assert "127.0.0.1" in activity.trace[0].reason


async def test_no_client_denies_every_request(activity):
    activity.client = None
    await failing(activity, "http://a.test/", "HTTP-request-denied")


async def test_a_body_that_is_cut_off(activity):
    async with scripted(always(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", close=True)) as server:
        case = await failing(activity, f"http://a.test:{server.port}/", "HTTP-response-incomplete")
    assert case == "other"


async def test_a_server_that_speaks_no_http(activity):
    async with scripted(always(b"SSH-2.0-OpenSSH\r\n\r\n", close=True)) as server:
        await failing(activity, f"http://a.test:{server.port}/", "HTTP-protocol-error")


async def test_an_attempt_that_is_cancelled_closes_its_connection(activity):
    async with scripted(never) as server:
        attempt = asyncio.create_task(activity.call("get", f"http://a.test:{server.port}/"))
        while not server.heads:
            await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await server.closed.wait()
    assert [entry.error for entry in activity.trace] == ["dropped"]


class StandingClock:
    """The clock of a workflow between two events of its log."""

    def wall_ns(self) -> int:
        return 1_700_000_000_000_000_000

    def monotonic_ns(self) -> int:
        return 1_700_000_000_000_000_000

    async def sleep_until(self, _monotonic_ns: int) -> None:
        raise AssertionError("a workflow never waits for its clock")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_as_a_workflow_a_guest_makes_the_same_calls_every_time_and_has_no_network(compiler, language):
    component = await compiler.load(guests.path(language).read_bytes(), "workflow")
    calls: list[tuple[str, str]] = []

    def recorded(interface, function, _type):
        handler = wasi.resolve(interface, function)
        if handler is None:
            return None

        def call(guest, *arguments):
            calls.append((f"{interface}.{function}", repr(arguments)))
            return handler(guest, *arguments)

        return call

    linked = LinkedComponent(component, recorded)
    runs = []
    for _ in range(2):
        calls.clear()
        source = random.Random(7)
        context = WasiContext(
            clock=StandingClock(),
            random=source.randbytes,
            output=lambda _stream, _data: None,
            time_stands_still=True,
        )
        async with context:
            ffqn = Ffqn("example:http/client", "get")
            outcome = await linked.run(ffqn, ["http://a.test/"], Context(context), GuestLimits(fuel=10**9))
        assert [entry.error for entry in context.trace] == ["HTTP-request-denied"]
        runs.append((outcome, list(calls)))
    assert len(runs[0][1]) > 10
    assert runs[0] == runs[1]
