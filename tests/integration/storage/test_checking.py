"""Damage that is planted is found and named, and a database without damage passes."""

import sqlite3
from pathlib import Path

import pytest

from obelisk_daemon.errors import OperatorError
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.storage.database import Damage
from obelisk_daemon.storage.sql import checking
from obelisk_daemon.storage.sqlite.checking import check_database
from obelisk_daemon.storage.sqlite.schema import open_for_writing
from tests.building import created, execution_id
from tests.conformance.world import World
from tests.integration.storage.opening import open_active

pytestmark = pytest.mark.anyio
PARENT, WAITING = execution_id(1), execution_id(2)
CHILD = f"{PARENT}.o:1_1"
OTHER = execution_id(9)


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """Make a database with a workflow that waits for a child, one that sleeps, and an activity that waits."""
    async with open_active(tmp_path / "obelisk.db", pytest.fail) as store:
        world = World(store)
        parent = await world.workflow(1)
        await world.append(parent.call(world.now, 1, keep=False))
        sleeper = await world.workflow(3)
        await world.append(sleeper.sleep(world.now, 1, world.now + 1_000_000))
        await world.submit(created(due_at=world.now), 2)
    return tmp_path / "obelisk.db"


def plant(file: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    assert connection.execute(statement, values).rowcount >= 1
    connection.close()


def found(file: Path, *, full: bool = True) -> list[Damage]:
    report = check_database(file, full=full)
    assert report.ok == (report.damage == [])
    return report.damage


async def test_a_healthy_database_passes(file: Path) -> None:
    report = check_database(file, full=True)
    assert (report.ok, report.executions, report.total) == (True, 4, 4)
    assert check_database(file, full=False).executions == 4


CHANGED = {
    "version": ("version = 7", PARENT, "version is 7, and its log says 5"),
    "status": ("status = 'pending_at', due_at = 1", PARENT, "it is pending_at, though what it waits for has not come"),
    "lifecycle": ("lifecycle = 'paused'", WAITING, "lifecycle is 'paused', and its log says 'active'"),
    "digest": ("digest = 'sha256:00'", WAITING, "digest is 'sha256:00', and its log says 'sha256:abab"),
    "due_at": ("due_at = 5", WAITING, "due_at is 5, and its log says"),
    "join_set": ("join_set = 'n:x'", PARENT, "it waits for the join set n:x, and its log for o:1"),
    "failed_attempts": ("failed_attempts = 3", WAITING, "failed_attempts is 3, and its log says 0"),
    "ffqn": ("ffqn = 'a:b/c.d'", WAITING, "ffqn is 'a:b/c.d', and its log says 'testing:fibo/fibo.fibo'"),
    "priority": ("priority = 9", WAITING, "priority is 9, and its log says None"),
    "response_count": ("response_count = 4", PARENT, "it counts 4 responses of 0"),
    "outcome": ("outcome = x'c1'", WAITING, "an event, a response or the outcome can't be read"),
}


@pytest.mark.parametrize("column", CHANGED)
async def test_a_row_that_does_not_follow_from_its_log_is_found(file: Path, column: str) -> None:
    change, subject, message = CHANGED[column]
    plant(file, f"UPDATE execution SET {change} WHERE execution_id = ?", subject)
    assert [one for one in found(file, full=False) if one.subject == subject and message in one.message] != []


LOST = {
    "a log": ("DELETE FROM event WHERE execution_id = ?", WAITING, "execution", "it has no log"),
    "an event": ("DELETE FROM event WHERE execution_id = ? AND version = 2", PARENT, "execution", "its log can't be"),
    "a row": ("DELETE FROM execution WHERE execution_id = ?", WAITING, "event", "belongs to no execution"),
    "a parent": ("DELETE FROM execution WHERE execution_id = ?", PARENT, "execution", "its parent is not there"),
    "an event's text": (
        "UPDATE event SET body = x'81a474797065a180' WHERE execution_id = ?",  # {"type": what is no UTF-8}
        PARENT,
        "event",
        "an event, a response or the outcome can't be read",
    ),
    "an event's bytes": (
        "UPDATE event SET body = x'c1' WHERE execution_id = ?",
        PARENT,
        "event",
        "an event, a response or the outcome can't be read",
    ),
    "an end of a parent": (
        "UPDATE execution SET status = 'finished' WHERE execution_id = ?",
        PARENT,
        "execution",
        "it is unfinished, and its parent has finished",
    ),
    "a wake-up": (
        "UPDATE execution SET join_missing = 0 WHERE execution_id = ?",
        PARENT,
        "execution",
        "it is blocked, though nothing is missing in its join set",
    ),
    "the end of a delay": (
        "UPDATE execution SET status = 'finished' WHERE execution_id = ?",
        execution_id(3),
        "delay",
        "it is still to end",
    ),
    "an outcome": (
        "UPDATE execution SET status = 'finished' WHERE parent_id = ?",
        PARENT,
        "response",
        f"the outcome of its child {CHILD} was never delivered",
    ),
}


@pytest.mark.parametrize("lost", LOST)
async def test_what_breaks_an_invariant_is_found_and_named(file: Path, lost: str) -> None:
    statement, subject, table, message = LOST[lost]
    plant(file, statement, subject)
    assert [one.message for one in found(file) if one.table == table and message in one.message] != []


async def test_what_retention_has_taken_in_part_is_no_damage(file: Path) -> None:
    plant(file, "DELETE FROM event WHERE execution_id = ? AND version = 3", PARENT)
    assert found(file) != []
    plant(file, "INSERT INTO removal VALUES (?)", PARENT)
    assert found(file) == []


async def test_code_that_is_missing_is_found(file: Path) -> None:
    plant(file, "DELETE FROM component")
    (damage,) = found(file, full=False)
    assert damage.table == "component"
    assert damage.subject.startswith("sha256:abab")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE queue_length SET never_started = 8", "8 are said to wait and were never started, 1 do"),
        ("DELETE FROM queue_length", "0 are said to wait and were never started, 1 do"),
    ],
)
async def test_a_wrong_length_of_a_queue_is_found(file: Path, statement: str, message: str) -> None:
    plant(file, statement)
    assert found(file, full=False) == [Damage("queue_length", "fibo", message)]


