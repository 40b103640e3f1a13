"""Code that changes while 200 workflows are under way: hot, out of memory, and asleep."""

import json
from collections.abc import Callable

import pytest

from tests import guests
from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, Json, execution_id
from tests.e2e.variants import digest_of, entry, variant

FIBOA, OUTER, NAP = "testing:fibo/workflow.fiboa", "testing:nested/outer.run", "testing:sleeper/sleeper.nap"
HOT, UNLOADED, ASLEEP = range(1, 101), range(101, 151), range(151, 201)
NAP_MILLISECONDS = 5_000
WORKFLOWS = ("fibo-workflow", "nested", "sleeper")
ON_BLOCK = {"fibo-workflow": "hot", "nested": "unload", "sleeper": "hot"}
Codes = dict[str, bytes]


def held(offered: bool) -> str:
    """Give the executor: without its label, the activity is run by nobody."""
    return f"[executor]\nlabels = {json.dumps(['held'] if offered else [])}\n"


def tables(daemon: Daemon, codes: Codes, *, offered: bool = False, **settings: object) -> list[str]:
    activity = entry(daemon, "fibo-activity", codes["fibo-activity"], labels=["held"])
    workflows = [entry(daemon, name, codes[name], on_block=ON_BLOCK[name], **settings) for name in WORKFLOWS]
    return [held(offered), activity, *workflows]


def codes(mark: str | None = None) -> Codes:
    """Give the code of all components; with a mark, under other digests."""
    names = ("fibo-activity", *WORKFLOWS)
    return {name: guests.path(name).read_bytes() if mark is None else variant(name, mark) for name in names}


@pytest.fixture
def under_way(new_daemon: NewDaemon) -> Daemon:
    """Run a daemon with 200 workflows that wait: for an activity that nobody may run, for a child, for a timer."""
    daemon = new_daemon()
    daemon.write(*tables(daemon, codes()))
    daemon.start()
    for number in HOT:
        daemon.api.submit(execution_id(number), FIBOA, 10, 3)
    for number in UNLOADED:
        daemon.api.submit(execution_id(number), OUTER, 10, 2)
    for number in ASLEEP:
        daemon.api.submit(execution_id(number), NAP, NAP_MILLISECONDS)
    for number in (*HOT, *UNLOADED, *ASLEEP):
        daemon.api.until(execution_id(number), lambda event: event.get("event", {}).get("type") == "join_next")
    return daemon


def reload(daemon: Daemon, *arguments: str) -> Json:
    run = daemon.ctl("manifest", "reload", *arguments, "--json")
    document: Json = json.loads(run.out)
    assert run.code == 0, run
    return document


def plan(daemon: Daemon, *manifest: str) -> Json:
    """Have a manifest planned that is in another file, so that the daemon does not take it up by itself."""
    active = daemon.manifest.read_bytes()
    daemon.write(*manifest)
    other = daemon.manifest.rename(daemon.directory / "next.toml")
    daemon.manifest.write_bytes(active)
    run = daemon.ctl("manifest", "plan", str(other), "--json")
    document: Json = json.loads(run.out)
    assert run.code == 2, run
    return document


def upgrades(events: list[Json]) -> list[tuple[bool, str]]:
    return [(event["ok"], event["digest"]) for event in events if event["type"] == "component_upgraded"]


def locks(events: list[Json]) -> list[str]:
    return [event["digest"] for event in events if event["type"] == "locked"]


def name_of(number: int) -> str:
    return "fibo-workflow" if number in HOT else "nested" if number in UNLOADED else "sleeper"


def all_finish(daemon: Daemon, holds: Callable[[int, list[Json]], None]) -> None:
    for number in (*HOT, *UNLOADED, *ASLEEP):
        known = execution_id(number)
        assert "ok" in daemon.api.result(known), number
        holds(number, daemon.api.events(known))


def test_compatible_code_takes_over_all_workflows_and_the_next_attempts(under_way: Daemon) -> None:
    new = codes("v2")
    planned = plan(under_way, *tables(under_way, new, offered=True))
    changes = {change["name"]: change for change in planned["components"]}
    moving = {name: changes[name]["replay"]["can_move"] for name in WORKFLOWS}
    assert moving == {"fibo-workflow": 150, "nested": 50, "sleeper": 50}, changes
    under_way.write(*tables(under_way, new, offered=True))
    assert reload(under_way, "--plan", planned["token"])["generation"] == 2

    def moved(number: int, events: list[Json]) -> None:
        name = name_of(number)
        assert upgrades(events) == [(True, digest_of(new[name]))]
        assert locks(events) == [digest_of(guests.path(name).read_bytes()), digest_of(new[name])]

    all_finish(under_way, moved)
    for number in HOT:
        for child in under_way.api.children(execution_id(number)):
            assert locks(under_way.api.events(child)) == [digest_of(new["fibo-activity"])]
    assert under_way.terminate() == 0


def test_diverging_code_moves_none_and_they_end_on_the_code_they_have(under_way: Daemon) -> None:
    old = codes()
    new = old | {"fibo-workflow": guests.path("fiboa-reordered").read_bytes()}
    planned = plan(under_way, *tables(under_way, new, offered=True))
    (change,) = planned["components"]
    replay = change["replay"]
    assert (replay["can_move"], replay["diverge"], replay["unknown"]) == (0, 150, 0)
    assert "diverges at version 3" in replay["first_divergence"]["message"]
    under_way.write(*tables(under_way, new, offered=True))
    assert reload(under_way)["generation"] == 2

    def stayed(number: int, events: list[Json]) -> None:
        name = name_of(number)
        expected = [(False, digest_of(new[name]))] if name == "fibo-workflow" else []
        assert upgrades(events) == expected
        assert set(locks(events)) == {digest_of(old[name]), *(digest for _, digest in expected)}
        assert locks(events)[-1] == digest_of(old[name])

    all_finish(under_way, stayed)
    fresh = execution_id(999)
    assert under_way.api.call(fresh, FIBOA, 10, 1) == {"ok": 55}
    assert set(locks(under_way.api.events(fresh))) == {digest_of(new["fibo-workflow"])}
    assert under_way.terminate() == 0


def test_settings_take_effect_and_leave_hot_workflows_in_memory(under_way: Daemon) -> None:
    under_way.write(*tables(under_way, codes(), offered=True, max_retries=1))
    assert reload(under_way)["generation"] == 2
    all_finish(under_way, lambda number, events: None if number in UNLOADED else _locked_once(events))
    assert under_way.terminate() == 0


def _locked_once(events: list[Json]) -> None:
    assert len(locks(events)) == 1
