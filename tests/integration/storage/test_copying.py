"""Copies of the database, also the one before a migration: there as a whole, or not at all."""

import sqlite3
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from obelisk_daemon.errors import OperatorError, StorageUnavailableError
from obelisk_daemon.storage.sqlite import copying, schema
from obelisk_daemon.storage.sqlite.copying import copy_database
from obelisk_daemon.storage.sqlite.queries import migrations
from obelisk_daemon.storage.sqlite.schema import open_for_writing

NEXT = [*migrations(), "CREATE TABLE more (x);"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Make a database of the first schema with one row, closed."""
    file = tmp_path / "obelisk.db"
    connection = open_for_writing(file)
    connection.execute("INSERT INTO proposal VALUES ('here', 'hash', 1)")
    connection.close()
    return file


def proposals(file: Path) -> int:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    (number,) = connection.execute("SELECT count(*) FROM proposal").fetchone()
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    return int(number)


def version_of(file: Path) -> int:
    connection = sqlite3.connect(file)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(version)


def names(directory: Path) -> list[str]:
    return sorted(one.name for one in directory.iterdir() if not one.name.endswith(("-wal", "-shm")))


def full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying.os, "statvfs", lambda _: SimpleNamespace(f_bavail=10, f_frsize=4096))


def test_a_copy_of_a_database_in_use_has_what_was_committed_and_is_for_its_owner_only(
    file: Path, tmp_path: Path
) -> None:
    writer = open_for_writing(file)
    writer.execute("INSERT INTO proposal VALUES ('there', 'hash', 1)")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO proposal VALUES ('open', 'hash', 1)")
    copy_database(file, tmp_path / "copy")
    writer.execute("COMMIT")
    writer.close()
    assert proposals(tmp_path / "copy") == 2
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
    assert names(tmp_path) == ["copy", "obelisk.db"]


def test_a_copy_can_give_space_back_as_its_original_can(file: Path, tmp_path: Path) -> None:
    copy_database(file, tmp_path / "copy")
    connection = sqlite3.connect(tmp_path / "copy")
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()


def test_what_a_killed_daemon_left_is_no_obstacle(file: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.part").write_text("half")
    (tmp_path / "copy").write_text("old")
    copy_database(file, tmp_path / "copy")
    assert proposals(tmp_path / "copy") == 1
    assert names(tmp_path) == ["copy", "obelisk.db"]


def test_without_room_nothing_is_begun(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full(monkeypatch)
    with pytest.raises(StorageUnavailableError, match="40960 free") as refused:
        copy_database(file, tmp_path / "copy")
    assert refused.value.code == "storage_full"
    assert names(tmp_path) == ["obelisk.db"]


@pytest.mark.parametrize("error", [OSError("no"), sqlite3.OperationalError("database or disk is full")])
def test_a_copy_that_fails_leaves_the_one_before(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    (tmp_path / "copy").write_text("old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(copying, "_vacuum_into", fail)
    with pytest.raises(StorageUnavailableError, match="can't be copied"):
        copy_database(file, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "old"
    assert names(tmp_path) == ["copy", "obelisk.db"]


def test_a_copy_is_stopped_in_the_middle_and_leaves_nothing(file: Path, tmp_path: Path) -> None:
    writer = open_for_writing(file)
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
    writer.execute(f"INSERT INTO proposal {numbers} SELECT 'host ' || i, 'hash', 1 FROM n")
    writer.close()
    with pytest.raises(StorageUnavailableError, match="interrupted"):
        copy_database(file, tmp_path / "copy", lambda: True)
    assert names(tmp_path) == ["obelisk.db"]


def test_a_migration_keeps_the_database_before_it(file: Path, tmp_path: Path) -> None:
    open_for_writing(file, NEXT).close()
    assert (version_of(file), version_of(tmp_path / "obelisk.db.schema-1")) == (2, 1)
    assert (proposals(file), proposals(tmp_path / "obelisk.db.schema-1")) == (1, 1)
    open_for_writing(tmp_path / "obelisk.db.schema-1").close()


def test_a_new_database_and_one_that_is_up_to_date_are_not_copied(file: Path, tmp_path: Path) -> None:
    open_for_writing(file).close()
    assert names(tmp_path) == ["obelisk.db"]


def test_a_database_that_can_not_be_copied_is_not_migrated(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(monkeypatch)
    with pytest.raises(OperatorError, match="can't be copied before") as refused:
        open_for_writing(file, NEXT)
    assert refused.value.code == "migration_refused"
    assert version_of(file) == 1
    monkeypatch.undo()
    open_for_writing(file).close()
    assert names(tmp_path) == ["obelisk.db"]


def test_a_start_that_was_cut_off_between_copy_and_migration_is_repeated(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copied_and_killed(source: Path, target: Path) -> None:
        copy_database(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "copy_database", copied_and_killed)
    with pytest.raises(KeyboardInterrupt):
        open_for_writing(file, NEXT)
    monkeypatch.undo()
    assert version_of(file) == 1
    assert (tmp_path / "obelisk.db.schema-1").exists()
    open_for_writing(file, NEXT).close()
    assert (version_of(file), proposals(tmp_path / "obelisk.db.schema-1")) == (2, 1)
