"""Each way in which a guest can mean harm ends as a clear failure within its limit, and the others go on."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.daemon import Daemon, Json, execution_id, running
from tests.guests import manifest_entry
from tests.hostile.guests import ESCAPES_LENGTH, HOSTILE

FIBO = "testing:fibo/fibo.fibo"
LOG_BYTES = 1 << 20
PEAK = 700 << 20
"""Bytes of memory that the daemon never gets to, whatever the guests do: the largest limit is 256 MiB, and one value
that is handed over may come to 128 MiB more. It took 4 GiB while tables were not bounded."""


class Zoo:
    """A daemon with all of them, beside an activity that means no harm."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.id = ""
        self._numbers = count(1)

    def ends(self, name: str) -> None:
        """Run a guest, and see that it ends as it must while another execution is started and finished."""
        hostile = HOSTILE[name]
        result = self.run(name)
        if hostile.ends is None:
            assert result == {"ok": 7}
            assert hostile.says in self.lines()[-1]
        else:
            failure = result["execution_failure"]
            assert (failure["kind"], hostile.says in failure["reason"]) == (hostile.ends, True), failure

    def run(self, name: str) -> Json:
        """Run a guest to its end, and another beside it."""
        self.id, other = execution_id(next(self._numbers)), execution_id(next(self._numbers))
        api = self.daemon.api
        api.submit(self.id, f"test:hostile/{name}.run")
        assert api.call(other, FIBO, 10) == {"ok": 55}
        return api.result(self.id)

    def lines(self) -> list[str]:
        """Give the lines of the last guest's log."""
        found: list[str] = []
        page: Json = {"next": 0, "logs": None}
        while page["logs"] != []:
            page = self.daemon.api.get(f"/v1/executions/{self.id}/logs", limit=500, after=page["next"])
            found += [line["message"] for line in page["logs"]]
        return found


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Iterator[Zoo]:
    directory = tmp_path_factory.mktemp("hostile")
    tables = [hostile.entry(name, directory) for name, hostile in HOSTILE.items()]
    with running(directory / "daemon", artifacts, manifest_entry("fibo-activity"), *tables) as daemon:
        yield Zoo(daemon)


def test_a_guest_that_spins_is_ended_by_its_timeout(zoo: Zoo) -> None:
    zoo.ends("spin")


def test_a_guest_that_spins_while_it_is_started_is_ended_by_its_timeout(zoo: Zoo) -> None:
    zoo.ends("spin-at-start")


def test_a_workflow_that_spins_is_ended_by_its_fuel(zoo: Zoo) -> None:
    zoo.ends("spin-workflow")


def test_recursion_without_end_is_a_trap_and_leaves_the_daemons_stack_alone(zoo: Zoo) -> None:
    zoo.ends("recursion")
    zoo.ends("recursion-in-a-workflow")


def test_memory_does_not_grow_beyond_its_limit(zoo: Zoo) -> None:
    zoo.ends("memory")


def test_a_memory_that_begins_beyond_its_limit_is_out_of_memory(zoo: Zoo) -> None:
    zoo.ends("memory-at-once")


def test_more_memories_than_the_limit_are_out_of_memory(zoo: Zoo) -> None:
    zoo.ends("memories")


def test_a_heap_of_collected_objects_is_bounded_as_a_memory_is(zoo: Zoo) -> None:
    zoo.ends("heap")


def test_tables_do_not_grow_beyond_their_limit(zoo: Zoo) -> None:
    zoo.ends("table")


def test_more_tables_than_the_limit_are_out_of_memory(zoo: Zoo) -> None:
    zoo.ends("tables")


def test_a_table_that_begins_beyond_its_limit_is_out_of_memory(zoo: Zoo) -> None:
    zoo.ends("table-at-once")


def test_more_instances_than_the_limit_are_out_of_memory(zoo: Zoo) -> None:
    zoo.ends("instances")


def test_a_flood_of_host_calls_ends_at_the_limit(zoo: Zoo) -> None:
    zoo.ends("host-calls")


def test_a_hoard_of_host_resources_ends_at_the_limit(zoo: Zoo) -> None:
    zoo.ends("resources")


def test_a_value_beyond_the_limit_ends_its_guest(zoo: Zoo) -> None:
    zoo.ends("huge-value")


def test_a_value_as_large_as_a_memory_is_not_even_read(zoo: Zoo) -> None:
    zoo.ends("enormous-value")


def test_a_value_that_lies_outside_of_the_memory_is_a_trap(zoo: Zoo) -> None:
    zoo.ends("value-out-of-bounds")


def test_text_that_is_no_unicode_is_a_trap(zoo: Zoo) -> None:
    zoo.ends("text-that-is-none")


@pytest.mark.parametrize("name", ["logs", "logs-of-a-workflow"])
def test_a_flood_of_logs_is_cut_off_at_the_limit(zoo: Zoo, name: str) -> None:
    zoo.ends(name)
    assert sum(len(line) for line in zoo.lines()) < LOG_BYTES


def test_a_flood_of_empty_lines_is_cut_off_by_what_the_lines_cost(zoo: Zoo) -> None:
    zoo.ends("empty-lines")
    assert len(zoo.lines()) <= LOG_BYTES / 64


def test_a_flood_of_terminal_escapes_is_cut_off_and_reaches_no_terminal_as_such(zoo: Zoo) -> None:
    zoo.ends("output")
    lines = zoo.lines()
    assert sum(len(line.encode()) for line in lines) < LOG_BYTES < 1_000 * ESCAPES_LENGTH
    assert "\x1b]0;owned\x07\x1b[2J" in lines[0]  # the API gives what was written
    shown = zoo.daemon.ctl("logs", zoo.id).out
    assert r"\x1b]0;owned\x07\x1b[2J" in shown
    assert not {character for character in shown if character < " " or "\x7f" <= character < "\xa0"} - {"\n"}


def test_all_at_once_end_as_each_does_alone(zoo: Zoo) -> None:
    api = zoo.daemon.api
    ids = {execution_id(number): name for number, name in enumerate(HOSTILE, 1_000)}
    for known, name in ids.items():
        api.submit(known, f"test:hostile/{name}.run")
    ended = {name: api.result(known).get("execution_failure", {}).get("kind") for known, name in ids.items()}
    assert ended == {name: hostile.ends for name, hostile in HOSTILE.items()}


def test_after_all_of_them_the_daemon_has_used_no_more_memory_than_their_limits_allow(zoo: Zoo) -> None:
    for name in HOSTILE:
        zoo.run(name)
    status = Path(f"/proc/{zoo.daemon.process.pid}/status").read_text()
    (peak,) = [int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM")]
    assert peak < PEAK
    assert zoo.daemon.ctl("status").code == 0
