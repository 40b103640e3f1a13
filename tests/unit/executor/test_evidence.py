"""What is kept of a failed attempt, and how much of it."""

from datetime import timedelta

from obelisk_daemon.execution.outcome import Evidence, HttpExchange
from obelisk_daemon.executor.evidence import evidence_of
from obelisk_daemon.executor.logs import LogBuffer
from obelisk_daemon.wasm.wasi.context import HttpTrace
from tests.fakes.clock import START, ManualClock


def logs(stderr: bytes = b"") -> LogBuffer:
    buffer = LogBuffer(ManualClock(), 1 << 20)
    buffer.output("stderr", stderr)
    return buffer


def request(number: int = 1, **changes: object) -> HttpTrace:
    return HttpTrace(method="GET", url=f"http://x/{number}", started_at=START, **changes)  # type: ignore[arg-type]


def test_an_attempt_that_left_nothing_has_no_evidence() -> None:
    assert evidence_of(logs(), []) == Evidence()


def test_a_request_is_kept_with_what_came_of_it() -> None:
    trace = request(status=503, duration=timedelta(milliseconds=1.5), request_bytes=1, response_bytes=2)
    refused = request(error="HTTP-request-denied", reason="not allowed")
    assert evidence_of(logs(), [trace, refused]).http == (
        HttpExchange("GET", "http://x/1", START, 1_500, 503, None, None, 1, 2),
        HttpExchange("GET", "http://x/1", START, 0, None, "HTTP-request-denied", "not allowed", 0, 0),
    )


def test_the_last_requests_are_kept_and_the_others_are_counted() -> None:
    kept = evidence_of(logs(), [request(number) for number in range(1, 61)])
    assert [kept.http[0].url, kept.http[-1].url] == ["http://x/11", "http://x/60"]
    assert (len(kept.http), kept.http_left_out) == (50, 10)


def test_long_texts_are_cut() -> None:
    (kept,) = evidence_of(logs(), [request(reason="r" * 10_000, error="x", status=None)]).http
    assert len(kept.reason or "") == 300
    long = HttpTrace(method="GET", url="http://x/" + "y" * 10_000, started_at=START)
    assert len(evidence_of(logs(), [long]).http[0].url) == 500


def test_of_stderr_the_last_lines_are_kept_also_one_without_its_end() -> None:
    lines = b"".join(b"line %d\n" % number for number in range(40))
    kept = evidence_of(logs(lines + b"rest"), []).stderr.split("\n")
    assert (kept[0], kept[-2:], len(kept)) == ("line 21", ["line 39", "rest"], 20)


def test_long_lines_of_stderr_are_cut_at_their_front() -> None:
    kept = evidence_of(logs(b"a" * 10_000 + b"the end\n"), []).stderr
    assert len(kept) == 8 * 1024
    assert kept.endswith("the end")
