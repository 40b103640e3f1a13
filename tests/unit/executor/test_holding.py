"""While a suspect is alone, no workflow in memory goes on: it could take the daemon down just as well."""

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import ChildFinished, Response
from obelisk_daemon.executor.workflow import WorkflowRun
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import NewResponse, ResponseChange
from tests.building import OK
from tests.unit.executor.test_dropping import executor

pytestmark = pytest.mark.anyio
PARENT, CHILD = ExecutionId("E_1"), ExecutionId("E_1.o:1_1")
ANSWER = Response(1, Instant(1), "o:1", ChildFinished(CHILD, OK))


class Waiting(WorkflowRun):
    """A workflow in memory that waits for its child; `delivered` is what it has heard."""

    is_blocked = True  # type: ignore[assignment] - a property of those that run

    def __init__(self) -> None:
        self.delivered: list[Response] = []

    def deliver(self, response: Response, *, ahead_of: object = None) -> None:
        self.delivered.append(response)


async def test_responses_are_kept_and_delivered_in_order_when_the_suspect_is_done() -> None:
    one, run = executor(), Waiting()
    one._runs[PARENT] = run
    second = Response(2, Instant(2), "o:1", ChildFinished(CHILD, OK))
    one.hold(True)
    for answer in (ANSWER, second):
        one.on_change(ResponseChange(PARENT, answer))
        one.hold(True)
    assert run.delivered == []
    one.hold(False)
    assert run.delivered == [ANSWER, second]


async def test_no_parent_runs_ahead_of_a_suspect() -> None:
    one, run = executor(), Waiting()
    one._runs[PARENT] = run
    answer = NewResponse(PARENT, "o:1", Instant(1), ChildFinished(CHILD, OK))
    one.hold(True)
    one.run_ahead(answer, ticket=None)  # type: ignore[arg-type]
    assert run.delivered == []
    one.hold(False)
    one.run_ahead(answer, ticket=None)  # type: ignore[arg-type]
    assert len(run.delivered) == 1


async def test_no_slot_is_reserved_for_a_child_of_a_suspect() -> None:
    one = executor()
    one._backlog = 0
    one.hold(True)
    assert not one.try_reserve(None)
