"""A secret reaches the server, and nothing that the daemon keeps, shows or writes."""

import base64
import json
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import ENV, Daemon, _UnixConnection, execution_id
from tests.e2e.servers import Mirror, mirror
from tests.fakes.collector import collecting
from tests.guests import manifest_entry

TELL = "testing:leaking/leaking.tell"
VALUES = {
    "bearer": "canary-of-systemd-7f3a91",
    "password": "canary-of-environ-c20b66",
    "cookie": "canary-of-file-1e88d4",
}
SOURCES = """
[secrets]
bearer = { credential = "bearer.key" }
password = { env = "THE_PASSWORD" }
cookie = { file = "cookie.key" }
"""
HEADERS = [
    ["authorization", "Bearer $BEARER"],
    ["authorization", "Basic $BASIC(PASSWORD)"],
    ["cookie", "a=$COOKIE; b=$COOKIE"],
]
BASIC = base64.b64encode(f"me:{VALUES['password']}".encode()).decode()
FORBIDDEN = [text.encode() for text in (*VALUES.values(), BASIC, BASIC[4:28])]
PLACEHOLDER = b"obelisk-secret-"


@pytest.fixture
def friend() -> Iterator[Mirror]:
    """A server that may have all secrets."""
    with mirror() as server:
        yield server


@pytest.fixture
def stranger() -> Iterator[Mirror]:
    """A server that may be asked, and have none."""
    with mirror() as server:
        yield server


@pytest.fixture
def daemon(new_daemon: NewDaemon, friend: Mirror, stranger: Mirror) -> Daemon:
    allowed = [
        {"host": friend.url, "allow_private": True, "secrets": list(VALUES)},
        {"host": stranger.url, "allow_private": True},
    ]
    guest = manifest_entry("leaking-python", allowed_hosts=allowed, max_retries=0, forward_stdio=True)
    daemon = new_daemon('log = { format = "json", level = "debug" }', SOURCES, guest)
    credentials = daemon.directory / "credentials"
    credentials.mkdir()
    (credentials / "bearer.key").write_text(VALUES["bearer"])
    (daemon.directory / "cookie.key").write_text(VALUES["cookie"] + "\n")
    daemon.environ |= {"CREDENTIALS_DIRECTORY": str(credentials), "THE_PASSWORD": VALUES["password"]}
    return daemon


def tell_all(daemon: Daemon, friend: Mirror, stranger: Mirror) -> list[str]:
    """Have the guest tell all that it knows in every way; give the ids of these executions."""
    asked = [(f"{friend.url}/{path}", trap) for path in ("200", "500", "302", "broken-head", "broken-body")
             for trap in (False, True)]  # fmt: skip
    asked += [(f"{stranger.url}/200", False), (f"{stranger.url}/200", True), (f"{friend.url}/200?$COOKIE", False)]
    ids = [execution_id(number) for number in range(len(asked))]
    for known, (url, trap) in zip(ids, asked, strict=True):
        outcome = daemon.api.call(known, TELL, url, HEADERS, trap)
        assert set(outcome) == {"execution_failure" if trap else "err"}, outcome
    return ids


def shown_by_the_api(daemon: Daemon, ids: list[str]) -> bytes:
    """Give all that the API and obelisk-ctl show."""
    api = daemon.api
    pages = ("status", "executions", "components", "functions", "openapi.json")
    pages += ("manifest", "manifest/generations", "manifest/generations/1")
    shown = [api.get(f"/v1/{page}") for page in pages]
    for known in ids:
        execution = api.show(known)
        failure = execution["failure"]["failure_id"]
        shown += [execution, api.result(known), api.events(known), api.responses(known), api.logs(known)]
        shown.append(api.get(f"/v1/failures/{failure}"))
        if known in (ids[0], ids[-1]):
            shown += [daemon.ctl(*words).out for words in (("show", known), ("logs", known), ("error", failure))]
    return json.dumps(shown, ensure_ascii=False).encode()


