"""The names of all metrics keep the conventions of Prometheus."""

import re

import pytest
from prometheus_client.metrics_core import Metric

from obelisk_daemon.metrics import Metrics

FAMILIES = [family for family in Metrics().registry.collect() if family.name.startswith("obelisk")]
BASE_UNITS = ("seconds", "bytes", "info")
OTHER_UNITS = r"(_milliseconds|_ms|_micros|_minutes|_hours|_days|_kb|_mb|_kib|_mib|_percent)(_|$)"


def name_of(family: Metric) -> str:
    return family.name


@pytest.mark.parametrize("family", FAMILIES, ids=name_of)
def test_a_metric_says_what_it_is_in_a_sentence(family: Metric) -> None:
    assert re.fullmatch(r"[A-Z].{15,}\.", family.documentation)


@pytest.mark.parametrize("family", FAMILIES, ids=name_of)
def test_a_metric_has_a_name_in_base_units(family: Metric) -> None:
    assert re.fullmatch(r"obelisk(_[a-z]+)+", family.name)
    assert not re.search(OTHER_UNITS, family.name)
    assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))  # a counter's samples get their _total
    if family.type == "histogram" and not family.name.endswith(BASE_UNITS):
        assert family.name == "obelisk_storage_commit_transactions"


def test_there_are_metrics_of_each_part() -> None:
    parts = {family.name.split("_")[1] for family in FAMILIES}
    assert parts >= {"executions", "queue", "attempts", "storage", "manifest", "egress", "api", "loop", "compile"}
