from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from obelisk_daemon.ctl.streaming import Message, parsed
from obelisk_daemon.ctl.top_view import TopView
from obelisk_daemon.ctl.tree_view import Part, TreeView

NOW = datetime(2026, 1, 2, 3, 4, 15, tzinfo=UTC)
ROOT = "E_01JZZZZZZZZZZZZZZZZZZZZ001"
START = "2026-01-02T03:04:05.000000Z"


def node(known: str = ROOT, state: str = "blocked", **more: object) -> dict[str, Any]:
    parent = {} if known == ROOT else {"parent_id": known.rpartition(".")[0]}
    times = {"created_at": START, "started_at": START, "changed_at": "2026-01-02T03:04:06.500000Z"}
    named = {"execution_id": known, "ffqn": "shop:orders/orders.place", "state": state, "lifecycle": "active"}
    return {**named, **times, "attempts": 1, **parent, **more}


def child(number: int, **more: Any) -> dict[str, Any]:
    return node(f"{ROOT}.o:{number}_1", **{"state": "finished", "outcome": "ok", **more})


def view(nodes: Iterable[dict[str, Any]], logs: Iterable[str] = ()) -> TreeView:
    made = TreeView(ROOT, lambda: NOW)
    for one in nodes:
        made.take(Message("", "child", one))
    for line in logs:
        made.take(Message("", "log", {"created_at": START, "level": "info", "message": line}))
    return made


def text(lines: Sequence[Sequence[Part]]) -> list[str]:
    return ["".join(part.text for part in line).rstrip() for line in lines]


def test_a_tree_shows_states_durations_attempts_and_what_each_waits_for() -> None:
    due = "2026-01-02T03:04:45.000000Z"
    made = view(
        [
            node(waiting_for="o:4"),
            child(1),
            child(2, outcome="failed", failure_kind="trap", attempts=3),
            child(3, state="pending_at", outcome=None, due_at=due, attempts=2),
            child(4, state="blocked", outcome=None, lifecycle="paused", pause_reason="operator"),
            node(f"{ROOT}.o:4_1.o:1_1", state="locked"),
        ]
    )
    assert text(made.lines(20)) == [
        "orders.place  blocked  10s  waits for o:4",
        "├─ orders.place  ok  1.5s  o:1_1",
        "├─ orders.place  trap  1.5s  attempt 3  o:2_1",
        "├─ orders.place  pending_at  10s  attempt 2  due in 30s  o:3_1",
        "└─ orders.place  blocked, paused  10s  paused: operator  o:4_1",
        "   └─ orders.place  locked  10s  o:1_1",
    ]


def test_colours_follow_the_states() -> None:
    (line,) = view([node(state="finished", outcome="failed", failure_kind="trap")]).lines(20)
    assert Part("trap", "red") in line


def test_of_a_large_tree_what_goes_on_is_shown_and_then_what_failed_and_the_rest_is_counted() -> None:
    nodes = [child(number) for number in range(1, 101)]
    nodes += [child(101, state="locked", outcome=None), child(102, outcome="err")]
    lines = text(view([node(), *nodes]).lines(6))
    assert len(lines) == 6
    assert any("locked" in line for line in lines)
    assert any("err" in line for line in lines)
    assert lines[-1].startswith("└─ ")
    assert lines[-1].endswith("ok")


def test_what_is_shown_has_its_parents_with_it() -> None:
    deep = [node(f"{ROOT}.o:1_1", outcome="ok"), node(f"{ROOT}.o:1_1.o:1_1", state="locked")]
    lines = text(view([node(), *deep, *[child(number) for number in range(2, 50)]]).lines(5))
    assert lines[1].startswith("├─ ")
    assert lines[2].startswith("│  └─ orders.place  locked")


def test_lines_of_guests_come_below_and_can_not_steer_the_terminal() -> None:
    lines = text(view([node()], [f"line {number}\x1b[2J\nmore" for number in range(30)]).lines(20))
    assert lines[1] == ""
    assert len(lines) == 12
    assert lines[-1] == "03:04:05.000  info   line 29\\x1b[2J\\nmore"


def test_no_more_lines_are_drawn_than_fit() -> None:
    made = view([node(), *[child(number, state="locked") for number in range(1, 50)]], ["a", "b"])
    for most in range(1, 60):
        assert len(made.lines(most)) <= most


def test_before_the_first_message_it_is_said_that_there_is_none() -> None:
    assert text(TreeView(ROOT, lambda: NOW).lines(5)) == ["waiting for the daemon"]


STATUS = {
    "version": "0.1.0",
    "generation": 3,
    "started_at": "2026-01-02T01:04:05.000000Z",
    "executions": {"pending_at": 1_200},
    "running": 2,
    "hot": 1,
    "executors": [],
}


def test_the_daemon_at_a_glance() -> None:
    made = TopView("unix:/run/api.sock", STATUS, lambda time: time[11:19])
    made.take(Message("", "generation", {"generation": 4}))
    rates = {"submitted": 1_000.5, "started": 2.0, "finished": 0.0}
    made.take(Message("", "load", {"executions": {"locked": 7}, "running": 7, "hot": 3, "rates": rates}))
    made.take(Message("", "drift", {"drift": [{"subject": "http", "message": "it differs"}], "manifest_refused": "no"}))
    queue = {"component": "http", "kind": "activity", "pending": 0, "running": 0, "never_started": 0}
    busy = queue | {"component": "mail", "pending": 12, "max_pending": 100, "running": 3, "max_running": 3}
    executor = {"name": "default", "running": 3, "max_running": 200, "hot": 1, "labels": ["eu", "gpu"], "host": "a"}
    made.read([queue, busy | {"oldest_due_at": START}], [executor])
    assert text(made.lines(40)) == [
        "obeliskd 0.1.0  unix:/run/api.sock  started 01:04:05  generation 4",
        "executions  7 locked",
        "here        7 running, 3 in memory",
        "per second  1,000.5 submitted, 2.0 started, 0.0 finished",
        "manifest refused: no",
        "drift       http: it differs",
        "",
        "EXECUTOR  RUNNING   IN MEMORY  LABELS   HOST",
        "default   3 of 200  1          eu, gpu  a",
        "",
        "QUEUE  KIND      PENDING    RUNNING  OLDEST DUE",
        "mail   activity  12 of 100  3 of 3   03:04:05",
        "http   activity  0          0",
    ]
    assert len(made.lines(3)) == 3


def test_what_keeps_the_daemon_from_work_is_told() -> None:
    status = STATUS | {"not_ready": "stopping", "degraded": "generation 3 runs"}
    lines = text(TopView("unix:/x", status, str).lines(9))
    assert lines[1:3] == ["not ready: stopping", "degraded: generation 3 runs"]


def test_messages_are_read_from_lines() -> None:
    lines = [
        b"retry: 1000\n",
        b": obeliskd\n",
        b"\n",
        b"id: v1.r0.l0\r\n",
        b"event: state\r\n",
        b'data: {"a":1}\r\n',
        b"\r\n",
    ]
    assert list(parsed(lines)) == [Message("v1.r0.l0", "state", {"a": 1})]


def test_a_message_that_is_cut_off_is_none() -> None:
    whole = [b"id: 1\n", b"event: x\n", b'data: {"a":1}\n', b"\n"]
    for cut in range(len(whole)):
        assert list(parsed(whole[:cut])) == []
    assert list(parsed([*whole[:2], b'data: {"a"'])) == []
