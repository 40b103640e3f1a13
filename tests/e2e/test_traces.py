"""Traces of a real daemon, taken by a real collector."""

import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, execution_id
from tests.e2e.servers import httpbin
from tests.e2e.test_metrics import scrape
from tests.fakes.collector import Collector, Span, collecting
from tests.guests import manifest_entry

RUN = "testing:fibo/workflow.fiboa"
NEST = "testing:nested/outer.run"
NAP = "testing:sleeper/sleeper.nap"
TRAP = "testing:faults/faults.trap"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


def traced(new_daemon: NewDaemon, endpoint: str, *components: str, **settings: object) -> Daemon:
    daemon = new_daemon(*[manifest_entry(name, **settings) for name in components])
    daemon.manifest.write_text(daemon.manifest.read_text().replace("[daemon]\n", "[daemon]\ntraces = true\n", 1))
    daemon.environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "20"}
    return daemon


def of(spans: list[Span], execution: str) -> Span:
    """Find the span of an execution."""
    (found,) = [
        one
        for one in spans
        if "obelisk.function" in one.attributes and one.attributes["obelisk.execution_id"] == execution
    ]
    return found


def check(spans: list[Span]) -> None:
    """Look for what must never be: an id twice, or a span that ends before it began."""
    assert [name for name, count in Counter(one.span_id for one in spans).items() if count > 1] == []
    assert all(one.started <= one.ended for one in spans)


def test_a_top_level_execution_is_one_trace_with_all_below_it(new_daemon: NewDaemon, collector: Collector) -> None:
    daemon = traced(new_daemon, collector.endpoint, "fibo-activity", "fibo-workflow", "nested")
    daemon.environ |= {"OTEL_EXPORTER_OTLP_HEADERS": "x-key=value", "OTEL_SERVICE_NAME": "orders"}
    daemon.start()
    for number in (1, 2):
        assert daemon.api.call(execution_id(number), NEST, 10, 3) == {"ok": 55}
    assert daemon.terminate() == 0
    spans = collector.spans
    check(spans)
    assert {one.service for one in spans} == {"orders"}
    assert collector.headers[0]["x-key"] == "value"
    roots = [one for one in spans if not one.parent_id]
    assert [one.name for one in roots] == [NEST, NEST]
    assert len({one.trace_id for one in spans}) == 2
    root, child = of(spans, execution_id(1)), of(spans, f"{execution_id(1)}.o:1_1")
    assert (child.name, child.parent_id, child.trace_id) == (RUN, root.span_id, root.trace_id)
    for number in (1, 2, 3):
        activity = of(spans, f"{execution_id(1)}.o:1_1.o:{number}_1")
        assert (activity.parent_id, activity.trace_id) == (child.span_id, root.trace_id)
        (attempt,) = [one for one in spans if one.parent_id == activity.span_id and one.name == "attempt 1"]
        assert attempt.attributes["obelisk.outcome"] == "ok"
        assert root.started <= activity.started <= attempt.started <= attempt.ended <= activity.ended <= root.ended


def test_a_daemon_that_is_killed_and_started_goes_on_with_the_same_trace(
    new_daemon: NewDaemon, collector: Collector
) -> None:
    """The workflow is replayed by the second daemon, and that gives no span again."""
    daemon = traced(new_daemon, collector.endpoint, "fibo-activity", "fibo-workflow")
    daemon.start()
    daemon.api.submit(execution_id(1), RUN, 10, 400)
    collector.until(40)
    daemon.kill()
    before = len(collector.spans)
    daemon.start()
    assert daemon.api.result(execution_id(1)) == {"ok": 55}
    assert daemon.terminate() == 0
    spans = collector.spans
    check(spans)
    assert before < len(spans)
    assert len({one.trace_id for one in spans}) == 1
    root = of(spans, execution_id(1))
    assert [one for one in spans if not one.parent_id] == [root]
    children = [one for one in spans if one.name == "testing:fibo/fibo.fibo"]
    assert {one.parent_id for one in children} == {root.span_id}
    assert 300 < len(children) <= 400  # what was on its way when the daemon was killed is lost


