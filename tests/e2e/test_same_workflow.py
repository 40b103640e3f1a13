"""One workflow, kept in memory or unloaded, in three languages: the same calls, the same result."""

from pathlib import Path

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, Json, execution_id
from tests.e2e.logs import normalised, whole_log
from tests.guests import manifest_entry

FIBOA = "testing:fibo/workflow.fiboa"
ID = execution_id(1)
SHORT, LONG = 60, 500
"""Calls. A workflow that is unloaded is run from its start at each of them, so fewer will do."""
IN_OTHER_LANGUAGES = (
    pytest.param("fibo-python", marks=pytest.mark.guests),
    pytest.param("fibo-js", marks=pytest.mark.guests),
)
Logs = dict[str, list[Json]]


def without_component(log: list[Json]) -> list[Json]:
    """Leave out which code the workflow ran on."""
    return [{k: v for k, v in event.items() if k not in ("component", "digest", "terms")} for event in normalised(log)]


def logs_of(daemon: Daemon, calls: int) -> Logs:
    """Run the workflow; give its logs and those of its children, as any run of it must have them."""
    daemon.start()
    assert daemon.api.call(ID, FIBOA, 10, calls) == {"ok": 55}
    logs = {one: without_component(log) for one, log in whole_log(daemon.api, ID).items()}
    assert daemon.terminate() == 0
    return logs


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> dict[int, Logs]:
    """The logs of so many calls that the workflow in WAT makes when it stays in memory."""
    found = {}
    for calls in (SHORT, LONG):
        daemon = Daemon(tmp_path_factory.mktemp("expected"), artifacts)
        daemon.write(manifest_entry("fibo-activity"), manifest_entry("fibo-workflow"))
        found[calls] = logs_of(daemon, calls)
        daemon.end()
    return found


def test_unloading_a_workflow_at_each_of_500_calls_changes_nothing(
    new_daemon: NewDaemon, expected: dict[int, Logs]
) -> None:
    daemon = new_daemon(manifest_entry("fibo-activity"), manifest_entry("fibo-workflow", on_block="unload"))
    assert logs_of(daemon, LONG) == expected[LONG]


@pytest.mark.parametrize("guest", IN_OTHER_LANGUAGES)
@pytest.mark.parametrize(("on_block", "calls"), [("hot", LONG), ("unload", SHORT)])
def test_the_same_workflow_in_another_language_makes_the_same_calls(
    new_daemon: NewDaemon, expected: dict[int, Logs], guest: str, on_block: str, calls: int
) -> None:
    daemon = new_daemon(manifest_entry("fibo-activity"), manifest_entry(guest, on_block=on_block))
    assert logs_of(daemon, calls) == expected[calls]


@pytest.mark.parametrize("guest", IN_OTHER_LANGUAGES)
def test_a_workflow_in_another_language_survives_a_kill(new_daemon: NewDaemon, guest: str) -> None:
    daemon = new_daemon(manifest_entry("fibo-activity"), manifest_entry(guest))
    daemon.start()
    daemon.api.submit(ID, FIBOA, 10, 60)
    daemon.api.until_version(ID, 45)
    daemon.kill()
    daemon.start()
    assert daemon.api.result(ID) == {"ok": 55}
    assert len(daemon.api.children(ID)) == 60


def test_a_workflow_that_calls_a_workflow_survives_a_kill(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(manifest_entry("fibo-activity"), manifest_entry("fibo-workflow"), manifest_entry("nested"))
    daemon.start()
    daemon.api.submit(ID, "testing:nested/outer.run", 10, 100)
    inner = daemon.api.until(ID, lambda event: event["type"] == "history_event" and "request" in event["event"])
    inner_id = inner["event"]["request"]["execution_id"]
    daemon.api.until_version(inner_id, 60)
    daemon.kill()
    daemon.start()
    assert daemon.api.result(ID) == {"ok": 55}
    assert daemon.api.children(ID) == [inner_id]
    assert len(daemon.api.children(inner_id)) == 100
