"""A collector of OpenTelemetry: a real HTTP server that decodes what OTLP sends it."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span(NamedTuple):
    """A span as it came; ids in hex, the parent's empty where there is none."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    started: int
    ended: int
    failed: str | None
    attributes: dict[str, Any]
    service: str


class Collector:
    """What has come so far."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.spans: list[Span] = []
        self.headers: list[dict[str, str]] = []
        self._heard = threading.Condition()

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        message = ExportTraceServiceRequest()
        message.ParseFromString(gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body)
        with self._heard:
            self.headers.append(headers)
            for resource in message.resource_spans:
                service = _values(resource.resource.attributes)["service.name"]
                self.spans += [_span(one, service) for scope in resource.scope_spans for one in scope.spans]
            self._heard.notify_all()

    def until(self, count: int, seconds: float = 60) -> None:
        """Wait until so many spans have come."""
        with self._heard:
            assert self._heard.wait_for(lambda: len(self.spans) >= count, seconds), self.spans


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def _span(one: Any, service: str) -> Span:
    failed = one.status.message if one.status.code == 2 else None
    ids = one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex()
    times = one.start_time_unix_nano, one.end_time_unix_nano
    return Span(one.name, *ids, *times, failed, _values(one.attributes), service)


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
