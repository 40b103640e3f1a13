"""Moving a database from SQLite to PostgreSQL: all of it, the same, or nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from obelisk_config import parse_postgresql
from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import OperatorError
from obelisk_daemon.storage.postgres.connecting import Target
from obelisk_daemon.storage.postgres.connection import PostgresConnection
from obelisk_daemon.storage.postgres.schema import prepare
from obelisk_daemon.storage.sql.checking import check_rows
from obelisk_daemon.storage.sqlite.directory import hold
from obelisk_daemon.storage.sqlite.moved import refuse_moved
from obelisk_daemon.storage.transfer import Transfer, TransferReport, transfer
from obelisk_daemon.supervisor.moving import Move, move
from tests.bench.filling import Filling, fill
from tests.building import DIGEST, SECOND

FILLING = Filling(finished=400, live=40, until=Instant(1_700_000_000 * SECOND))
MORE = """
INSERT INTO tag VALUES ('key', 'a value', 1, 'E_1'), ('käse', 'ß', 2, 'E_1');
INSERT INTO proposal VALUES ('local', 'hash', 1), ('other', 'hash 2', 1);
INSERT INTO executor VALUES ('Exr_1', 'local', 'default', '', 200, 1, 2, 9000000000000000);
INSERT INTO host VALUES ('local', '0.1.0', 1, 2, 3, NULL, 0);
INSERT INTO audit (audit_id, created_at, actor, peer, role, action, subject, params, refused, left_out)
    VALUES (7, 1, 'ci', '', 'admin', 'pause', 'E_1', '{}', 0, 0);
"""
SPOILS = """
CREATE FUNCTION obelisk.spoil() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.created_at = NEW.created_at + 1; RETURN NEW; END $$;
CREATE TRIGGER spoil BEFORE INSERT ON obelisk.response FOR EACH ROW EXECUTE FUNCTION obelisk.spoil();
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "state" / "obelisk.db"
    file.parent.mkdir()
    fill(file, FILLING)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("INSERT INTO component VALUES (?, ?)", (DIGEST, b"\0code" * 1_000_000))
        connection.executescript(MORE)
        # tags belong to an execution that is there
        connection.execute("UPDATE tag SET execution_id = (SELECT min(execution_id) FROM execution)")
        connection.commit()
    return file


def moved(source: Path, postgres: str) -> TransferReport:
    return transfer(Transfer(source, Target(postgres), "here", lambda *_: None))


