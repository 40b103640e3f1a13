"""How an end is named and shown, and what is known of a failure of which little was said."""

import msgspec
import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.outcome import (
    Ending,
    Evidence,
    Failed,
    FailureRecord,
    HttpExchange,
    Outcome,
    Returned,
    ending_of,
    outcome_json,
)
from obelisk_daemon.ids import FailureId

ID = FailureId("Err_1")
FAILED = Failed("out_of_fuel", ID, "it spun")


@pytest.mark.parametrize(
    ("outcome", "ending"),
    [(Returned({"ok": None}), "ok"), (Returned({"err": 1}), "err"), (FAILED, "out_of_fuel")],
)
def test_an_end_is_named_by_its_result_or_by_why_there_is_none(outcome: Outcome, ending: Ending) -> None:
    assert ending_of(outcome) == ending


def test_a_result_is_shown_as_it_is_and_a_failure_with_its_id_and_its_reason() -> None:
    assert outcome_json(Returned({"err": [1, "x"]})) == {"err": [1, "x"]}
    assert outcome_json(FAILED) == {"execution_failure": {"kind": "out_of_fuel", "failure_id": ID, "reason": "it spun"}}


def test_of_a_failure_nothing_is_known_but_what_was_recorded() -> None:
    assert msgspec.to_builtins(FailureRecord(ID, "trap", "unreachable")) == {
        "failure_id": ID,
        "kind": "trap",
        "message": "unreachable",
        "backtrace": "",
        "cause": None,
        "evidence": {"stderr": "", "http": (), "http_left_out": 0},
    }
    exchange = HttpExchange("GET", "http://a/", Instant(1), 2)
    assert msgspec.to_builtins(exchange) == ["GET", "http://a/", 1, 2, None, None, None, 0, 0]
    assert Evidence(http=(exchange,)).http_left_out == 0
