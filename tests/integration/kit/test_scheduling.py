"""Ids of executions in the kit mean what they mean in production: one id, one call."""

import json

import pytest

from obelisk_daemon.testing import WorkflowKit
from tests.integration.kit.conftest import MakeKit

pytestmark = pytest.mark.guests
RUN = "testing:interpreter/interpreter.run"
NEW = {"op": "execution-id-generate", "hide": True}


@pytest.fixture
def kit(make_kit: MakeKit) -> WorkflowKit:
    return make_kit("interpreter-python")


def schedule(execution: object, n: int) -> dict[str, object]:
    function = "testing:fibo/fibo.fibo"
    return {"op": "schedule-json", "execution": execution, "when": "now", "function": function, "params": [n]}


def test_the_same_call_may_be_scheduled_twice(kit: WorkflowKit) -> None:
    result = kit.run(RUN, [json.dumps([NEW, schedule(0, 1), schedule(0, 1)])])
    assert result == {"ok": '[null,{"ok":null},{"ok":null}]'}
    kit.replay_check()


@pytest.mark.parametrize("program", [[NEW, schedule(0, 1), schedule(0, 2)], [schedule("current", 1)]])
def test_another_call_under_an_id_that_is_taken_is_a_trap(kit: WorkflowKit, program: list[object]) -> None:
    failure = kit.run(RUN, [json.dumps(program)])["execution_failure"]
    assert failure["kind"] == "trap"
    assert "is another call" in failure["reason"]
    kit.replay_check()
