"""The database of the manifest: what is taken, what it says, and what it never has."""

from pathlib import Path

import msgspec
import pytest

from obelisk_config import (
    CredentialSecret,
    Daemon,
    Database,
    EnvSecret,
    FileSecret,
    Postgresql,
    SettingChange,
    Sqlite,
    compare,
    draft,
    load,
)
from obelisk_config.tables import toml

FILE = Path("/etc/obelisk.toml")
URL = "postgresql://obelisk@db/obelisk"


def written(database: object) -> bytes:
    return f"[daemon]\ndatabase = {toml(database)}\n".encode()


def read(database: object) -> Database:
    return load(written(database), FILE).daemon.database


def told(database: object) -> list[str]:
    return [f"{one.severity} {one.code}" for one in draft(written(database), FILE).diagnostics]


def test_without_the_key_it_is_sqlite() -> None:
    assert load(b"", FILE).daemon.database == read("sqlite") == Sqlite()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db/name",
        "postgresql://user@db:5433/name?sslmode=verify-full",
        "postgresql://user@[::1]:5432/name",
        "postgresql://a:5432,b:5432/name?target_session_attrs=read-write",
        "postgresql:///name?host=/run/postgresql&port=5433",
        "postgresql://%2Frun%2Fpostgresql/name?options=-csearch_path%3Dmine",
        "postgresql://us%40er@db/name?connect_timeout=5&application_name=mine",
    ],
)
def test_an_address_is_taken_as_it_is(url: str) -> None:
    assert read(url) == Postgresql(url)


def test_the_short_name_of_the_scheme_is_the_same() -> None:
    assert read("postgres://user@db/name") == Postgresql("postgresql://user@db/name")


def test_a_table_says_where_the_password_is_and_a_file_starts_at_the_manifest() -> None:
    assert read({"url": URL}) == Postgresql(URL)
    assert read({"url": URL, "password": {"env": "PGPASS"}}) == Postgresql(URL, EnvSecret("PGPASS"))
    assert read({"url": URL, "password": {"file": "key"}}) == Postgresql(URL, FileSecret("/etc/key"))
    assert read({"url": URL, "password": {"credential": "pg"}}) == Postgresql(URL, CredentialSecret("pg"))


def test_files_of_certificates_start_at_the_manifest() -> None:
    options = "sslmode=verify-full&sslrootcert=ca%20s.pem&sslcert=/run/c.pem&sslkey=keys/k.pem"
    assert read(f"{URL}?{options}") == Postgresql(
        f"{URL}?sslmode=verify-full&sslrootcert=/etc/ca%20s.pem&sslcert=/run/c.pem&sslkey=/etc/keys/k.pem"
    )
    assert read(f"{URL}?sslrootcert=system") == Postgresql(f"{URL}?sslrootcert=system")


@pytest.mark.parametrize(
    "database",
    [
        "postgresql://user:s3cr3t@db/name",
        "postgresql://user:s3c/r3t@db/name",
        "postgresql://user:s3c?r3t@db/name",
        "postgresql://:s3cr3t@db/name",
        "postgresql://db/name?password=s3cr3t",
        "postgresql://db/name?sslmode=prefer&sslpassword=s3cr3t",
        "mysql://user:s3cr3t@db/name",
        "host=db password=s3cr3t",
        {"url": "postgresql://user:s3cr3t@db/name"},
        {"url": URL, "password": "s3cr3t"},
        {"url": URL, "password": {"value": "s3cr3t"}},
        {"url": URL, "password": {"env": {"x": "s3cr3t"}}},
        {"url": URL, "pass": "s3cr3t"},
        ["postgresql://user:s3cr3t@db/name"],
    ],
)
def test_a_password_in_the_manifest_is_refused_and_never_shown(database: object) -> None:
    diagnostics = draft(written(database), FILE).diagnostics
    assert [one.severity for one in diagnostics][:1] == ["error"]
    for one in diagnostics:
        assert "r3t" not in f"{one.message} {one.hint} {one.span.text}"


@pytest.mark.parametrize("url", ["postgresql://user@db/name?x=a@b", "postgresql://db:5432/name"])
def test_what_is_no_password_is_not_taken_for_one(url: str) -> None:
    assert "secret_in_manifest" not in "".join(told(url))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://db/name", ["warning database_unprotected"]),
        ("postgresql://db/name?sslmode=require", ["warning database_unprotected"]),
        ("postgresql://localhost,db/name", ["warning database_unprotected"]),
        ("postgresql:///name?host=10.0.0.1", ["warning database_unprotected"]),
        ("postgresql://db/name?sslmode=verify-full", []),
        ("postgresql://db/name?sslmode=require&sslrootcert=ca.pem", []),
        ("postgresql://localhost:5432/name", []),
        ("postgresql://[::1]:5432/name", []),
        ("postgresql://127.0.0.1/name", []),
        ("postgresql:///name", []),
        ("postgresql:///name?host=/run/postgresql", []),
        ("postgresql://%2Frun%2Fpostgresql/name", []),
    ],
)
def test_a_server_beyond_this_machine_whose_name_is_not_checked_is_warned_of(url: str, expected: list[str]) -> None:
    assert told(url) == told({"url": url}) == expected


def test_it_can_be_stored_as_json_and_read_back() -> None:
    for database in ("sqlite", URL, {"url": URL, "password": {"file": "key"}}):
        daemon = load(written(database), FILE).daemon
        assert msgspec.json.decode(msgspec.json.encode(daemon), type=Daemon) == daemon


def test_a_change_is_told_as_an_author_would_write_it_and_needs_a_restart() -> None:
    before, after = load(b"", FILE), load(written({"url": URL, "password": {"file": "key"}}), FILE)
    table = f'{{ url = "{URL}", password = {{ file = "/etc/key" }} }}'
    assert compare(before, after).settings == (SettingChange("daemon.database", '"sqlite"', table, restart_only=True),)
    assert compare(before, load(written("sqlite"), FILE)).is_empty


def test_as_text_it_is_its_address_without_options() -> None:
    assert [str(read(one)) for one in ("sqlite", f"{URL}?sslmode=verify-full")] == ["sqlite", URL]
