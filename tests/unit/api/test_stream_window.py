import asyncio
from collections.abc import Sequence

import pytest

from obelisk_daemon.api.live import window
from obelisk_daemon.api.live.window import Changes, Window
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Summary
from tests.fakes.api import FIBO, FakeWorld, execution_id

pytestmark = pytest.mark.anyio


def filled(number: int, size: int = 1) -> Window:
    made = Window()
    for one in range(1, number + 1):
        made.append("x", bytes([one % 256]) * size)
    return made


def numbers(made: Window, after: int) -> list[int] | None:
    kept = made.after(after)
    return None if kept is None else [one.number for one in kept]


def test_messages_after_a_number_are_given() -> None:
    made = filled(5)
    assert numbers(made, 3) == [4, 5]
    assert numbers(made, 0) == [1, 2, 3, 4, 5]
    assert numbers(made, 5) == []


def test_what_was_never_there_is_told_from_what_is_not_there_yet() -> None:
    assert numbers(filled(5), 6) is None
    assert numbers(Window(), 0) == []


def test_only_the_newest_messages_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "MOST_MESSAGES", 3)
    for number in range(4, 20):
        made = filled(number)
        assert numbers(made, number - 3) == [number - 2, number - 1, number]
        assert numbers(made, number - 4) is None
        assert len(made._kept) <= 2 * 3 + 1


def test_only_so_many_bytes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "MOST_BYTES", 1_000)
    made = filled(20, size=300)
    assert numbers(made, 17) == [18, 19, 20]
    assert numbers(made, 16) is None


def test_messages_are_given_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "CHUNK_BYTES", 100)
    made = filled(5, size=60)
    assert (numbers(made, 0), numbers(made, 2), numbers(made, 4)) == ([1, 2], [3, 4], [5])


def test_after_all_is_forgotten_nobody_goes_on_as_if_nothing_were_missing() -> None:
    made = filled(5)
    made.forget()
    assert numbers(made, 5) is None
    assert numbers(made, made.last) == []
    made.append("x", b"1")
    assert numbers(made, made.last - 1) == [made.last]


class Scene:
    """Changes that are read from a world, and what was told of them."""

    def __init__(self) -> None:
        self.world = FakeWorld()
        self.told: list[list[str]] = []
        self.forgotten = 0
        self.changes = Changes(self._read, self._tell, self._forget)

    async def _read(self, chosen: Sequence[ExecutionId]) -> list[Summary]:
        return await self.world.summaries_of(chosen)

    def _tell(self, found: list[Summary]) -> None:
        self.told.append([one.execution_id for one in found])

    def _forget(self) -> None:
        self.forgotten += 1

    def change(self, *numbers: int) -> None:
        for number in numbers:
            self.world.create(execution_id(number), FIBO, 3)
            self.changes.note(execution_id(number))


async def test_what_settles_waits_for_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "WINDOW_SECONDS", 3_600)
    scene = Scene()
    task = asyncio.create_task(scene.changes.run())
    scene.change(1)
    await scene.changes.settle()
    scene.change(2, 3)
    await scene.changes.settle()
    assert scene.told == [[execution_id(1)], [execution_id(2), execution_id(3)]]
    await scene.changes.settle()
    task.cancel()


async def test_an_execution_that_changes_again_before_it_is_told_is_told_once() -> None:
    scene = Scene()
    scene.change(1, 2)
    scene.changes.note(execution_id(1))
    task = asyncio.create_task(scene.changes.run())
    await scene.changes.settle()
    assert scene.told == [[execution_id(1), execution_id(2)]]
    task.cancel()


async def test_an_execution_that_is_gone_by_then_is_not_told() -> None:
    scene = Scene()
    scene.changes.note(execution_id(1))
    task = asyncio.create_task(scene.changes.run())
    await scene.changes.settle()
    assert scene.told == [[]]
    task.cancel()


async def test_of_too_many_changes_only_that_there_were_some_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "MOST_WAITING", 3)
    scene = Scene()
    scene.change(*range(1, 100))
    assert len(scene.changes._waiting) == 4
    task = asyncio.create_task(scene.changes.run())
    await scene.changes.settle()
    assert (scene.told, scene.forgotten) == ([], 1)
    task.cancel()


@pytest.mark.parametrize("last", ["is cancelled", "fails"])
async def test_nobody_waits_for_what_is_not_told_since_the_telling_ended(last: str) -> None:
    scene = Scene()
    reading, gate = asyncio.Event(), asyncio.Event()

    async def read(chosen: Sequence[ExecutionId]) -> list[Summary]:
        reading.set()
        await gate.wait()
        raise LookupError(chosen)

    scene.changes = Changes(read, scene._tell, scene._forget)
    task = asyncio.create_task(scene.changes.run())
    scene.change(1)
    await reading.wait()
    settling = asyncio.create_task(scene.changes.settle())
    await asyncio.sleep(0)
    if last == "fails":
        gate.set()
    else:
        task.cancel()
    await asyncio.wait([task])
    async with asyncio.timeout(10):
        await settling
        await scene.changes.settle()  # nor does the next one who listens
    assert task.cancelled() or isinstance(task.exception(), LookupError)
