"""The HTTP activities, in Python and in JavaScript, against httpbin on loopback."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, Json, execution_id, running
from tests.e2e.servers import httpbin
from tests.guests import manifest_entry

pytestmark = pytest.mark.guests
GET, POST = "example:http/client.get", "example:http/client.post"
SLOW, STALLING = execution_id(1), execution_id(2)
PYTHON, JAVASCRIPT = "http-python", "http-js"
QUICK = {"initial": "10ms", "max": "10ms"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with httpbin() as url:
        yield url


@pytest.fixture(scope="module")
def unused_port() -> Iterator[int]:
    """A port of loopback where nobody listens, and nobody else can for as long as the tests run."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


@pytest.fixture(scope="module", params=[PYTHON, JAVASCRIPT])
def guest(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Caller:
    """One daemon with one HTTP activity, and a fresh execution for each call."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.id = ""
        self._count = 0

    def __call__(self, ffqn: str, *params: str) -> Json:
        self._count += 1
        self.id = execution_id(self._count)
        return self.daemon.api.call(self.id, ffqn, *params)

    @property
    def log(self) -> list[Json]:
        """The log of the last call."""
        return self.daemon.api.events(self.id)

    @property
    def types(self) -> list[str]:
        """The types of its events."""
        return [event["type"] for event in self.log]

    @property
    def lines(self) -> list[str]:
        """What `obelisk-ctl logs` shows of it."""
        shown = self.daemon.ctl("--json", "logs", self.id)
        assert shown.code == 0, shown
        return [f"{line['level']} {line['message']}" for line in json.loads(shown.out)["logs"]]


@pytest.fixture(scope="module")
def call(
    tmp_path_factory: pytest.TempPathFactory, artifacts: Path, guest: str, server: str, unused_port: int
) -> Iterator[Caller]:
    allowed = [
        {"host": server, "allow_private": True},
        {"host": f"http://127.0.0.1:{unused_port}", "allow_private": True},
        named(server),  # so it may be reached at its address, and not by its name
    ]
    table = manifest_entry(guest, allowed_hosts=allowed, max_retries=1, backoff=QUICK)
    with running(tmp_path_factory.mktemp("http"), artifacts, table) as daemon:
        yield Caller(daemon)


def named(url: str) -> str:
    """Give the URL with a name in place of the address."""
    return url.replace("127.0.0.1", "localhost")


def test_200_and_404_are_answers_and_a_post_arrives_as_it_was_sent(call: Caller, server: str) -> None:
    found = call(GET, f"{server}/get?name=value")["ok"]
    assert found["status"] == 200
    assert json.loads(found["body"])["args"] == {"name": "value"}
    assert call(GET, f"{server}/status/404") == {"ok": {"status": 404, "body": ""}}
    text = "Grüße aus 東京 🎉\n" * 1_000
    echoed = call(POST, f"{server}/post", text)["ok"]
    assert echoed["status"] == 200
    assert json.loads(echoed["body"])["data"] == text
    assert call.types == ["created", "locked", "finished"]
    assert call.lines == []


def test_a_server_error_is_retried_until_the_server_answers(call: Caller, server: str, guest: str) -> None:
    assert call(GET, f"{server}/fails-once/{guest}") == {"ok": {"status": 200, "body": "at last"}}
    log = call.log
    assert call.types == ["created", "locked", "temporarily_failed", "locked", "finished"]
    assert log[2]["error"] == {"server_error": {"status": 500, "body": "not yet"}}
    assert [event["attempt"] for event in log if event["type"] == "locked"] == [1, 2]
    assert call(GET, f"{server}/asked/fails-once/{guest}")["ok"]["body"] == "2"


def test_an_answer_that_comes_too_late_is_asked_for_again(new_daemon: NewDaemon, server: str, guest: str) -> None:
    url = named(server)
    settings = {"allowed_hosts": [url], "allow_private": True, "max_retries": 1, "backoff": QUICK}
    daemon = new_daemon(manifest_entry(guest, timeout="1500ms", **settings))
    daemon.start()
    daemon.api.submit(STALLING, GET, f"{url}/stalls-once/{guest}")
    daemon.api.submit(SLOW, GET, f"{url}/delay/10")
    assert daemon.api.result(STALLING) == {"ok": {"status": 200, "body": "at last"}}
    failure = daemon.api.result(SLOW)["execution_failure"]
    assert failure["kind"] == "timed_out"
    assert failure["reason"].startswith("timed out after 2 attempts: longer than 1.5 s")
    assert f"GET {url}/delay/10" in failure["reason"]
    for one in (STALLING, SLOW):
        log = daemon.api.events(one)
        assert [event["type"] for event in log] == ["created", "locked", "temporarily_timed_out", "locked", "finished"]
        assert log[2]["reason"] == "timeout"
    lines = [line["message"] for line in daemon.api.logs(SLOW)]
    assert [line.partition(" (")[0] for line in lines] == [f"HTTP GET {url}/delay/10 -> dropped"] * 2


def test_a_refused_connection_is_an_error_with_its_code(call: Caller, unused_port: int, guest: str) -> None:
    url = f"http://127.0.0.1:{unused_port}/"
    error = call(GET, url)["err"]
    # `fetch` has one error for whatever goes wrong; what it was is in the log.
    assert error == "connection_refused" if guest == PYTHON else set(error) == {"other"}
    assert call.types == ["created", "locked", "temporarily_failed", "locked", "finished"]
    assert [line.partition(" (")[0] for line in call.lines] == [f"warn HTTP GET {url} -> connection-refused"] * 2


@pytest.mark.parametrize("host", ["127.0.0.2", "example.com", "[::1]"])
def test_a_host_that_is_not_allowed_is_denied_and_logged(call: Caller, guest: str, host: str) -> None:
    error = call(GET, f"http://{host}/get")["err"]
    assert error == {"permanent_denied": "HTTP-request-denied"} if guest == PYTHON else set(error) == {"other"}
    line = call.lines[0]
    assert line.startswith(f"warn HTTP GET http://{host}/get -> HTTP-request-denied (")
    assert "is not in allowed_hosts (allowed: http://127.0.0.1:" in line


def test_an_allowed_name_with_a_private_address_is_denied_and_logged(call: Caller, server: str, guest: str) -> None:
    url = f"{named(server)}/get"
    error = call(GET, url)["err"]
    denied = {"permanent_denied": "destination-IP-prohibited"}
    assert error == denied if guest == PYTHON else set(error) == {"other"}
    line = call.lines[0]
    assert line.startswith(f"warn HTTP GET {url} -> destination-IP-prohibited (localhost: address ")
    assert line.endswith("is not public, and allow_private is not set)")