def kept(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Give all files of a state directory, and every cell of its database, which may lie on several pages of a file."""
    for file in sorted(directory.rglob("*")):
        if file.is_file() and not file.is_symlink():
            yield file.name, file.read_bytes()
    with sqlite3.connect(f"file:{directory / 'obelisk.db'}?immutable=1", uri=True) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            for row in database.execute(f"SELECT * FROM {table}"):
                for cell in row:
                    yield table, cell if isinstance(cell, bytes) else str(cell).encode()
    database.close()


@pytest.mark.guests
def test_no_value_is_in_the_database_the_log_or_the_api_whatever_the_guest_does(
    daemon: Daemon, friend: Mirror, stranger: Mirror
) -> None:
    daemon.start()
    ids = tell_all(daemon, friend, stranger)
    shown = shown_by_the_api(daemon, ids)
    assert daemon.terminate() == 0

    assert len(friend.received) == 10
    for headers in friend.received:
        assert ("authorization", f"Bearer {VALUES['bearer']}") in headers
        assert ("authorization", f"Basic {BASIC}") in headers
        assert ("cookie", "a={0}; b={0}".format(VALUES["cookie"])) in headers
    assert stranger.received == []

    written = [("the API", shown), ("the log", daemon.process.text.encode()), *kept(daemon.state_dir)]
    found = [(place, value) for place, data in written for value in FORBIDDEN if value in data]
    assert found == []
    # what the guest told has come there, or the search would prove nothing
    assert {"the API", "the log", "obelisk.db", "event", "log_line", "failure"} <= {
        place for place, data in written if PLACEHOLDER in data
    }
    assert b"got x-reflected: authorization: Bearer obelisk-secret-bearer-" in shown
    assert b"authorization: Bearer ************************" in shown


@pytest.mark.guests
def test_no_value_is_in_traces_metrics_streams_pages_a_backup_or_the_text_of_a_crash(
    daemon: Daemon, friend: Mirror, stranger: Mirror
) -> None:
    daemon.manifest.write_text(daemon.manifest.read_text().replace("[daemon]\n", "[daemon]\ntraces = true\n", 1))
    with collecting() as collector:
        daemon.environ |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "PYTHONFAULTHANDLER": "1",
        }
        daemon.start()
        ids = tell_all(daemon, friend, stranger)
        pages = [f"/v1/executions/{known}/{page}" for known in ids
                 for page in ("follow?logs=true", "tree", "why", "state?version=1", "result")]  # fmt: skip
        pages += ["/metrics", "/", "/ui/api.js", "/v1/queues", "/v1/executors", "/v1/audit", "/v1/wit"]
        shown = [(page, raw(daemon, page)) for page in pages]
        assert daemon.ctl("db", "backup", str(daemon.directory / "backup.db")).code == 0
        collector.until(3 * len(ids))
        daemon.process.signal(signal.SIGABRT)
        assert daemon.process.wait() == -signal.SIGABRT
        shown.append(("traces", repr((collector.spans, collector.headers)).encode()))
    assert "Fatal Python error: Aborted" in daemon.process.text
    shown += [("the log", daemon.process.text.encode()), ("backup", (daemon.directory / "backup.db").read_bytes())]
    assert len(friend.received) == 10
    assert [(place, value) for place, data in shown for value in FORBIDDEN if value in data] == []
    assert PLACEHOLDER in dict(shown)["backup"]
    assert PLACEHOLDER in dict(shown)[pages[0]]


def raw(daemon: Daemon, page: str) -> bytes:
    """Read what the API gives, as it is."""
    connection = _UnixConnection(str(daemon.state_dir / "api.sock"))
    connection.request("GET", page)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    assert answer.status < 400, (page, data)
    return data


@pytest.mark.guests
def test_a_refusal_names_the_secret_and_the_place(daemon: Daemon, stranger: Mirror) -> None:
    daemon.start()
    error = daemon.api.call(execution_id(1), TELL, f"{stranger.url}/200", HEADERS, False)["err"]
    assert "failed: ErrorCode_HttpRequestDenied" in error
    assert "BEARER=obelisk-secret-bearer-" in error
    failure = daemon.api.show(execution_id(1))["failure"]["failure_id"]
    (request,) = daemon.api.get(f"/v1/failures/{failure}")["http"]
    assert request["error"] == "HTTP-request-denied"
    assert request["reason"].startswith('the placeholder of the secret "bearer" is in the header authorization, ')


@pytest.mark.guests
def test_a_daemon_does_not_start_without_a_secret_and_a_check_does_not_need_it(daemon: Daemon) -> None:
    (daemon.directory / "cookie.key").unlink()
    daemon.environ = dict(ENV)
    daemon.expected_errors.add("manifest_refused")
    process = daemon.launch()
    assert process.wait() == 78
    for name in VALUES:
        assert f'error[missing_secret]: the secret "{name}": ' in process.text
    assert "$CREDENTIALS_DIRECTORY is not set" in process.text
    checked = daemon.run("check", "obelisk.toml")
    assert checked.code == 0
    assert checked.err.count("warning[missing_secret]") == 3


@pytest.mark.guests
def test_a_reload_is_refused_for_a_secret_that_is_missing_and_takes_it_once_it_is_there(
    daemon: Daemon, friend: Mirror
) -> None:
    daemon.expected_errors.add("manifest_refused")
    daemon.start()
    daemon.manifest.write_text(daemon.manifest.read_text().replace("cookie.key", "new.key"))
    refused = daemon.ctl("manifest", "reload")
    assert refused.code == 78
    assert 'missing_secret]: the secret "cookie": its file is not there' in refused.err
    daemon.api.call(execution_id(1), TELL, f"{friend.url}/200", HEADERS, False)
    assert ("cookie", "a={0}; b={0}".format(VALUES["cookie"])) in friend.received[0]
    (daemon.directory / "new.key").write_text("another-canary-9d04")
    assert daemon.ctl("manifest", "reload").code == 0
    daemon.api.call(execution_id(2), TELL, f"{friend.url}/200", HEADERS, False)
    assert ("cookie", "a=another-canary-9d04; b=another-canary-9d04") in friend.received[1]
    assert "canary" not in refused.err + daemon.ctl("manifest", "show").out + daemon.process.text
    assert daemon.terminate() == 0