def rows_of(postgres: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(postgres) as connection:
        return connection.execute(query).fetchall()


def test_all_rows_of_all_tables_are_there_and_follow_from_their_logs(source: Path, postgres: str) -> None:
    report = moved(source, postgres)
    assert (report.executions, report.unfinished) == (440, 40)
    counted = {table.table: table.rows for table in report.tables}
    with closing(sqlite3.connect(source)) as here:
        tables = [name for (name,) in here.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        assert {*counted} == {*tables} - {"host"}
        for table, rows in counted.items():
            assert here.execute(f"SELECT count(*) FROM {table}").fetchone() == (rows,)
            assert rows_of(postgres, f"SELECT count(*) FROM obelisk.{table}") == [(rows,)]
        event = "SELECT execution_id, version, created_at, body FROM {}event ORDER BY execution_id, version"
        assert rows_of(postgres, event.format("obelisk.")) == here.execute(event.format("")).fetchall()
    with closing(Target(postgres).connect().raw) as there:
        checked = check_rows(PostgresConnection(there), full=True)
    assert (checked.ok, checked.executions) == (True, 440)


def test_a_host_and_its_executors_are_not_taken_for_living_ones(source: Path, postgres: str) -> None:
    moved(source, postgres)
    assert rows_of(postgres, "SELECT lease_until FROM obelisk.executor") == [(0,)]
    assert rows_of(postgres, "SELECT * FROM obelisk.host") == []
    assert rows_of(postgres, "SELECT host FROM obelisk.proposal ORDER BY host") == [("here",), ("other",)]


def test_numbers_that_are_counted_go_on_after_those_of_the_source(source: Path, postgres: str) -> None:
    moved(source, postgres)
    insert = (
        "INSERT INTO obelisk.audit (created_at, actor, peer, role, action, subject, params, refused, left_out)"
        " VALUES (2, 'ci', '', 'admin', 'pause', 'E_1', '{}', 0, 0) RETURNING audit_id"
    )
    assert rows_of(postgres, insert) == [(8,)]


def test_a_target_with_anything_in_it_is_refused_and_left_as_it_is(source: Path, postgres: str) -> None:
    moved(source, postgres)
    with pytest.raises(OperatorError, match="has rows in its table execution: copy to an empty database") as caught:
        moved(source, postgres)
    assert caught.value.code == "target_not_empty"
    assert rows_of(postgres, "SELECT count(*) FROM obelisk.execution") == [(440,)]


def test_a_source_that_contradicts_itself_is_refused_before_anything_is_copied(source: Path, postgres: str) -> None:
    with closing(sqlite3.connect(source)) as connection:
        connection.execute(
            "UPDATE execution SET version = version + 1 WHERE execution_id = (SELECT min(execution_id) FROM execution)"
        )
        connection.commit()
    with pytest.raises(
        OperatorError, match=r"is damaged: execution E_.* nothing was copied; obeliskd check-db"
    ) as caught:
        moved(source, postgres)
    assert caught.value.code == "source_damaged"
    refuse_moved(source)


def test_after_a_failure_in_the_middle_nothing_is_there_and_the_source_may_be_used(source: Path, postgres: str) -> None:
    def told(table: str, done: int, total: int) -> None:
        if table == "verifying":
            assert (done, total) == (total, done)
            raise OSError("the disk is gone")

    with pytest.raises(OperatorError, match=r"could not be copied .* the disk is gone") as caught:
        transfer(Transfer(source, Target(postgres), "here", told))
    assert caught.value.code == "copy_failed"
    assert rows_of(postgres, "SELECT count(*) FROM obelisk.execution") == [(0,)]
    refuse_moved(source)
    assert moved(source, postgres).executions == 440


def test_a_row_that_arrives_otherwise_than_it_was_sent_is_noticed(source: Path, postgres: str) -> None:
    prepare(Target(postgres))
    with psycopg.connect(postgres) as connection:
        connection.execute(SPOILS)
    with pytest.raises(OperatorError, match=r"response is not there as it was sent: .* nothing was copied"):
        moved(source, postgres)
    assert rows_of(postgres, "SELECT count(*) FROM obelisk.execution") == [(0,)]


def test_a_text_with_a_nul_is_kept_with_the_sign_for_it(source: Path, postgres: str) -> None:
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("UPDATE log_line SET message = 'a' || char(0) || 'b'")
        connection.commit()
    moved(source, postgres)
    assert rows_of(postgres, "SELECT DISTINCT message FROM obelisk.log_line") == [("a\u2400b",)]


def test_the_database_that_was_moved_is_not_run_from_again_unless_that_is_asked_for(
    source: Path, postgres: str
) -> None:
    moved(source, postgres)
    with pytest.raises(OperatorError, match=r"was copied to postgresql .*, delete .*obelisk\.db\.moved") as caught:
        refuse_moved(source)
    assert caught.value.code == "database_moved"
    source.with_name("obelisk.db.moved").unlink()
    refuse_moved(source)


def test_the_state_directory_of_a_daemon_that_runs_is_refused_naming_it(source: Path, postgres: str) -> None:
    wanted = Move(f"sqlite:{source.parent}", parse_postgresql(postgres, None, Path.cwd()), "here", lambda *_: None)
    with hold(source.parent), pytest.raises(OperatorError, match=r"process id .*; stop it first") as caught:
        move(wanted, {})
    assert caught.value.code == "state_dir_in_use"
    assert move(wanted, {}).executions == 440


@pytest.mark.parametrize("path", ["", "sqlite:", "sqlite:nowhere", "/var/lib/obelisk"])
def test_what_is_no_database_of_sqlite_shows_the_form(path: str) -> None:
    target = parse_postgresql("postgresql://localhost/x", None, Path.cwd())
    with pytest.raises(OperatorError, match="is no database of SQLite: write sqlite: and a state directory"):
        move(Move(path, target, "here", lambda *_: None), {})
