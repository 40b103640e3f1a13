"""Several executors in one daemon: work goes where its labels are offered, also when these change."""

from tests import guests
from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, execution_id

FIBO, FIBOA = "testing:fibo/fibo.fibo", "testing:fibo/workflow.fiboa"


def executors(*gpu: str) -> str:
    labels = ", ".join(f'"{label}"' for label in gpu)
    return f'[[executor]]\nname = "plain"\nmax_running = 2\n[[executor]]\nname = "special"\nlabels = [{labels}]\n'


def ran_on(daemon: Daemon, number: int) -> set[str]:
    names = {one["executor_id"]: one["name"] for one in daemon.api.get("/v1/status")["executors"]}
    events = daemon.api.events(execution_id(number))
    return {names[event["executor_id"]] for event in events if event["type"] == "locked"}


def test_work_goes_to_the_executor_that_offers_its_labels(new_daemon: NewDaemon) -> None:
    tables = (guests.manifest_entry("fibo-activity", labels=["gpu"]), guests.manifest_entry("fibo-workflow"))
    daemon = new_daemon(executors("gpu", "eu"), *tables)
    daemon.start()
    for number in range(1, 21):
        daemon.api.submit(execution_id(number), FIBOA, 10, 5)
    for number in range(1, 21):
        assert daemon.api.result(execution_id(number)) == {"ok": 55}
        for child in daemon.api.children(execution_id(number)):
            (locked,) = [event for event in daemon.api.events(child) if event["type"] == "locked"]
            special = daemon.api.get("/v1/status")["executors"][1]
            assert locked["executor_id"] == special["executor_id"]
    body = {"ffqn": FIBO, "params": [10], "labels": ["eu", "us"]}
    assert daemon.api.request("PUT", f"/v1/executions/{execution_id(50)}", body)[0] == 201
    daemon.api.call(execution_id(51), FIBO, 10)
    assert daemon.api.show(execution_id(50))["state"] == "pending_at"
    daemon.write(executors("gpu", "eu", "us"), *tables)
    assert daemon.ctl("manifest", "reload").code == 0
    assert daemon.api.result(execution_id(50)) == {"ok": 55}
    assert ran_on(daemon, 50) == {"special"}
    assert daemon.terminate() == 0


def test_an_executor_that_comes_needs_a_restart(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(guests.manifest_entry("fibo-activity"))
    daemon.start()
    daemon.expected_errors.add("manifest_refused")
    daemon.write(executors("gpu"), guests.manifest_entry("fibo-activity"))
    run = daemon.ctl("manifest", "reload")
    assert run.code == 78
    assert "restart_only]: executor.special changes" in run.err
    assert daemon.terminate() == 0
    daemon.start()
    assert [one["name"] for one in daemon.api.get("/v1/status")["executors"]] == ["plain", "special"]
    assert daemon.terminate() == 0
