"""The order in which an executor asks for functions: first what was not served for longest."""

from typing import Any

import pytest

from obelisk_daemon.executor.executor import Executor
from obelisk_daemon.storage.records import LockRequest, Runnable
from tests.fakes.clock import ManualClock
from tests.unit.executor.test_dropping import Fake

pytestmark = pytest.mark.anyio


class TurnStore:
    """Gives what the test says, and notes the order that was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gives = ""

    async def lock(self, request: LockRequest) -> list[Any]:
        self.asked.append("".join(one.ffqn for one in request.runnable))
        return [Fake(created=Fake(ffqn=ffqn)) for ffqn in self.gives]


@pytest.fixture
def store() -> TurnStore:
    return TurnStore()


@pytest.fixture
def executor(store: TurnStore) -> Any:
    """Give an executor that knows the functions a to d, and starts nothing."""
    runnable = [Runnable(ffqn, "sha256:x", None) for ffqn in "abcd"]  # type: ignore[arg-type]
    plan = Fake(runnable=lambda _: list(runnable), labels=frozenset(), limited=frozenset(), generation=1)
    services: Any = Fake(clock=ManualClock(), store=store, plan=plan, ids=Fake(run=None), executor_id="Exr_1")
    made: Any = Executor(services, Fake(), 10)  # type: ignore[arg-type]
    made._start = lambda *_: None
    return made


@pytest.mark.parametrize(
    ("gives", "next_order"),
    [
        ("", "abcd"),
        ("a", "bcda"),
        ("ab", "cdab"),
        ("ba", "cdba"),
        ("abcd", "abcd"),
        ("abcda", "bcda"),
        ("abcdab", "cdab"),
        ("dd", "abcd"),
    ],
)
async def test_what_was_served_last_comes_last_the_next_time(
    store: TurnStore, executor: Any, gives: str, next_order: str
) -> None:
    store.gives = gives
    await executor._lock(10)
    await executor._lock(10)
    assert store.asked == ["abcd", next_order]


async def test_another_plan_begins_anew(store: TurnStore, executor: Any) -> None:
    store.gives = "a"
    await executor._lock(10)
    before = executor.services.plan
    executor.adopt(
        Fake(runnable=before.runnable, labels=frozenset(), limited=frozenset(), functions={}, generation=2), 10
    )
    await executor._lock(10)
    assert store.asked == ["abcd", "abcd"]
