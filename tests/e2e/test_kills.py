"""A daemon that is killed again and again ends with what an undisturbed one ends with."""

import os
import random
from collections import Counter

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, Json, execution_id
from tests.e2e.logs import is_about_locks, normalised, whole_log
from tests.guests import manifest_entry

FIBOA = "testing:fibo/workflow.fiboa"
CALLS = 500
KILLS = 20
ID = execution_id(1)
EVENTS_PER_CALL = 3
"""Of the parent: a join set, a request, a join."""
PATIENT = manifest_entry("fibo-activity", max_retries=100, backoff={"initial": "20ms", "max": "20ms"})
"""A lost attempt is counted, and by chance one activity may be hit by several kills."""
SOAK = bool(os.environ.get("OBELISK_SOAK"))


def finished_in(daemon: Daemon, name: str) -> dict[str, tuple[int, int]]:
    """Give what has finished by the database of a dead daemon, with its version and the time."""
    with daemon.snapshot(name) as database:
        rows = database.execute("SELECT execution_id, version, changed_at FROM execution WHERE status = 'finished'")
        finished = {row[0]: (row[1], row[2]) for row in rows}
    database.close()
    return finished


def killed_at(daemon: Daemon, version: int, name: str) -> dict[str, tuple[int, int]]:
    """Kill the daemon as soon as the workflow's log has come to a version; give what had finished by then."""
    daemon.api.until_version(ID, version)
    daemon.kill()
    return finished_in(daemon, name)


def attempts(log: list[Json]) -> Counter[str]:
    return Counter(event["type"] for event in log)


@pytest.mark.parametrize("seed", range(10 if SOAK else 1))
def test_a_workflow_that_is_killed_twenty_times_ends_as_if_nothing_had_happened(
    new_daemon: NewDaemon, seed: int
) -> None:
    tables = PATIENT, manifest_entry("fibo-workflow")
    undisturbed, daemon = new_daemon(*tables), new_daemon(*tables)
    undisturbed.start()
    assert undisturbed.api.call(ID, FIBOA, 10, CALLS) == {"ok": 55}
    expected = whole_log(undisturbed.api, ID)
    assert undisturbed.terminate() == 0

    points = sorted(random.Random(seed).sample(range(2, int(CALLS * EVENTS_PER_CALL * 0.9)), KILLS))
    finished: dict[str, tuple[int, int]] = {}
    daemon.start()
    daemon.api.submit(ID, FIBOA, 10, CALLS)
    for number, point in enumerate(points):
        now = killed_at(daemon, point, f"kill-{number}")
        assert ID not in now, f"kill {number} came too late"
        assert finished.items() <= now.items(), "something happened to what had finished before an earlier kill"
        finished = now
        daemon.start()
    assert len(finished) > CALLS // 2, "the last kill came too early to show anything"

    assert daemon.api.result(ID) == {"ok": 55}
    found = whole_log(daemon.api, ID)
    assert len(found) == CALLS + 2
    assert not any(event["type"] == "paused" for log in found.values() for event in log), "an innocent was quarantined"
    assert {one: normalised(log) for one, log in found.items()} == {
        one: normalised(log) for one, log in expected.items()
    }
    for child in daemon.api.children(ID):
        log = found[child]
        counted = attempts(log)
        assert counted["finished"] == 1
        assert log[-1]["type"] == "finished"
        assert counted["locked"] == 1 + counted["temporarily_timed_out"] + counted["unlocked"]
        if child in finished:
            assert len(log) == finished[child][0], "an activity that had finished before a kill was touched again"
    again = [child for child in daemon.api.children(ID) if attempts(found[child])["locked"] > 1]
    assert len(again) <= KILLS, "only what ran when a kill came may be run again"
    assert sum(is_about_locks(event) for event in found[ID]) > 1, "no kill has left a trace"
    assert (
        len({event["executor_id"] for log in found.values() for event in log if event["type"] == "locked"}) > KILLS // 2
    )


@pytest.mark.parametrize("seed", range(10 if SOAK else 1))
@pytest.mark.parametrize("on_block", ["hot", "unload"])
def test_many_workflows_on_few_slots_survive_kills_at_random_moments(
    new_daemon: NewDaemon, on_block: str, seed: int
) -> None:
    workflows, calls, chance = [execution_id(number) for number in range(40)], 15, random.Random(seed)
    slots = "[executor]\nmax_running = 5"
    daemon = new_daemon(slots, PATIENT, manifest_entry("fibo-workflow", on_block=on_block))
    daemon.start()
    for workflow in workflows:
        daemon.api.submit(workflow, FIBOA, 10, calls)
    finished: dict[str, tuple[int, int]] = {}
    for number in range(3):
        daemon.api.until_version(chance.choice(workflows[-10:]), 2 + 12 * number + chance.randrange(12))
        daemon.kill()
        now = finished_in(daemon, f"kill-{number}")
        assert not set(workflows[-10:]) <= set(now), f"kill {number} came too late"
        assert finished.items() <= now.items(), "something happened to what had finished before an earlier kill"
        finished = now
        daemon.start()
    for workflow in workflows:
        assert daemon.api.result(workflow) == {"ok": 55}
        children = daemon.api.children(workflow)
        assert len(children) == calls
        assert sorted(r["execution_id"] for r in daemon.api.responses(workflow)) == sorted(children)
        for child in children:
            counted = attempts(daemon.api.events(child))
            assert counted["finished"] == 1
            assert counted["locked"] == 1 + counted["temporarily_timed_out"] + counted["unlocked"]
            if child in finished:
                assert daemon.api.show(child)["version"] == finished[child][0]
