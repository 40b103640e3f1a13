"""Sends spans to a collector, by OTLP over HTTP, as the standard `OTEL_*` variables say.

The loop only puts a span into a queue, which is bounded: when the collector is slow or gone, the oldest are lost. A
thread of OpenTelemetry's SDK sends them.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from obelisk_daemon import __version__
from obelisk_daemon.errors import OperatorError
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import DelayEnded, Recorded
from obelisk_daemon.telemetry.spans import (
    SpanRecord,
    execution_span_id,
    spans_of,
    spans_of_requests,
    trace_id,
)
from obelisk_daemon.wasm.wasi.context import HttpTrace

_FLUSH_SECONDS: Final = 5.0
"""How long a stop waits for the collector to take what is left."""
_SCOPE: Final = InstrumentationScope("obeliskd", __version__)
_log: Final = structlog.get_logger("traces")
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class Tracing:
    """Makes spans of what became durable, of the traces that the sampler chose."""

    def __init__(self) -> None:
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._sampler = provider.sampler
        self._resource = provider.resource
        self._processor = BatchSpanProcessor(OTLPSpanExporter())

    def observe(self, ended: Recorded | DelayEnded) -> None:
        """Take what a commit has ended; an `Observer` of the store."""
        if self._is_sampled(ended.execution_id):
            self._send(spans_of(ended))

    def observe_requests(self, execution_id: ExecutionId, version: int, requests: Sequence[HttpTrace]) -> None:
        """Take what an attempt asked of other hosts, once its end is durable with the event of this version."""
        if requests and self._is_sampled(execution_id):
            self._send(spans_of_requests(execution_id, version, requests))

    def _is_sampled(self, execution_id: ExecutionId) -> bool:
        chosen = self._sampler.should_sample(None, trace_id(execution_id), "").decision
        return chosen is Decision.RECORD_AND_SAMPLE

    def _send(self, spans: Iterable[SpanRecord]) -> None:
        for span in spans:
            self._processor.on_end(self._readable(span))

    def _readable(self, span: SpanRecord) -> ReadableSpan:
        own = SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=_SAMPLED)
        parent = None
        if span.parent_id is not None:
            parent = SpanContext(span.trace_id, span.parent_id, is_remote=False, trace_flags=_SAMPLED)
        return ReadableSpan(
            name=span.name,
            context=own,
            parent=parent,
            resource=self._resource,
            attributes=span.attributes,
            links=() if span.link is None else (Link(_context_of(span.link)),),
            kind=SpanKind.CLIENT if span.kind == "client" else SpanKind.INTERNAL,
            status=Status() if span.failed is None else Status(StatusCode.ERROR, span.failed),
            start_time=span.started_at * 1_000,
            end_time=span.ended_at * 1_000,
            instrumentation_scope=_SCOPE,
        )

    async def aclose(self) -> None:
        """Send what is left, as far as the collector takes it in time."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            with suppress(RuntimeError):  # the loop has not waited so long
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=shut_down, name="traces", daemon=True).start()
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await done.wait()
        except TimeoutError:
            _log.warning("traces_lost", detail=f"the collector did not take the last spans within {_FLUSH_SECONDS:g} s")


@asynccontextmanager
async def tracing() -> AsyncIterator[Tracing]:
    """Trace for as long as the context lasts; what is left at the end is sent.

    Raises:
        OperatorError: the variables ask for what isn't there.
    """
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL"))
    if protocol not in (None, "", "http/protobuf"):
        message = f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; traces are sent by http/protobuf only"
        raise OperatorError("unusable_telemetry", message)
    try:
        made = Tracing()
    except ValueError as error:
        raise OperatorError("unusable_telemetry", f"the OTEL_* variables can't be used: {error}") from error
    try:
        yield made
    finally:
        await made.aclose()


def _context_of(execution_id: ExecutionId) -> SpanContext:
    span_id = execution_span_id(execution_id)
    return SpanContext(trace_id(execution_id), span_id, is_remote=True, trace_flags=_SAMPLED)


def _resource() -> Resource:
    found: Any = Resource.create({"service.version": __version__})
    if str(found.attributes.get("service.name", "")).startswith("unknown_service"):
        return Resource.create({"service.version": __version__, "service.name": "obeliskd"})
    return found  # type: ignore[no-any-return]
