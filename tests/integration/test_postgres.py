"""The PostgreSQL that tests use."""

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.postgres import new_database

ROOT = Path(__file__).resolve().parents[2]
SHARED = "shared(Path(sys.argv[1]))"
OWN = "running()"
USE = """
import sys
from pathlib import Path
from tests.postgres import running, shared

with {} as server:
    print(getattr(server, "url", server), flush=True)
    sys.stdin.read()
"""


@contextmanager
def user(directory: Path, kind: str = SHARED) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that uses the server of a directory, or one of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", USE.format(kind), directory],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()


def pid_of(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
    assert row
    return int(row[0].splitlines()[0])


def wait_for_the_end_of(process: int) -> None:
    ended, _, _ = select.select([process], [], [], 20)
    assert ended


def test_a_server_is_shared_and_ends_after_its_last_user_also_when_all_are_killed(tmp_path: Path) -> None:
    with user(tmp_path) as (first, url), user(tmp_path) as (second, same):
        assert url == same
        server = os.pidfd_open(pid_of(url))
        first.kill()
        first.wait()
        assert pid_of(url)
        second.kill()
    wait_for_the_end_of(server)
    os.close(server)


def test_a_server_of_ones_own_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    with user(tmp_path, OWN) as (process, url):
        server = os.pidfd_open(pid_of(url))
        process.kill()
    wait_for_the_end_of(server)
    os.close(server)
    # what was killed could not remove it
    shutil.rmtree(str(conninfo_to_dict(url)["host"]))


def test_each_test_has_an_empty_database_of_its_own(postgres: str, postgres_server: str) -> None:
    with new_database(postgres_server) as other, psycopg.connect(other) as there, psycopg.connect(postgres) as here:
        there.execute("CREATE TABLE execution ()")
        there.commit()
        assert here.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
