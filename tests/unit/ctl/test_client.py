import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from obelisk_daemon.ctl.address import Address
from obelisk_daemon.ctl.client import PATIENCE, Client, Times, segment
from obelisk_daemon.ctl.failure import NOT_PERMITTED, TIMED_OUT, UNREACHABLE, CtlError


class FakeTimes:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def times(self) -> Times:
        return Times(lambda: self.now, self.sleep)


@contextmanager
def scripted(path: Path, *answers: bytes | None) -> Iterator[list[bytes]]:
    """Answer one connection after another; None closes it without an answer. Gives what was received."""
    received: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        for answer in answers:
            connection = listener.accept()[0]
            with connection:
                received.append(read_request(connection))
                if answer is not None:
                    connection.sendall(answer)
        listener.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        thread.join(10)
        assert not thread.is_alive(), "not every scripted answer was asked for"


def read_request(connection: socket.socket) -> bytes:
    request = b""
    while True:
        head, blank, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: ([0-9]+)", head)
        if blank and len(body) >= (int(length[1]) if length else 0):
            return request
        request += connection.recv(1 << 16)


def response(status: int, document: object) -> bytes:
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status} {http.client.responses[status]}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def make(path: Path, *, deadline: float | None = None) -> tuple[Client, FakeTimes, list[str]]:
    times, notes = FakeTimes(), list[str]()
    return (
        Client(Address(str(path), "localhost", 0), times.times(), deadline=deadline, note=notes.append),
        times,
        notes,
    )


def test_a_submit_whose_answer_was_lost_is_sent_again(tmp_path: Path) -> None:
    client, times, notes = make(tmp_path / "s")
    with scripted(tmp_path / "s", None, response(200, {"execution_id": "E_x"})) as received:
        answer = client.put("/v1/executions/E_x", b'{"ffqn": "f", "params": []}')
    assert answer.status == 200
    assert received[0] == received[1]
    assert received[0].startswith(b"PUT /v1/executions/E_x HTTP/1.1\r\n")
    assert len(notes) == 1
    assert times.now < 1


def test_a_daemon_that_was_met_and_does_not_come_back_is_given_up_after_a_while(tmp_path: Path) -> None:
    client, times, _ = make(tmp_path / "s")
    with scripted(tmp_path / "s", None), pytest.raises(CtlError, match="went away") as caught:
        client.get("/v1/status")
    assert caught.value.exit_code == UNREACHABLE
    assert PATIENCE <= times.now < PATIENCE + 2


def test_a_daemon_that_never_answered_is_not_waited_for(tmp_path: Path) -> None:
    client, times, _ = make(tmp_path / "s")
    with pytest.raises(CtlError, match=f"unix:{tmp_path}/s.*obeliskd --manifest") as caught:
        client.get("/v1/status")
    assert caught.value.exit_code == UNREACHABLE
    assert times.now == 0


def test_a_socket_that_may_not_be_opened_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("obelisk_daemon.ctl.client._UnixConnection.connect", refuse)
    client, _, _ = make(tmp_path / "s")
    with pytest.raises(CtlError, match="group") as caught:
        client.get("/v1/status")
    assert caught.value.exit_code == NOT_PERMITTED


def test_no_request_is_made_after_the_deadline(tmp_path: Path) -> None:
    client, times, _ = make(tmp_path / "s", deadline=5.0)
    assert client.wait_seconds() == 5.0
    times.now = 5.0
    for ask in (client.wait_seconds, lambda: client.get("/v1/status")):
        with pytest.raises(CtlError) as caught:
            ask()
        assert caught.value.exit_code == TIMED_OUT


def test_looking_for_a_lost_daemon_ends_at_the_deadline(tmp_path: Path) -> None:
    client, times, _ = make(tmp_path / "s", deadline=3.0)
    with scripted(tmp_path / "s", None), pytest.raises(CtlError) as caught:
        client.get("/v1/status")
    assert caught.value.exit_code == TIMED_OUT
    assert times.now < 4


def test_without_a_deadline_one_request_waits_for_a_bounded_time(tmp_path: Path) -> None:
    client, _, _ = make(tmp_path / "s")
    assert client.wait_seconds() == 30.0


def test_a_problem_becomes_an_error_with_its_code_and_detail(tmp_path: Path) -> None:
    client, _, _ = make(tmp_path / "s")
    problem = {"code": "type_check_failed", "detail": "parameter n: expected u8"}
    with (
        scripted(tmp_path / "s", response(422, problem)),
        pytest.raises(CtlError, match="parameter n: expected u8") as caught,
    ):
        client.get("/v1/status")
    assert (caught.value.exit_code, caught.value.code) == (65, "type_check_failed")


def test_another_server_is_not_taken_for_the_daemon(tmp_path: Path) -> None:
    client, _, _ = make(tmp_path / "s")
    hello = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    with scripted(tmp_path / "s", hello), pytest.raises(CtlError) as caught:
        client.get("/v1/status")
    assert caught.value.code == "not_obelisk"


def test_query_parameters_that_are_none_are_left_out_and_values_are_quoted(tmp_path: Path) -> None:
    client, _, _ = make(tmp_path / "s")
    with scripted(tmp_path / "s", response(200, {})) as received:
        client.get("/v1/executions", ffqn="a:b/c", from_=3, state=None)
    assert received[0].startswith(b"GET /v1/executions?ffqn=a%3Ab%2Fc&from=3 HTTP/1.1")


def test_ids_are_quoted_as_one_segment() -> None:
    assert segment("E_x.n:a%?_1") == "E_x.n%3Aa%25%3F_1"
