"""Tests of the workflow in app.py: no daemon, no network, and the second that it sleeps takes no time.

To run them: python components/build.py demo-python && python -m pytest components/demo-python
"""

from datetime import timedelta
from pathlib import Path

import pytest

from obelisk_daemon.testing import WorkflowKit

HERE = Path(__file__).resolve().parent
RUN = "example:demo/workflow.run"
GET = "example:http/client.get"
FIBO = "testing:fibo/fibo.fibo"
URL = "http://shop.example/"


@pytest.fixture
def kit() -> WorkflowKit:
    kit = WorkflowKit(HERE.parent / "build" / "demo-python.wasm")
    kit.stub(FIBO, lambda n: {"ok": {10: 55, 20: 6765}.get(n, 1_000_000)})
    kit.stub(GET, lambda url: {"ok": {"status": 200, "body": f"this is {url}"}})
    return kit


def test_it_says_what_it_did(kit: WorkflowKit) -> None:
    said = kit.run(RUN, [URL])["ok"]
    assert said.startswith("computed fibo(10) = 55, fibo(20) = 6765 and by chance fibo(")
    assert said.endswith("got 200 with 28 characters from http://shop.example/")
    assert [call.ffqn for call in kit.calls] == [FIBO, FIBO, FIBO, GET]
    assert kit.slept == timedelta(seconds=1)
    assert f"{URL} answered 200" in [line.message for line in kit.logs]


def test_an_error_of_the_activity_becomes_its_own(kit: WorkflowKit) -> None:
    kit.stub(GET, {"err": {"timeout": "connection-timeout"}})
    error = kit.run(RUN, [URL])["err"]
    assert error.startswith("http://shop.example/ failed: ")
    assert "connection-timeout" in error


def test_an_activity_that_fails_after_all_retries_fails_it_too(kit: WorkflowKit) -> None:
    kit.fail(GET, "timed_out")  # its error type has no case `execution-failed`, so the workflow can't handle that
    assert kit.run(RUN, [URL])["execution_failure"]["kind"] == "child_failed"


def test_it_asks_the_same_again_when_it_is_replayed(kit: WorkflowKit) -> None:
    kit.run(RUN, [URL])
    kit.replay_check()


@pytest.mark.parametrize("history", sorted(HERE.glob("histories/*.json")), ids=lambda file: file.stem)
def test_it_goes_on_with_what_production_has_done(kit: WorkflowKit, history: Path) -> None:
    # Each is `obelisk-ctl events ID --export FILE` of a workflow that matters: finished, waiting, failed.
    kit.replay_check(history)
