"""A plain request is read as h11 reads it, and its answer written as h11 reads it, so that nothing can be smuggled."""

from typing import Any

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from obelisk_daemon.api.plain_cycle import written
from obelisk_daemon.api.plain_request import plain_request

NAMES = st.sampled_from(
    [
        "Host",
        "host",
        "Content-Length",
        "content-length",
        "Content-Type",
        "X-A",
        "Connection",
        "Transfer-Encoding",
        "Expect",
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        ["localhost", "0", "3", "03", "+3", "3, 3", "chunked", "close", "keep-alive", "100-continue", "a b", ""]
    ),
    st.text(max_size=12),
)
SEPARATORS = st.sampled_from([": ", ":", " : ", ":  ", ":\t", ": \r\n "])
ENDS = st.sampled_from(["\r\n"] * 12 + ["\n", "\r", " \r\n", "\r\n\r\n"])


@st.composite
def heads(draw: st.DrawFn) -> str:
    """Draw the head of a request that is right, nearly right, or not."""
    method = draw(st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "get", "CONNECT"]))
    target = draw(
        st.one_of(st.sampled_from(["/", "/v1/executions?a=%20b", "*", "http://a/", "/a b"]), st.text(max_size=8))
    )
    version = draw(st.sampled_from(["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/1.2", "http/1.1", ""]))
    fields = (f"{draw(NAMES)}{draw(SEPARATORS)}{draw(VALUES)}{draw(ENDS)}" for _ in range(draw(st.integers(0, 5))))
    return f"{method} {target} {version}{draw(ENDS)}{''.join(fields)}{draw(ENDS)}"


def by_h11(data: bytes) -> tuple[Any, ...]:
    """Read what h11 makes of all that came, and in which state it is afterwards."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request, body = connection.next_event(), b""
    assert isinstance(request, h11.Request)
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    asked = (request.method.decode(), request.target, list(request.headers), body)
    return asked, request.http_version, connection.their_state, connection.trailing_data, list(event.headers)


def require_same(data: bytes) -> None:
    plain = plain_request(data)
    if plain is not None:
        assert by_h11(data) == (tuple(plain), b"1.1", h11.DONE, (b"", False), [])


@given(heads(), st.binary(max_size=6))
@example("GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"")
@example("PUT /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", b"abc")
@example("PUT /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", b"abc")
@example("GET /v1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"")
@example("GET /v1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"")
@example("PUT /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", b"abc")
@example("GET /v1 HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", b"")
def test_what_is_taken_for_a_plain_request_is_what_h11_reads(head: str, body: bytes) -> None:
    require_same(head.encode("latin-1", "replace") + body)


@given(
    st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE"]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20),
    st.lists(
        st.tuples(
            st.from_regex(r"X-[A-Za-z0-9-]{1,8}", fullmatch=True), st.from_regex(r"[!-~]( ?[!-~]){0,9}", fullmatch=True)
        ),
        max_size=4,
    ),
    st.binary(max_size=20),
)
def test_a_plain_request_is_taken_and_is_what_h11_reads(
    method: str, path: str, more: list[tuple[str, str]], body: bytes
) -> None:
    fields = "".join(
        f"{name}: {value}\r\n" for name, value in [("Host", "a"), *more, ("Content-Length", str(len(body)))]
    )
    data = f"{method} /{path} HTTP/1.1\r\n{fields}\r\n".encode() + body
    assert plain_request(data) is not None
    require_same(data)


@given(st.binary(max_size=200))
def test_no_bytes_whatever_are_taken_for_what_h11_does_not_read(data: bytes) -> None:
    require_same(data)
    require_same(b"GET / HTTP/1.1\r\nHost: a\r\n" + data)


@given(
    st.sampled_from([200, 201, 204, 304, 404, 431, 500, 600]),
    st.lists(
        st.tuples(st.sampled_from([b"x-a", b"Content-Length", b"connection", b"b c", b"date"]), st.binary(max_size=6)),
        max_size=3,
    ),
    st.binary(max_size=8),
)
@example(200, [(b"x-a", b"b\r\nc: d")], b"hello")
@example(200, [(b"x-a", b"b"), (b"content-length", b"7")], b"hello")
def test_an_answer_that_is_written_is_read_as_it_was_meant(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    whole = written(status, headers, body)
    if whole is None:
        return
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(whole)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    assert (response.status_code, list(response.headers)) == (status, [(n.lower(), v) for n, v in headers])
    read = b""
    while isinstance(event := client.next_event(), h11.Data):
        read += event.data
    assert (read, type(event), client.trailing_data[0]) == (body, h11.EndOfMessage, b"")


def test_an_ordinary_answer_is_written() -> None:
    assert written(201, [(b"content-type", b"application/json"), (b"content-length", b"2")], b"{}") == (
        b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )


def test_a_head_or_a_body_of_unusual_length_is_left_to_h11() -> None:
    assert plain_request(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"b" * 20_000 + b"\r\n\r\n") is None
    assert plain_request(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + b"b" * 300_000) is None
