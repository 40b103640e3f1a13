"""The dashboard and the alerts name metrics and labels that there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from obelisk_daemon.metrics import Metrics

MONITORING = Path(__file__).resolve().parents[3] / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text())
RULES = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
LABELS = {one.name: set(one.labels) for one in Metrics().instruments()}
ADDED = {"instance", "job"}
"""By Prometheus."""
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
NAME = r"\b(?:obelisk|process|python)_[a-z_]+"


class Expression(NamedTuple):
    """A query, and where it is."""

    place: str
    text: str


def every_expression() -> Iterator[Expression]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield Expression(panel["title"], target["expr"])
    for annotation in DASHBOARD["annotations"]["list"]:
        yield Expression(annotation["name"], annotation["expr"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield Expression(variable["name"], variable["query"]["query"])
    for rule in RULES:
        yield Expression(rule["alert"], rule["expr"])


EXPRESSIONS = list(every_expression())

SAMPLES = {family.name: family.type for family in Metrics().registry.collect()}


def place_of(value: object) -> str:
    return value.place if isinstance(value, Expression) else str(value)


def names_of_samples() -> set[str]:
    """Give all names that samples may have."""
    found = set()
    for name, kind in SAMPLES.items():
        found |= {f"{name}_{end}" for end in ("bucket", "sum", "count")} if kind == "histogram" else set()
        found.add(f"{name}_total" if kind == "counter" else name)
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=place_of)
def test_a_query_names_metrics_that_there_are(expression: Expression) -> None:
    named = set(re.findall(NAME, expression.text))
    assert named <= names_of_samples()
    assert named or expression.text in ("vector(1)", 'up{job="obeliskd"} == 0 or absent(up{job="obeliskd"})')


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=place_of)
def test_a_query_asks_for_labels_that_the_metric_has(expression: Expression) -> None:
    for name, matchers in re.findall(rf"({NAME})\{{([^}}]*)\}}", expression.text):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        for label in re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", matchers):
            assert label in LABELS.get(base, set()) | ADDED


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_is_how_bad_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("none", "info", "warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["annotations"]["description"].endswith(".")
    assert rule["annotations"]["runbook"].endswith(".")
    waits = "for" in rule or "increase(" in rule["expr"] or "changes(" in rule["expr"]
    assert waits or rule["alert"] == "ObeliskWatchdog"


def test_every_metric_of_our_own_is_on_the_dashboard_or_said_not_to_be() -> None:
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for one in EXPRESSIONS for name in re.findall(NAME, one.text)}
    assert set(LABELS) - shown == {"obelisk_manifest_stages_total"}  # the verdicts and refusals tell it shorter


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_has_a_unit_a_description_and_the_chosen_source(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    sources = [panel["datasource"], *[target["datasource"] for target in panel["targets"]]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_panels_have_places_of_their_own_and_ids_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