ORPHANS = {
    "event": "INSERT INTO event VALUES (?, 0, 1, x'00')",
    "response": "INSERT INTO response VALUES (?, 1, 1, 'o:1', x'00')",
    "delay": "INSERT INTO delay VALUES ('Delay_x', ?, 'o:1', 1, 1, 0)",
    "log_line": "INSERT INTO log_line VALUES (1, ?, NULL, 1, 'info', 'x')",
    "failure": "INSERT INTO failure VALUES ('Err_x', ?, 'trap', 'x', '', NULL, NULL)",
    "tag": "INSERT INTO tag VALUES ('order', '7', 1, ?)",
    "failed_digest": "INSERT INTO failed_digest VALUES (?, 'sha256:00', 1, NULL, NULL)",
    "suspect": "INSERT INTO suspect VALUES (?, 3, 1, 1, 0, 0, NULL)",
}


@pytest.mark.parametrize("table", ORPHANS)
async def test_rows_of_no_execution_are_found(file: Path, table: str) -> None:
    plant(file, ORPHANS[table], OTHER)
    assert Damage(table, OTHER, "belongs to no execution") in found(file)


async def test_a_second_response_under_a_number_out_of_order_is_found(file: Path) -> None:
    from obelisk_daemon.execution.events import ChildFinished

    body = codec.encode(ChildFinished(CHILD, Returned({"ok": 1})))
    plant(file, "INSERT INTO response VALUES (?, 2, 1, 'o:1', ?)", PARENT, body)
    assert "its responses are not numbered 1, 2, 3, ..." in [one.message for one in found(file, full=False)]


async def test_bytes_that_were_overwritten_on_the_disk_are_found(file: Path) -> None:
    connection = sqlite3.connect(file)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'event'").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with file.open("r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(b"\xff" * 64)
    for full in (False, True):
        report = check_database(file, full=full)
        assert not report.ok
        assert report.damage


async def test_a_check_that_is_not_full_takes_a_sample(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "SAMPLE", 1)
    report = check_database(file, full=False)
    assert (report.executions, report.total) == (2, 4)


async def test_only_so_much_damage_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "MOST_DAMAGE", 2)
    plant(file, "UPDATE execution SET version = 99")
    assert len(found(file)) == 2


def strange(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE t (x)")
    connection.close()


def test_what_is_no_database_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text " * 1_000)
    (tmp_path / "empty").touch()
    strange(tmp_path / "strange")
    codes = {}
    for name in ("missing", "text", "strange", "empty"):
        with pytest.raises(OperatorError) as refused:
            check_database(tmp_path / name, full=False)
        assert name in str(refused.value)
        codes[name] = refused.value.code
    assert codes.pop("empty") == "database_older"
    assert set(codes.values()) == {"database_unusable"}


def test_the_database_of_a_newer_daemon_is_refused(tmp_path: Path) -> None:
    open_for_writing(tmp_path / "x.db").close()
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OperatorError, match="run the newer one"):
        check_database(tmp_path / "x.db", full=False)
