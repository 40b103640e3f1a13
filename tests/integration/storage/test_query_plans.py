"""Every statement finds its rows by an index: what a daemon does all day must not slow down as executions end."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from obelisk_daemon.storage.sqlite.queries import SQL
from obelisk_daemon.storage.sqlite.schema import open_for_writing

UNFINISHED = "USING INDEX execution_unfinished"
SMALL = {
    "describe_executor",
    "read_allowed",
    "active_generation",
    "counts",
    "work_in_progress",
    "read_queue_limits",
    "queue_room",
    "read_queue_lengths",
    "executors",
    "forget_executors",
    "hosts",
    "forget_hosts",
    "end_leases_of_hosts",
    "end_leases_of_executors",
    "declare_dead",
    "dead_holders",
    "functions_requiring",
    "half_removed",
    "due_suspects",
    "next_suspect",
    "acquit_who_went_on",
    "unneeded_code",
    "stored_digests",
    "component_bytes",
    "count_generations",
}
"""Tables of a few rows, and walks over the unfinished."""
PER_TABLE = {name for name in SQL if name.startswith(("orphans_", "rows_of_"))}
"""Statements to which the name of a table is given; how long `rows_of` may take is bounded (see `measuring`)."""
CHECKS = {"count_executions", "all_executions", "newest_executions", "parentless", "late_delays", "codeless"} | {
    "wrong_queue_lengths"
}
"""Of a check, which reads whole tables in a process of its own."""
FEW_ROWS = tuple(f"SCAN {name} " for name in ("json_each", "q", "CONSTANT ROW", "ranks", "found", "wanted", "w", "t"))
"""Lists that are given, the one row that a statement has found, the ten priorities, tags of one execution."""
COVERED = "USING COVERING INDEX execution_unfinished"
PLACE = "created_at>? AND (created_at,execution_id)<(?,?)"
QUEUE = "USING INDEX execution_queue"
DUE = "(due_at,execution_id)>(?,?) AND due_at<?"
INDEXED = {
    "next_queue": f"SEARCH execution {QUEUE} ((rank,ffqn,labels,due_at)>(?,?,?,?))",
    "due_in_queue": f"SEARCH execution {QUEUE} (rank=? AND ffqn=? AND labels=? AND {DUE})",
    "locked_of": f"SEARCH execution {UNFINISHED} (status=?)",
    "liftable": f"SEARCH e {UNFINISHED} (status=?)",
    "eviction_victim": "SEARCH execution USING INDEX execution_never_started (component=? AND rank=?)",
    "room_to_run": f"SEARCH execution {UNFINISHED} (status=?)",
    "follow_functions": f"SEARCH execution {UNFINISHED} (status=?)",
    "failed_on": "SEARCH failed_digest USING PRIMARY KEY (execution_id=? AND digest=? AND abi=?)",
    "unfinished_of": f"SEARCH execution {UNFINISHED} (status=?)",
    "started_on_other_code": f"SEARCH execution {UNFINISHED} (status=?)",
    "next_pending": f"SEARCH execution {COVERED} (status=? AND executor_id=? AND due_at>?)",
    "forsaken": f"SEARCH execution {UNFINISHED} (status=? AND executor_id>? AND executor_id<?)",
    "dead_holders": f"SEARCH e {COVERED} (status=? AND executor_id>?)",
    "lost_runs": f"SEARCH execution {UNFINISHED} (status=? AND executor_id=?)",
    "release_hot": "SEARCH execution USING COVERING INDEX execution_unfinished (status=? AND executor_id=?)",
    "cancelling": "SEARCH execution USING INDEX execution_cancelling (lifecycle=?)",
    "counts": f"SCAN execution {COVERED}",
    "automatic_pauses": f"SEARCH execution {COVERED} (status=?)",
    "newest_of_function": f"SEARCH execution USING COVERING INDEX execution_function (ffqn=? AND {PLACE})",
    "newest_children": f"SEARCH execution USING COVERING INDEX execution_children (parent_id=? AND {PLACE})",
    "newest_ending": f"SEARCH execution USING COVERING INDEX execution_ending (ending=? AND {PLACE})",
    "newest_labelled": f"SEARCH execution USING COVERING INDEX execution_labelled ({PLACE})",
    "newest_tagged": f"SEARCH tag USING PRIMARY KEY (key=? AND value=? AND {PLACE})",
    "newest_with_key": f"SEARCH tag USING COVERING INDEX tag_key (key=? AND {PLACE})",
    "functions_with_prefix": "SEARCH execution USING COVERING INDEX execution_function (ffqn>? AND ffqn<?)",
    "unfinished_ids": f"SEARCH execution {COVERED} (status=?)",
    "matching": "SEARCH e USING PRIMARY KEY (execution_id=?)",
    "executors": f"SEARCH execution {COVERED} (status=? AND executor_id=?)",
    "census": f"SEARCH execution {UNFINISHED} (status=?)",
    "event_time": "SEARCH event USING PRIMARY KEY (execution_id=? AND version=?)",
    "update_by_run": "SEARCH execution USING PRIMARY KEY (execution_id=?)",
    "update_by_version": "SEARCH execution USING PRIMARY KEY (execution_id=?)",
    "deliver_response": "SEARCH execution USING PRIMARY KEY (execution_id=?)",
    "await_responses": "SEARCH execution USING PRIMARY KEY (execution_id=?)",
    "count_responses": "SEARCH response USING PRIMARY KEY (execution_id=?)",
    "take_delay": "SEARCH delay USING PRIMARY KEY (delay_id=?)",
    "unfinished_children": "SEARCH execution USING INDEX execution_children (parent_id=?)",
    "count_unfinished_children": "SEARCH execution USING INDEX execution_children (parent_id=?)",
    "delays_in": "SEARCH delay USING INDEX delay_execution (execution_id=?)",
    "count_delays_in": "SEARCH delay USING INDEX delay_execution (execution_id=?)",
    "queued_before": f"SEARCH execution {QUEUE} (rank=? AND ffqn=? AND labels=? AND (due_at,execution_id)<(?,?))",
    "children": "SEARCH execution USING INDEX execution_children (parent_id=?)",
    "executions_of": "SEARCH execution USING PRIMARY KEY (execution_id=?)",
    "first_children": "SEARCH execution USING INDEX execution_children (parent_id=?)",
    "events_from": "SEARCH event USING PRIMARY KEY (execution_id=? AND version>?)",
    "responses_from": "SEARCH response USING PRIMARY KEY (execution_id=? AND seq>?)",
    "end_of_window": "SEARCH execution USING PRIMARY KEY (execution_id>?)",
    "due_for_removal": "SEARCH e USING PRIMARY KEY (execution_id>? AND execution_id<?)",
    "last_of_tree": "SEARCH execution USING PRIMARY KEY (execution_id>? AND execution_id<?)",
    "may_be_removed": "SEARCH execution USING PRIMARY KEY (execution_id=?)",
    "shorten_logs": "SEARCH log_line USING COVERING INDEX log_line_execution (execution_id>? AND execution_id<?)",
    "shorten_failures": "SEARCH failure USING COVERING INDEX failure_execution (execution_id>? AND execution_id<?)",
    "shorten_events": "SEARCH event USING PRIMARY KEY (execution_id=? AND version>?)",
    "shorten_responses": "SEARCH response USING PRIMARY KEY (execution_id=? AND seq>?)",
    "forget_events": "SEARCH event USING PRIMARY KEY (execution_id>? AND execution_id<?)",
    "forget_executions": "SEARCH execution USING PRIMARY KEY (execution_id>? AND execution_id<?)",
    "forget_tag": "SEARCH tag USING COVERING INDEX tag_key (key=? AND created_at=? AND execution_id=? AND value=?)",
    "forget_component": "SEARCH generation_component USING COVERING INDEX generation_component_digest (digest=?)",
    "due_delays": "SEARCH delay USING INDEX delay_due (due_at<?)",
    "delete_delays_of": "SEARCH delay USING COVERING INDEX delay_execution (execution_id=?)",
    "audit_page": "SEARCH audit USING INTEGER PRIMARY KEY (rowid<?)",
    "audit_of_subject": "SEARCH audit USING INDEX audit_subject (subject=? AND rowid<?)",
    "audit_tidy": "SEARCH audit USING COVERING INDEX audit_refused (refused=?)",
    "next_suspect": "SEARCH e USING PRIMARY KEY (execution_id=?)",
    "acquit_who_went_on": "SEARCH e USING PRIMARY KEY (execution_id=?)",
    "log_lines_after": "SEARCH log_line USING INDEX log_line_execution (execution_id=? AND position>?)",
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    file: Path = tmp_path_factory.mktemp("plans") / "obelisk.db"
    connection = open_for_writing(file)
    yield connection
    connection.close()


def plan(database: sqlite3.Connection, name: str) -> list[str]:
    sql = SQL[name]
    named = {parameter: "{}" if parameter == "runnable" else None for parameter in re.findall(r":(\w+)", sql)}
    numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    values = named or (None,) * max([sql.count("?") if not numbered else 0, *numbered])
    return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


@pytest.mark.parametrize("name", sorted(INDEXED))
def test_a_statement_uses_the_index_made_for_it(database: sqlite3.Connection, name: str) -> None:
    assert INDEXED[name] in plan(database, name)


@pytest.mark.parametrize("name", sorted(set(SQL) - SMALL - CHECKS - PER_TABLE))
def test_no_statement_reads_a_whole_table(database: sqlite3.Connection, name: str) -> None:
    scans = [step for step in plan(database, name) if step.startswith("SCAN") and not f"{step} ".startswith(FEW_ROWS)]
    assert scans == []


def test_locking_takes_the_longest_due_without_sorting(database: sqlite3.Connection) -> None:
    for name in ("next_queue", "due_in_queue"):
        assert not any("TEMP B-TREE" in step for step in plan(database, name))


@pytest.mark.parametrize("name", sorted(name for name in SQL if name.startswith("newest_")))
def test_lists_are_walked_in_order_without_sorting(database: sqlite3.Connection, name: str) -> None:
    assert not any("TEMP B-TREE" in step for step in plan(database, name))
