"""Several hosts on one PostgreSQL: work goes where its labels are offered, and what one makes active all follow."""

import json
from pathlib import Path

import pytest

from tests import guests
from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, execution_id

FIBO = "testing:fibo/fibo.fibo"


def of(host: str, database: str, *labels: str) -> str:
    """Give what is each host's own: the rest of `[daemon]`, and its executor."""
    listed = ", ".join(f'"{label}"' for label in labels)
    return f'host = "{host}"\ndatabase = {json.dumps(database)}\n[executor]\nmax_running = 10\nlabels = [{listed}]\n'


def ran_at(daemon: Daemon, execution: str) -> set[str]:
    """Give the hosts that locked an execution."""
    hosts = {one["executor_id"]: one["host"] for one in daemon.api.get("/v1/executors")["executors"]}
    return {hosts[event["executor_id"]] for event in daemon.api.events(execution) if event["type"] == "locked"}


@pytest.fixture
def pair(new_daemon: NewDaemon, postgres: str) -> tuple[Daemon, Daemon]:
    """Two hosts of which only the second offers a label that the activity requires, and only the first has code."""
    tables = [guests.manifest_entry("fibo-activity", labels=["gpu"]), guests.manifest_entry("fibo-workflow")]
    plain = new_daemon(of("plain", postgres), *tables)
    plain.start()
    gpu = new_daemon(of("special", postgres, "gpu"), *tables)
    gpu.start()
    return plain, gpu


def test_work_goes_to_the_host_that_offers_its_labels(pair: tuple[Daemon, Daemon]) -> None:
    plain, gpu = pair
    for number in range(1, 21):
        plain.api.submit(execution_id(number), FIBO, 10)
    for number in range(1, 21):
        assert plain.api.result(execution_id(number)) == {"ok": 55}
        assert ran_at(plain, execution_id(number)) == {"special"}
    body = {"ffqn": FIBO, "params": [10], "labels": ["arm"]}
    assert gpu.api.request("PUT", f"/v1/executions/{execution_id(50)}", body)[0] == 201
    for daemon, told in ((plain, 'of host "special" offers "gpu"'), (gpu, 'of host "plain" offers none')):
        (reason,) = daemon.api.get(f"/v1/executions/{execution_id(50)}/why")["reasons"]
        assert reason["code"] == "no_executor_offers"
        assert told in reason["text"]
    assert [daemon.terminate() for daemon in pair] == [0, 0]


def test_what_one_host_makes_active_all_hosts_run_when_its_reload_has_an_answer(
    pair: tuple[Daemon, Daemon], postgres: str, tmp_path: Path
) -> None:
    plain, gpu = pair
    code = tmp_path / "newer.wasm"
    code.write_bytes(guests.path("fibo-activity").read_bytes() + b"\x00\x02\x01x")
    digest = str(guests.build.digest(code))
    newer = guests.manifest_entry("fibo-activity", path=str(code), digest=digest, labels=["gpu"])
    plain.write(of("plain", postgres), newer, guests.manifest_entry("fibo-workflow"))
    run = plain.ctl("manifest", "reload")
    assert (run.code, "behind" in run.out) == (0, False)
    assert gpu.api.get("/v1/status")["generation"] == 2
    assert gpu.api.get("/v1/manifest")["hosts"] == [
        {"host": "plain", "generation": 2},
        {"host": "special", "generation": 2},
    ]
    plain.api.call(execution_id(1), FIBO, 10)
    (locked,) = [event for event in plain.api.events(execution_id(1)) if event["type"] == "locked"]
    assert locked["digest"] == digest
    assert ran_at(plain, execution_id(1)) == {"special"}
    assert gpu.terminate() == 0
    gpu.start()  # with its old file, which undoes nothing
    assert gpu.api.get("/v1/status")["generation"] == 2
    assert [one["subject"] for one in gpu.api.get("/v1/manifest")["drift"]] == ["manifest"]
    assert [daemon.terminate() for daemon in pair] == [0, 0]
