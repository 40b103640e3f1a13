"""An activity that tells all it knows: its environment, what it sends and what comes back.

A test looks for a secret in all that it has told; there should be none.
"""

import base64
import os
import re
import sys
from urllib.parse import urlsplit

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log, outgoing_handler, types
from wit_world.imports.streams import StreamError_Closed


class Leaking(exports.Leaking):
    """The exported interface `testing:leaking/leaking`. componentize-py finds it by its name."""

    def tell(self, url: str, headers: list[tuple[str, str]], trap: bool) -> None:
        told = [f"{name}={value}" for name, value in sorted(os.environ.items())]
        told += [f"sent {name}: {value}" for name, value in headers]
        try:
            told += _exchange(_request(_filled(url), [(name, _filled(value).encode()) for name, value in headers]))
        except Err as error:
            told.append(f"failed: {error.value}")
        text = "\n".join(told)
        print(text)
        print(text, file=sys.stderr)
        log.info(text)
        if trap:
            raise RuntimeError(text)
        raise Err(text)


def _filled(value: str) -> str:
    value = re.sub(r"\$BASIC\((\w+)\)", lambda match: _basic(os.environ[match[1]]), value)
    return re.sub(r"\$(\w+)", lambda match: os.environ[match[1]], value)


def _basic(password: str) -> str:
    return base64.b64encode(f"me:{password}".encode()).decode()


def _request(url: str, headers: list[tuple[str, bytes]]) -> types.OutgoingRequest:
    parts = urlsplit(url)
    request = types.OutgoingRequest(types.Fields.from_list(headers))
    request.set_scheme(types.Scheme_Http())
    request.set_authority(parts.netloc)
    request.set_path_with_query(parts.path + (f"?{parts.query}" if parts.query else ""))
    return request


def _exchange(request: types.OutgoingRequest) -> list[str]:
    """Send a request without a body, and describe the response line by line."""
    types.OutgoingBody.finish(request.body(), None)
    with outgoing_handler.handle(request, None) as future:
        with future.subscribe() as answered:
            answered.block()
        answer = future.get()
    if isinstance(answer, Err):
        raise answer
    if isinstance(answer.value, Err):
        raise answer.value
    with answer.value.value as incoming:
        with incoming.headers() as fields:
            headers = [f"got {name}: {value.decode('latin-1')}" for name, value in fields.entries()]
        return [f"status {incoming.status()}", *headers, _read(incoming).decode(errors="replace")]


def _read(incoming: types.IncomingResponse) -> bytes:
    content = bytearray()
    with incoming.consume() as body, body.stream() as stream:
        while True:
            try:
                content += stream.blocking_read(65536)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return bytes(content)
                raise
