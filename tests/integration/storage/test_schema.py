"""Opening the database: durable, exclusive, and only what is ours."""

import sqlite3
from pathlib import Path

import pytest

from obelisk_daemon.errors import OperatorError
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.connection import raw_of
from obelisk_daemon.storage.sqlite.schema import open_for_reading, open_for_writing
from tests.building import created, execution_id, new_execution
from tests.integration.storage.opening import open_active


def make(file: Path, *statements: str) -> bytes:
    """Make a database by hand and give its bytes."""
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return file.read_bytes()


def refusal(file: Path) -> OperatorError:
    with pytest.raises(OperatorError) as refused:
        open_for_writing(file)
    assert str(file) in str(refused.value)
    return refused.value


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("pragma", "value"), [("synchronous", 2), ("journal_mode", "wal"), ("foreign_keys", 0), ("user_version", 1)]
)
async def test_the_writer_is_set_to_survive_a_power_cut(store: SqlStore, pragma: str, value: object) -> None:
    ticket = store.writer.queue(lambda tx: raw_of(tx).execute(f"PRAGMA {pragma}").fetchone()[0])
    assert await ticket.outcome() == value


@pytest.mark.anyio
async def test_a_database_is_found_again_as_it_was_left(tmp_path: Path) -> None:
    for _ in range(2):
        async with open_active(tmp_path / "obelisk.db", pytest.fail) as store:
            await store.submit(new_execution(created()))
    async with open_active(tmp_path / "obelisk.db", pytest.fail) as store:
        assert (await store.reads.summary(execution_id())).version == 1


def test_an_empty_file_is_made_a_database(tmp_path: Path) -> None:
    file = tmp_path / "obelisk.db"
    file.touch()
    connection = open_for_writing(file)
    assert connection.execute("SELECT count(*) FROM execution").fetchone()[0] == 0
    connection.close()


def test_the_database_of_a_newer_daemon_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "obelisk.db"
    open_for_writing(file).close()
    before = make(file, "PRAGMA user_version = 99")
    error = refusal(file)
    assert error.code == "database_newer"
    assert "schema 99" in str(error)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TABLE customers (name TEXT)",),
        ("CREATE TABLE customers (name TEXT)", "PRAGMA user_version = 1"),
        ("CREATE TABLE customers (name TEXT)", "PRAGMA user_version = 99"),
        ("PRAGMA application_id = 7",),
        ("PRAGMA user_version = 1",),
    ],
)
def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, statements: tuple[str, ...]) -> None:
    file = tmp_path / "customers.db"
    before = make(file, *statements)
    error = refusal(file)
    assert error.code == "database_unusable"
    assert "another program" in str(error)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "obelisk.db"
    file.write_text("name,age\n" * 1_000)
    assert refusal(file).code == "database_unusable"
    assert file.read_text() == "name,age\n" * 1_000


@pytest.mark.parametrize("name", ["", "missing/obelisk.db"])
def test_a_path_that_can_hold_no_file_is_refused(tmp_path: Path, name: str) -> None:
    assert refusal(tmp_path / name).code == "database_unusable"


def test_a_migration_that_fails_leaves_the_schema_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from obelisk_daemon.storage.sqlite import schema

    file = tmp_path / "obelisk.db"
    open_for_writing(file).close()
    scripts = [*schema.migrations(), "CREATE TABLE more (x); CREATE TABLE execution (x);"]
    monkeypatch.setattr(schema, "migrations", lambda: scripts)
    assert refusal(file).code == "database_unusable"
    monkeypatch.undo()
    connection = open_for_writing(file)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    assert "more" not in tables
    connection.close()


def test_a_reader_can_not_write(tmp_path: Path) -> None:
    file = tmp_path / "obelisk.db"
    writer = open_for_writing(file)
    reader = open_for_reading(file)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM execution")
    reader.close()
    writer.close()


def test_an_empty_file_beside_a_log_is_refused_and_both_are_left_alone(tmp_path: Path) -> None:
    file, wal = tmp_path / "obelisk.db", tmp_path / "obelisk.db-wal"
    file.touch()
    wal.write_bytes(b"what was committed last")
    assert refusal(file).code == "database_unusable"
    assert (file.read_bytes(), wal.read_bytes()) == (b"", b"what was committed last")


@pytest.mark.parametrize("kept", [100, 4_096, 40_000])
def test_a_database_that_was_cut_short_is_refused_and_left_alone(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "obelisk.db"
    open_for_writing(file).close()
    file.write_bytes(before := file.read_bytes()[:kept])
    assert refusal(file).code == "database_unusable"
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
