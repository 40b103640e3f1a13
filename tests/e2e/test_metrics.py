"""`/metrics` of a real daemon that has done some work."""

import http.client
import re
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, _UnixConnection, execution_id
from tests.guests import manifest_entry

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
RUN = "testing:fibo/workflow.fiboa"


def scrape(daemon: Daemon) -> str:
    connection: http.client.HTTPConnection = _UnixConnection(str(daemon.state_dir / "api.sock"))
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == 200
    return text


def families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_a_daemon_shows_what_it_did_in_valid_text(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(manifest_entry("fibo-activity"), manifest_entry("fibo-workflow"))
    daemon.start()
    assert daemon.api.call(execution_id(1), RUN, 10, 3) == {"ok": 55}
    text = scrape(daemon)
    assert daemon.terminate() == 0
    found = families(text)
    for name in found:  # what promtool looks for, and that no family comes in two parts
        kind = found[name].type
        printed = f"{name}_total" if kind == "counter" else name
        assert len(re.findall(rf"^# HELP {printed} .+$", text, re.MULTILINE)) == 1
        assert len(re.findall(rf"^# TYPE {printed} {kind}$", text, re.MULTILINE)) == 1
    finished = {
        (one.labels["component"], one.labels["outcome"]): one.value
        for one in found["obelisk_executions_finished"].samples
    }
    assert finished == {("fibo-activity", "ok"): 3, ("fibo-workflow", "ok"): 1}
    assert found["obelisk_ready"].samples[0].value == 1
    assert found["obelisk_storage_wal_bytes"].samples[0].value > 0
    assert "E_0" not in text
    assert RUN not in text


def test_the_dashboard_and_the_alerts_find_what_they_ask_for(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(manifest_entry("fibo-activity"))
    daemon.start()
    found = families(scrape(daemon))
    assert daemon.terminate() == 0
    for file in ("grafana-dashboard.json", "alerts.yml"):
        for name in set(re.findall(r"\b(?:obelisk|process|python)_[a-z_]+", (MONITORING / file).read_text())):
            assert name in found or re.sub("_(total|bucket|sum|count)$", "", name) in found, f"{file}: {name}"
