"""What the metrics make of turns and requests that are hard to bring about with real guests."""

from datetime import timedelta

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import Created, Entry, Finished, GuestTerms
from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.execution.state import fold
from obelisk_daemon.executor.children import NEVER
from obelisk_daemon.executor.counting import Counting, count_egress, kind_of
from obelisk_daemon.ids import ExecutionId, FailureId
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.storage.records import Recorded
from obelisk_daemon.wasm.wasi.context import HttpTrace

CREATED = Created(ffqn="a:b/c.d", params=[], component="c", digest="d", due_at=Instant(1))
STUB = Created(ffqn="a:b/c.d", params=[], component="c", digest="d", due_at=NEVER)
WORKFLOW = Created(
    ffqn="a:b/c.d", params=[], component="c", digest="d", due_at=Instant(5_000_000), terms=GuestTerms({}, 0, 0)
)


def ended(created: Created, finished: Finished) -> Recorded:
    entries = (Entry(0, Instant(1_000_000), created), Entry(1, Instant(8_000_000), finished))
    return Recorded(ExecutionId("E_1"), created, Instant(1_000_000), entries[1:], fold(entries), from_outside=True)


def request(**of: object) -> HttpTrace:
    return HttpTrace(method="GET", url="https://a.example/secret-path", started_at=Instant(0), **of)  # type: ignore[arg-type]


@pytest.mark.parametrize(("created", "kind"), [(CREATED, "activity"), (STUB, "stub"), (WORKFLOW, "workflow")])
def test_the_first_event_tells_the_kind(created: Created, kind: str) -> None:
    assert kind_of(created) == kind


@pytest.mark.parametrize("kind", ["evicted", "rejected"])
def test_what_ends_before_it_ran_is_finished_without_an_attempt(kind: str) -> None:
    metrics = Metrics().executions
    Counting(metrics).observe(ended(CREATED, Finished(Failed(kind, FailureId("Err_1"), "full"))))  # type: ignore[arg-type]
    assert metrics.finished.value("c", "activity", "failed", kind) == 1
    assert metrics.attempts.value("c", "activity", "trap") == 0


def test_a_workflow_takes_from_its_time_to_its_end() -> None:
    metrics = Metrics().executions
    Counting(metrics).observe(ended(WORKFLOW, Finished(Returned({"ok": None}))))
    assert metrics.workflow_seconds.total("c") == 3


def test_a_request_is_counted_by_the_entry_that_allowed_it_and_by_what_came() -> None:
    metrics = Metrics().egress
    count_egress(
        metrics,
        [
            request(),
            request(host="a.example"),
            request(host="a.example", was_sent=True, status=204, duration=timedelta(seconds=2), request_bytes=5),
            request(host="a.example", was_sent=True, status=200, error="HTTP_response_body_size", response_bytes=7),
            request(host="a.example", was_sent=True, error="connection_refused"),
            request(host="*.example", was_sent=True, error="dropped"),
        ],
    )
    assert metrics.requests._values == {
        ("other", "refused"): 1,
        ("a.example", "refused"): 1,
        ("a.example", "2xx"): 1,
        ("a.example", "failed"): 2,
        ("*.example", "dropped"): 1,
    }
    assert metrics.seconds.count("a.example") == 3
    assert metrics.seconds.total("a.example") == 2
    assert (metrics.sent_bytes.value("a.example"), metrics.received_bytes.value("a.example")) == (5, 7)
    assert metrics.seconds.count("other") == 0
