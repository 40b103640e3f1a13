"""Which spans come of what became durable, and what is in them."""

import sys
from datetime import timedelta

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import OperatorError
from obelisk_daemon.execution.events import Created, Entry, Finished
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.execution.state import fold
from obelisk_daemon.ids import DelayId, ExecutionId
from obelisk_daemon.storage.records import DelayEnded, Recorded
from obelisk_daemon.telemetry import tracing
from obelisk_daemon.telemetry.spans import (
    attempt_span_id,
    execution_span_id,
    spans_of,
    spans_of_requests,
    trace_id,
)
from obelisk_daemon.wasm.wasi.context import HttpTrace

ROOT = ExecutionId("E_00000000000000000000000001")
CHILD = ExecutionId(f"{ROOT}.o:1_1")


def ended(execution_id: ExecutionId, **of: object) -> Recorded:
    created = Created(ffqn="a:b/c.d", params=[], component="c", digest="d", due_at=Instant(1), **of)  # type: ignore[arg-type]
    entries = (Entry(0, Instant(1), created), Entry(1, Instant(9), Finished(Returned({"ok": 1}))))
    return Recorded(execution_id, created, Instant(1), entries[1:], fold(entries), from_outside=True)


def test_ids_are_those_of_the_execution_in_every_process() -> None:
    """They are told to collectors, so they must never change."""
    assert trace_id(ROOT) == trace_id(CHILD) == 0xCFFD96F21B34CA6F10F6B9D23819E028
    assert execution_span_id(ROOT) != execution_span_id(CHILD)
    assert 0 < execution_span_id(ROOT) < 1 << 64


def test_a_child_is_below_its_parent_and_what_is_scheduled_is_linked() -> None:
    (child,) = spans_of(ended(CHILD, parent=(ROOT, "o:1")))
    assert (child.parent_id, child.link) == (execution_span_id(ROOT), None)
    (scheduled,) = spans_of(ended(ROOT, scheduled_by=CHILD))
    assert (scheduled.parent_id, scheduled.link) == (None, CHILD)


def test_an_execution_that_has_begun_is_no_span_yet() -> None:
    recorded = ended(ROOT)
    created = Entry(0, Instant(1), recorded.created)
    assert list(spans_of(Recorded(ROOT, recorded.created, Instant(1), (created,), fold((created,))))) == []


def test_a_delay_lasts_from_the_request_to_its_end_and_never_less_than_nothing() -> None:
    (delay,) = spans_of(DelayEnded(CHILD, DelayId("Delay_1"), Instant(9), Instant(5), cancelled=True))
    assert (delay.started_at, delay.ended_at, delay.attributes["obelisk.outcome"]) == (5, 5, "cancelled")
    assert delay.parent_id == execution_span_id(CHILD)


def test_a_request_is_below_its_attempt_and_its_query_is_left_out() -> None:
    url = "https://a.example:8443/path?token=secret"
    requests = [
        HttpTrace(method="GET", url=url, started_at=Instant(5), status=503, duration=timedelta(seconds=1)),
        HttpTrace(method="POST", url=url, started_at=Instant(5), error="DNS_error", reason="a.example has no address"),
        HttpTrace(method="GET", url="http://[broken", started_at=Instant(5), error="HTTP_request_URI_invalid"),
    ]
    first, second, third = spans_of_requests(CHILD, 7, requests)
    assert "secret" not in repr((first, second, third))
    assert {first.parent_id, second.parent_id} == {attempt_span_id(CHILD, 7)}
    assert first.attributes == {
        "http.request.method": "GET",
        "server.address": "a.example:8443",
        "url.path": "/path",
        "http.response.status_code": 503,
        "error.type": "503",
    }
    assert (first.ended_at - first.started_at, first.failed) == (1_000_000, "503")
    assert (second.failed, second.kind) == ("a.example has no address", "client")
    assert third.failed == "HTTP_request_URI_invalid"
    assert len({first.span_id, second.span_id, third.span_id}) == 3


@pytest.mark.anyio
async def test_without_the_extra_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "obelisk_daemon.telemetry.otlp", raising=False)
    with pytest.raises(OperatorError, match=r"pip install 'obeliskd\[otel\]'") as refused:
        async with tracing():
            pass
    assert refused.value.code == "telemetry_missing"
