"""What the bench makes of its measurements."""

from xml.etree import ElementTree as ET

import pytest

from tests.bench.bars import Bar, Panel, svg
from tests.bench.measuring import Sample, percentile, row
from tests.bench.plots import render
from tests.bench.profiling import summary
from tests.bench.rows import Goal
from tests.bench.run import Run
from tests.bench.workloads import BY_DEFAULT, WORKLOADS

SVG = "{http://www.w3.org/2000/svg}"


def test_every_workload_says_what_it_measures_and_by_default_most_of_them_run() -> None:
    assert all(measure.__doc__ for measure in WORKLOADS.values())
    assert {"serial", "peers", "reload"} <= set(BY_DEFAULT) < set(WORKLOADS)


def measured(**workloads: list[dict[str, object]]) -> dict[str, object]:
    machine = {"cores": 2, "python": "3.11.7", "load": "load average 0.1"}
    return {"commit": "ab" * 20, "rounds": 5, "machine": machine, "workloads": workloads}


@pytest.mark.parametrize(
    ("goal", "value", "met"), [(Goal(5), 5, True), (Goal(5), 4, False), (Goal(5, most=True), 6, False)]
)
def test_a_goal_is_met_at_its_bound_and_on_its_side(goal: Goal, value: float, met: bool) -> None:
    assert goal.met(value) is met


def test_a_rate_to_reach_scales_with_a_slow_disk_and_not_with_a_fast_one() -> None:
    assert [Run().rate_goal(1_000, [raw]).bound for raw in (1_250, 2_500, 9_000)] == [500, 1_000, 1_000]


def test_rounds_are_summed_up_by_the_median_and_commits_by_operation() -> None:
    rounds = [Sample(10, seconds, [seconds / 10], 20, 4_096, 1 << 20) for seconds in (1.0, 2.0, 5.0)]
    summed = row("serial", "calls/s", rounds)
    assert (summed.value, summed.commits, summed.rss) == (5.0, 2.0, 1.0)
    assert summed.p50 == pytest.approx(200.0)


def test_a_percentile_is_one_of_the_values() -> None:
    assert [percentile([1.0, 2.0, 3.0], part) for part in (0.0, 0.5, 0.99, 1.0)] == [1.0, 2.0, 3.0, 3.0]


def test_the_longest_bar_of_a_panel_has_all_the_room_and_a_name_cannot_break_the_picture() -> None:
    panel = Panel("a & b", [Bar("<ours>", 200.0, ours=True), Bar("theirs", 100.0, ours=False)])
    root = ET.fromstring(svg([panel]))
    ours, theirs = (bar for bar in root.iter(f"{SVG}rect") if bar.get("class") in ("ours", "theirs"))
    assert float(ours.attrib["width"]) == pytest.approx(2 * float(theirs.attrib["width"]))
    assert "<ours>" in [text.text for text in root.iter(f"{SVG}text")]


def test_peers_are_drawn_without_the_ratios_between_them() -> None:
    rows = [
        {"name": f"{name}: steps one after the other", "value": value, "unit": "steps/s"}
        for name, value in (("obelisk", 1_000.0), ("DBOS, threads", 100.0))
    ]
    ratio = {
        "name": "obelisk / DBOS: steps",
        "value": 10.0,
        "unit": "x",
        "goal": {"bound": 5, "most": False, "met": True},
    }
    files = render(measured(peers=[*rows, ratio]))
    assert set(files) == {"peers.svg", "README.md"}
    assert "DBOS, threads" in files["peers.svg"]
    assert "/ DBOS" not in files["peers.svg"]
    assert "| obelisk / DBOS: steps | 10 | times |" in files["README.md"]


def test_a_goal_that_was_missed_is_said_in_the_table() -> None:
    missed = {"name": "serial", "value": 1.0, "unit": "calls/s", "goal": {"bound": 1_000, "most": False, "met": False}}
    assert "at least 1,000, missed" in render(measured(hot=[missed]))["README.md"]


def test_a_number_of_something_has_no_unit_in_the_table() -> None:
    row = {"name": "3 daemons: cores that the daemons used", "value": 1.2}
    assert "| 3 daemons: cores that the daemons used | 1.2 |  |" in render(measured(pg=[row]))["README.md"]


def test_a_profile_counts_a_function_that_calls_itself_once_for_each_stack() -> None:
    ours = "a (obelisk_daemon/ids.py)"
    text = summary(f"thread;{ours};b;{ours} 30\nthread;{ours} 10\nthread;b 40\n")
    threads, alone, within = text.split("\n\n")
    assert threads.splitlines()[1:] == [" 100.0 %  thread"]
    assert alone.splitlines()[1:] == [f"  50.0 %  {ours}", "  50.0 %  b"]
    assert within.splitlines()[1:] == [f"  50.0 %  {ours}"]
