import json

import pytest

from obelisk_daemon.api.live.messages import (
    Told,
    advanced,
    body_of,
    id_of,
    message,
    parse_position,
    told,
    with_id,
)
from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.events import DelayFinished, Entry, Response, Unpaused
from obelisk_daemon.ids import DelayId
from obelisk_daemon.storage.records import Kept, LogLine, Position, Progress
from tests.fakes.api import FIBO, FakeWorld, execution_id

pytestmark = pytest.mark.anyio
ID = execution_id()


async def progress(events: list[int], responses: list[int], lines: list[int], *more: Kept) -> Progress:
    """Make what is new from times; versions, numbers and positions count from 0, 1 and 10."""
    world = FakeWorld()
    world.create(ID, FIBO, 3)
    return Progress(
        await world.summary(ID),
        [Entry(version, Instant(at), Unpaused("operator")) for version, at in enumerate(events)],
        [Response(seq, Instant(at), "o:1", DelayFinished(DelayId("d"))) for seq, at in enumerate(responses, start=1)],
        [(number, None, LogLine(Instant(at), "info", "x")) for number, at in enumerate(lines, start=10)],
        frozenset(more),
    )


def places(found: list[Told]) -> list[tuple[str, int]]:
    return [(one.name, one.place) for one in found]


async def test_what_happened_is_put_in_the_order_of_its_time() -> None:
    found = told(await progress([10, 30], [20], [15, 40]))
    assert places(found) == [("event", 1), ("log", 10), ("response", 1), ("event", 2), ("log", 11)]


async def test_the_order_of_the_commits_goes_before_that_of_the_clock() -> None:
    found = told(await progress([], [30, 20, 40], []))
    assert places(found) == [("response", 1), ("response", 2), ("response", 3)]


async def test_nothing_is_told_that_may_come_after_something_still_unread() -> None:
    found = told(await progress([10, 20], [15, 25], [30], "events"))
    assert places(found) == [("event", 1), ("response", 1), ("event", 2)]


async def test_a_page_of_which_there_is_more_tells_something() -> None:
    assert places(told(await progress([50], [10], [20], "events", "responses", "lines"))) == [("response", 1)]


async def test_the_position_after_all_that_was_told_is_where_the_next_page_begins() -> None:
    position = Position(7, 3, 4)
    for one in told(await progress([10], [20], [30])):
        position = advanced(position, one)
    assert position == Position(1, 1, 10)


@pytest.mark.parametrize("position", [Position(), Position(12, 3, 456)])
def test_a_position_is_read_as_it_was_written(position: Position) -> None:
    assert parse_position(id_of(position)) == position


@pytest.mark.parametrize("text", ["", "v1", "v1.r2", "v1.r2.l-3", "v1.r2.l3\n", "V1.r2.l3", "v1.r2.l" + "9" * 16])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(CallerError) as refused:
        parse_position(text)
    assert refused.value.code == "invalid_position"


def test_a_message_has_its_id_its_name_and_one_line_of_json() -> None:
    written = message("event", "v1.r0.l0", {"text": "one\r\ntwo\n\nevent: finished\ndata: {}"})
    first, second, third, *end = written.decode().split("\n")
    assert (first, second, end) == ("id: v1.r0.l0", "event: event", ["", ""])
    assert json.loads(third.removeprefix("data: "))["text"].startswith("one\r\ntwo")
    assert "\r" not in written.decode()


def test_a_message_can_be_written_once_and_get_its_id_later() -> None:
    assert with_id("7", body_of("child", {"a": 1})) == b'id: 7\nevent: child\ndata: {"a":1}\n\n'
