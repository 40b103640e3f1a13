"""An activity: one HTTP request through wasi:http, written against the bindings that componentize-py generates.

Python's own HTTP clients need sockets, which an activity does not have. It asks the host for the request instead,
and the host checks it against the manifest's `allowed_hosts`. How long it may take is the manifest's `timeout`.

With a secret `api-key` that an allowed host names, each request has it as its bearer token. What the variable holds
is a placeholder: the host puts the value in, and only for that host.

Handles of the host are released by `with`; one that came from another (a stream from its body) goes first.
"""

import os
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.client import (
    HttpError,
    HttpError_ConnectionRefused,
    HttpError_DnsError,
    HttpError_Other,
    HttpError_PermanentBadUrl,
    HttpError_PermanentDenied,
    HttpError_ServerError,
    HttpError_Timeout,
    Response,
)
from wit_world.imports import outgoing_handler, types
from wit_world.imports.streams import StreamError_Closed, StreamError_LastOperationFailed

# The host moves a stream's bytes one by one, so that larger pieces save nothing.
_READ_SIZE: Final = 65536
# What `blocking-write-and-flush` takes at a time.
_WRITE_SIZE: Final = 4096

_SCHEMES: Final[dict[str, types.Scheme]] = {"http": types.Scheme_Http(), "https": types.Scheme_Https()}
_ACRONYMS: Final = frozenset({"DNS", "HTTP", "IP", "TLS", "URI"})


class Client(exports.Client):
    """The exported interface `example:http/client`. componentize-py finds it by its name."""

    def get(self, url: str) -> Response:
        return _exchange(_request(types.Method_Get(), url, {}), b"")

    def post(self, url: str, body: str) -> Response:
        content = body.encode()
        headers = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(content))}
        return _exchange(_request(types.Method_Post(), url, headers), content)


def _request(method: types.Method, url: str, headers: dict[str, str]) -> types.OutgoingRequest:
    parts = _split(url)
    if key := os.environ.get("API_KEY"):
        headers["authorization"] = f"Bearer {key}"
    request = types.OutgoingRequest(types.Fields.from_list([(k, v.encode()) for k, v in headers.items()]))
    try:
        request.set_method(method)
        request.set_scheme(_SCHEMES[parts.scheme])
        request.set_authority(parts.netloc)
        request.set_path_with_query((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    except Err as error:
        raise Err(HttpError_PermanentBadUrl("its host, port or path is not valid")) from error
    return request


def _split(url: str) -> SplitResult:
    if re.search(r"[^!-~]", url):
        raise Err(HttpError_PermanentBadUrl("spaces and what is not ASCII must be percent-encoded"))
    try:
        parts = urlsplit(url)
        _ = parts.port  # Raises when it isn't one.
    except ValueError as error:
        raise Err(HttpError_PermanentBadUrl(str(error))) from error
    if parts.scheme not in _SCHEMES:
        raise Err(HttpError_PermanentBadUrl("it begins with neither http:// nor https://"))
    if parts.hostname is None or "@" in parts.netloc:
        raise Err(HttpError_PermanentBadUrl("after the scheme it needs a host, without a user name"))
    return parts


def _exchange(request: types.OutgoingRequest, content: bytes) -> Response:
    outgoing = request.body()
    try:
        # This gives the request away; its body is still ours to write.
        with outgoing_handler.handle(request, None) as future:
            _send(outgoing, content)
            return _receive(future)
    except Err as error:
        raise Err(_http_error(error.value)) from error


def _send(outgoing: types.OutgoingBody, content: bytes) -> None:
    if content:
        with outgoing.write() as stream:
            for start in range(0, len(content), _WRITE_SIZE):
                stream.blocking_write_and_flush(content[start : start + _WRITE_SIZE])
    types.OutgoingBody.finish(outgoing, None)


def _receive(future: types.FutureIncomingResponse) -> Response:
    with future.subscribe() as answered:
        answered.block()
    answer = future.get()
    assert answer is not None, "wasi:http: a future that is ready has a value"
    # The outer result says whether the answer was taken before, the inner one is the answer.
    if isinstance(answer, Err):
        raise answer
    if isinstance(answer.value, Err):
        raise answer.value
    with answer.value.value as incoming:
        response = Response(incoming.status(), _read(incoming).decode(errors="replace"))
    if response.status >= 500:
        raise Err(HttpError_ServerError(response))
    return response


def _read(incoming: types.IncomingResponse) -> bytes:
    content = bytearray()
    with incoming.consume() as body, body.stream() as stream:
        while True:
            try:
                content += stream.blocking_read(_READ_SIZE)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return bytes(content)
                raise


def _http_error(cause: object) -> HttpError:
    """Turn what came with an `Err` of ours, of wasi:http or of a stream into the error that we export."""
    if isinstance(cause, HttpError):
        return cause
    if isinstance(cause, StreamError_LastOperationFailed):
        with cause.value as failure:
            code = types.http_error_code(failure)
            return HttpError_Other(failure.to_debug_string()) if code is None else _http_error(code)
    name = _code_name(cause)
    match cause:
        case types.ErrorCode_ConnectionRefused():
            return HttpError_ConnectionRefused()
        case types.ErrorCode_DnsError() | types.ErrorCode_DestinationNotFound():
            return HttpError_DnsError(name)
        case types.ErrorCode_HttpRequestDenied() | types.ErrorCode_DestinationIpProhibited():
            return HttpError_PermanentDenied(name)
        case _ if name.endswith("timeout"):
            return HttpError_Timeout(name)
        case _:
            return HttpError_Other(name)


def _code_name(code: object) -> str:
    """Give an error code its WIT name: `HTTP-request-denied` for `ErrorCode_HttpRequestDenied`."""
    words = re.findall("[A-Z][a-z]*", type(code).__name__.removeprefix("ErrorCode_"))
    return "-".join(word.upper() if word.upper() in _ACRONYMS else word.lower() for word in words)
