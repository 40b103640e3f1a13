"""Which database a start opens, and what it says when it can't."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from obelisk_config import Database, EnvSecret, Postgresql, Sqlite, Surroundings
from obelisk_daemon.errors import OperatorError
from obelisk_daemon.offline import Options, begin
from obelisk_daemon.supervisor.opening import database_to_open, password_of

SHARED = Postgresql("postgresql://obelisk@localhost/obelisk", EnvSecret("DB"))
TELLS_SHARED = f"[daemon]\ndatabase = {{ url = '{SHARED.url}', password = {{ env = 'DB' }} }}\n"


def started(directory: Path, text: str) -> Database:
    """Start with a manifest, as far as it takes to know the database."""
    file = directory / "obelisk.toml"
    file.write_text(text)
    (directory / ".obelisk").mkdir(exist_ok=True)
    return database_to_open(begin(Options(file, Surroundings())))


def test_a_start_opens_the_database_that_the_manifest_tells(tmp_path: Path) -> None:
    assert started(tmp_path, TELLS_SHARED) == SHARED
    assert started(tmp_path, "") == started(tmp_path, "[daemon]\ndatabase = 'sqlite'") == Sqlite()


@pytest.mark.parametrize("text", ["[daemon", "daemon = 1", "[daemon]\ndatabase = 'sqllite'", "[daemon]\ndatabase = 1"])
def test_where_the_manifest_does_not_tell_a_start_opens_the_database_used_last(tmp_path: Path, text: str) -> None:
    assert started(tmp_path, text) == Sqlite()
    started(tmp_path, TELLS_SHARED)
    assert started(tmp_path, text) == SHARED


def test_without_a_manifest_a_start_opens_the_database_used_last(tmp_path: Path) -> None:
    started(tmp_path, TELLS_SHARED)
    assert database_to_open(begin(Options(tmp_path / "obelisk.toml", Surroundings()))) == SHARED
    (tmp_path / "obelisk.toml").unlink()
    assert database_to_open(begin(Options(tmp_path / "obelisk.toml", Surroundings()))) == SHARED


def test_errors_elsewhere_in_the_manifest_change_nothing_of_its_database(tmp_path: Path) -> None:
    started(tmp_path, TELLS_SHARED)
    assert started(tmp_path, "[daemon]\nlisten = 1\n") == Sqlite()


def test_another_database_than_the_last_time_is_warned_of_once(tmp_path: Path) -> None:
    with capture_logs() as logs:
        for text in ("", TELLS_SHARED, TELLS_SHARED, "[daemon", ""):
            started(tmp_path, text)
    assert [(one["event"], one["last"], one["now"]) for one in logs] == [
        ("database_changed", "sqlite", SHARED.url),
        ("database_changed", SHARED.url, "sqlite"),
    ]


def test_a_note_of_the_last_database_that_can_not_be_read_is_told_with_the_cure(tmp_path: Path) -> None:
    started(tmp_path, "")
    note = tmp_path / ".obelisk" / "database.json"
    note.write_text("{")
    with pytest.raises(
        OperatorError, match=r"which tells the database that was used last, can.t be read: .*; delete it"
    ) as caught:
        started(tmp_path, "")
    assert caught.value.code == "state_dir_unusable"


def test_a_note_of_the_last_database_has_no_password(tmp_path: Path) -> None:
    file = tmp_path / "obelisk.toml"
    file.write_text(TELLS_SHARED)
    (tmp_path / ".obelisk").mkdir()
    database_to_open(begin(Options(file, Surroundings({"DB": "s3cr3t"}))))
    assert "s3cr3t" not in (tmp_path / ".obelisk" / "database.json").read_text()


def test_the_password_is_read_anew_for_each_connection() -> None:
    variables = {"DB": "first\n"}
    read = password_of(SHARED, variables)
    assert read() == "first"
    variables["DB"] = "second"
    assert read() == "second"
    assert password_of(Postgresql(SHARED.url), variables)() is None


@pytest.mark.parametrize(
    ("variables", "code", "said"),
    [
        ({}, "missing_secret", r"the password of the database: .* DB is not set; set DB where"),
        ({"DB": ""}, "bad_secret", "the password of the database is empty"),
        ({"DB": "two\nlines"}, "bad_secret", "has several lines"),
        ({"DB": "\udcff\udcfe"}, "bad_secret", "is not UTF-8"),
    ],
)
def test_a_password_that_can_not_be_used_says_why(variables: dict[str, str], code: str, said: str) -> None:
    with pytest.raises(OperatorError, match=said) as caught:
        password_of(SHARED, variables)()
    assert caught.value.code == code
