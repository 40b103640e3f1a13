"""The table of host objects that a guest holds handles to."""

import pytest

from obelisk_daemon.wasm.resources import GuestStopped, Resources


class Thing:
    def __init__(self, name: str, log: list[str], error: Exception | None = None) -> None:
        self.name = name
        self.log = log
        self.error = error

    def drop(self) -> None:
        self.log.append(self.name)
        if self.error:
            raise self.error


def test_numbers_are_never_used_twice() -> None:
    table = Resources(10)
    first = table.new(object())
    table.drop(first)
    assert table.new(object()) != first


def test_what_was_taken_is_gone_and_not_dropped() -> None:
    table, log = Resources(10), list[str]()
    thing = Thing("a", log)
    number = table.new(thing)
    assert table.get(number) is thing
    assert table.take(number) is thing
    assert log == []
    with pytest.raises(GuestStopped, match="already given up"):
        table.get(number)


def test_dropping_twice_drops_once() -> None:
    table, log = Resources(10), list[str]()
    number = table.new(Thing("a", log))
    table.drop(number)
    table.drop(number)
    assert log == ["a"]


def test_a_full_table_stops_the_guest() -> None:
    table = Resources(1)
    table.new(object())
    with pytest.raises(GuestStopped, match="more than 1 resources") as caught:
        table.new(object())
    assert caught.value.kind == "resources"


def test_all_are_dropped_newest_first_even_when_some_fail() -> None:
    table, log = Resources(10), list[str]()
    for name in "abc":
        table.new(Thing(name, log, ValueError(name) if name != "a" else None))
    with pytest.raises(ExceptionGroup) as caught:
        table.clear()
    assert log == ["c", "b", "a"]
    assert [str(error) for error in caught.value.exceptions] == ["c", "b"]
    assert len(table) == 0