def test_a_delay_is_a_span_also_when_another_daemon_fires_it(new_daemon: NewDaemon, collector: Collector) -> None:
    daemon = traced(new_daemon, collector.endpoint, "sleeper")
    daemon.start()
    daemon.api.submit(execution_id(1), NAP, 1_500)
    daemon.api.until(execution_id(1), lambda event: event["type"] == "history_event")
    daemon.kill()
    daemon.start()
    daemon.api.result(execution_id(1))
    assert daemon.terminate() == 0
    (delay,) = [one for one in collector.spans if one.name == "delay"]
    assert delay.parent_id == of(collector.spans, execution_id(1)).span_id
    # its guest counts from the time that it knows, which is a little before that of its request
    assert delay.ended - delay.started >= 1_400_000_000
    check(collector.spans)


def test_each_attempt_is_a_span_and_says_how_it_failed(new_daemon: NewDaemon, collector: Collector) -> None:
    backoff = {"initial": "10ms", "max": "10ms"}
    daemon = traced(new_daemon, collector.endpoint, "faults", max_retries=1, backoff=backoff)
    daemon.start()
    daemon.api.call(execution_id(1), TRAP)
    assert daemon.terminate() == 0
    execution = of(collector.spans, execution_id(1))
    attempts = [one for one in collector.spans if one.name.startswith("attempt")]
    assert [one.name for one in attempts] == ["attempt 1", "attempt 2"]
    assert {one.parent_id for one in attempts} == {execution.span_id}
    assert all(one.failed and "unreachable" in one.failed for one in (*attempts, execution))
    assert execution.attributes["obelisk.failure_kind"] == "trap"
    queued = [one for one in collector.spans if one.name == "queued"]
    assert {one.parent_id for one in queued} == {execution.span_id}


@pytest.mark.guests
def test_what_an_activity_asks_of_other_hosts_is_below_its_attempt(new_daemon: NewDaemon, collector: Collector) -> None:
    with httpbin() as server:
        allowed = [{"host": server, "allow_private": True}]
        daemon = traced(new_daemon, collector.endpoint, "http-python", allowed_hosts=allowed)
        daemon.start()
        daemon.api.call(execution_id(1), "example:http/client.get", f"{server}/get?token=secret")
        assert 'obelisk_egress_requests_total{host="127.0.0.1",status="2xx"} 1.0' in scrape(daemon)
        assert daemon.terminate() == 0
    (request,) = [one for one in collector.spans if one.name == "GET"]
    (attempt,) = [one for one in collector.spans if one.name == "attempt 1"]
    assert request.parent_id == attempt.span_id
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["url.path"] == "/get"
    assert "secret" not in repr(collector.spans)


def test_a_sampler_of_none_sends_none(new_daemon: NewDaemon, collector: Collector) -> None:
    daemon = traced(new_daemon, collector.endpoint, "fibo-activity", "fibo-workflow")
    daemon.environ |= {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.0"}
    daemon.start()
    assert daemon.api.call(execution_id(1), RUN, 10, 3) == {"ok": 55}
    assert daemon.terminate() == 0
    assert collector.spans == []


def test_a_collector_that_is_not_there_stops_nobody(new_daemon: NewDaemon) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        daemon = traced(new_daemon, f"http://127.0.0.1:{unused.getsockname()[1]}", "fibo-activity", "fibo-workflow")
        daemon.environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "1"
        daemon.start()
        assert daemon.api.call(execution_id(1), RUN, 10, 50) == {"ok": 55}
        assert daemon.terminate() == 0
        daemon.expected_errors = {str(line["event"]) for line in daemon.process.events() if line["level"] == "error"}
        assert all("export" in event for event in daemon.expected_errors)


def test_a_protocol_that_is_not_there_is_refused_at_the_start(new_daemon: NewDaemon) -> None:
    daemon = traced(new_daemon, "http://127.0.0.1:4317", "fibo-activity")
    daemon.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
    process = daemon.launch()
    assert process.wait() == 78
    assert "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'; traces are sent by http/protobuf only" in process.text


def test_without_traces_nothing_of_opentelemetry_is_imported() -> None:
    program = "import obelisk_daemon.supervisor, sys; print([n for n in sys.modules if n.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
