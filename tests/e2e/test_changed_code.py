"""A workflow whose code changed under it stops before it goes wrong, and goes on with the code it knows."""

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, Json, execution_id
from tests.guests import digest, manifest_entry

FIBOA = "testing:fibo/workflow.fiboa"
ID = execution_id(1)
CALLS = 200


def tables(workflow: str, **settings: object) -> tuple[str, str]:
    """Give the manifest with this code for the one workflow there is."""
    entry = manifest_entry(workflow, name="fibo-workflow", on_upgrade="force", **settings)
    return manifest_entry("fibo-activity"), entry


def stopped_in_the_middle(new_daemon: NewDaemon, *, kill: bool) -> Daemon:
    """Run the workflow until about its fiftieth call, and end the daemon."""
    daemon = new_daemon(*tables("fibo-workflow"))
    daemon.start()
    daemon.api.submit(ID, FIBOA, 10, CALLS)
    daemon.api.until_version(ID, 150)
    if kill:
        daemon.kill()
    else:
        assert daemon.terminate() == 0
    return daemon


def paused(daemon: Daemon) -> Json:
    """Wait until the workflow is paused; give the event."""
    return daemon.api.until(ID, lambda event: event["type"] == "paused")


@pytest.mark.parametrize(
    ("changed", "version", "expected", "got", "kill"),
    [
        ("fiboa-reordered", 3, "testing:fibo/fibo.fibo", "delay", True),
        ("fiboa-changed", 6, "with [10]", "with [11]", False),
    ],
    ids=["reordered, killed", "changed, stopped"],
)
def test_changed_code_pauses_the_workflow_and_the_former_code_ends_it(
    new_daemon: NewDaemon, changed: str, version: int, expected: str, got: str, kill: bool
) -> None:
    daemon = stopped_in_the_middle(new_daemon, kill=kill)
    daemon.write(*tables(changed))
    daemon.start()
    event = paused(daemon)
    assert event["reason"] == "nondeterminism"
    assert event["digest"] == digest(changed)
    message = event["message"]
    assert message.startswith(f"at version {version}: expected ")
    told = message.partition(", got ")
    assert expected in told[0]
    assert got in told[2]
    shown = daemon.api.show(ID)
    assert (shown["state"], shown["lifecycle"], shown["pause_reason"]) == ("pending_at", "paused", "nondeterminism")
    assert shown["failure"]["kind"] == "nondeterminism"
    assert shown["failure"]["message"] == shown["pause_message"] == message
    assert daemon.api.get(f"/v1/failures/{event['failure_id']}")["message"] == message
    for command in ("show", "events"):
        assert message in daemon.ctl(command, ID).out

    assert daemon.terminate() == 0
    daemon.write(*tables("fibo-workflow"))
    daemon.start()
    assert daemon.api.result(ID) == {"ok": 55}
    log = daemon.api.events(ID)
    assert [e["type"] for e in log].count("paused") == 1
    assert [e["type"] for e in log].count("unpaused") == 1
    assert len(daemon.api.children(ID)) == CALLS
    for child in daemon.api.children(ID)[:45]:
        assert [e["type"] for e in daemon.api.events(child)] == ["created", "locked", "finished"]


def test_a_paused_workflow_stays_paused_while_the_code_stays(new_daemon: NewDaemon) -> None:
    daemon = stopped_in_the_middle(new_daemon, kill=True)
    daemon.write(*tables("fiboa-changed"))
    daemon.start()
    paused(daemon)
    log = daemon.api.events(ID)
    daemon.kill()
    daemon.start()
    assert daemon.process.until_logged("recovered")["lifted_pauses"] == 0
    # What is submitted later runs: the daemon has had its time for the paused one.
    assert daemon.api.call(execution_id(2), FIBOA, 10, 0) == {"ok": 0}
    assert daemon.api.events(ID) == log
    assert daemon.api.show(ID)["lifecycle"] == "paused"


def test_a_workflow_that_may_not_pause_fails_with_the_same_message(new_daemon: NewDaemon) -> None:
    daemon = stopped_in_the_middle(new_daemon, kill=True)
    daemon.write(*tables("fiboa-changed", on_nondeterminism="fail"))
    daemon.start()
    failure = daemon.api.result(ID)["execution_failure"]
    assert failure["kind"] == "nondeterminism"
    assert failure["reason"].startswith("at version 6: expected ")
