"""`obelisk-ctl db copy` moves a stopped daemon's data, and what was unfinished is there to go on."""

import json
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from tests.bench.filling import Filling, fill
from tests.building import DIGEST
from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import OBELISK_CTL, OBELISKD, Run, execution_id, run
from tests.guests import manifest_entry

FIBOA = "testing:fibo/workflow.fiboa"
FINISHED, LIVE = (100_000, 10_000) if os.environ.get("OBELISK_SOAK") else (100, 20)
MOST_SECONDS = 600


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir()
    fill(directory / "obelisk.db", Filling(finished=FINISHED, live=LIVE, span=timedelta(days=1)))
    with closing(sqlite3.connect(directory / "obelisk.db")) as connection:
        connection.execute("INSERT INTO component VALUES (?, ?)", (DIGEST, b"code"))
        connection.commit()
    return directory


def copy(state_dir: Path, *arguments: str, **environ: str) -> Run:
    arguments = ("db", "copy", f"sqlite:{state_dir}", *arguments)
    return run([OBELISK_CTL, *arguments], state_dir.parent, MOST_SECONDS, **environ)


def test_a_copy_tells_what_was_moved_for_people_and_for_programs(state_dir: Path, postgres: str) -> None:
    told = copy(state_dir, postgres)
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith(f"copied and verified: {FINISHED + LIVE:,} executions ({LIVE:,} unfinished), ")
    again = copy(state_dir, postgres, "--json")
    assert again.code == 65
    assert json.loads(again.out)["error"]["code"] == "target_not_empty"
    with psycopg.connect(postgres) as connection:
        assert connection.execute("SELECT count(*) FROM obelisk.execution").fetchone() == (FINISHED + LIVE,)
        connection.execute("DROP SCHEMA obelisk CASCADE")
    (state_dir / "obelisk.db.moved").unlink()
    report = json.loads(copy(state_dir, postgres, "--json").out)
    assert (report["executions"], report["unfinished"]) == (FINISHED + LIVE, LIVE)
    checked = run([OBELISKD, "check-db", "--full", postgres], state_dir, MOST_SECONDS)
    said = f"no damage, {FINISHED + LIVE:,} of {FINISHED + LIVE:,} executions compared with their logs\n"
    assert (checked.code, checked.out[-len(said) :]) == (0, said)


def test_a_daemon_does_not_start_on_what_was_moved(state_dir: Path, postgres: str) -> None:
    assert copy(state_dir, postgres).code == 0
    (state_dir.parent / "obelisk.toml").write_text("[daemon]\nstate_dir = 'state'\n")
    refused = run([OBELISKD], state_dir.parent)
    assert refused.code == 78
    assert "was copied to postgresql" in refused.err


@pytest.mark.parametrize(
    ("target", "options", "code", "said"),
    [
        (
            "postgresql://user:s3cr3t@localhost/x",
            (),
            64,
            "a password is written here; say where it is: --password-file",
        ),
        ("mysql://localhost/x", (), 64, '"mysql" is no kind of database'),
        ("postgresql://localhost/x", ("--password-env", "NOT_SET"), 65, "the environment variable NOT_SET is not set"),
        ("postgresql://127.0.0.1:1/x", (), 65, "can't be used"),
    ],
)
def test_a_target_that_can_not_be_used_says_why(
    state_dir: Path, target: str, options: tuple[str, ...], code: int, said: str
) -> None:
    told = copy(state_dir, target, *options)
    assert told.code == code
    assert said in told.err
    assert "s3cr3t" not in told.err
    assert not (state_dir / "obelisk.db.moved").exists()


def test_what_was_unfinished_goes_on_in_postgresql_where_it_was(new_daemon: NewDaemon, postgres: str) -> None:
    daemon = new_daemon(manifest_entry("fibo-activity"), manifest_entry("fibo-workflow"))
    daemon.start()
    for number in (1, 2):
        daemon.api.submit(execution_id(number), FIBOA, 10, 300)
    daemon.api.until_version(execution_id(1), 20)
    daemon.kill()
    assert copy(daemon.state_dir, postgres).code == 0
    daemon.manifest.write_text(daemon.manifest.read_text().replace("[daemon]", f'[daemon]\ndatabase = "{postgres}"'))
    daemon.start()
    for number in (1, 2):
        assert daemon.api.result(execution_id(number)) == {"ok": 55}
        versions = [event["version"] for event in daemon.api.events(execution_id(number))]
        assert versions == [*range(len(versions))]
    assert len(daemon.api.children(execution_id(1))) == 300
    assert json.loads(daemon.ctl("db", "check", "--full", "--json").out)["ok"]
    assert daemon.ctl("db", "stats").code == 0
    refused = daemon.ctl("db", "backup", "copy.db")
    assert (refused.code, "pg_dump" in refused.err) == (65, True)
    assert "autovacuum" in daemon.ctl("db", "vacuum").err
    assert daemon.terminate() == 0
