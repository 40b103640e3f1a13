"""PostgreSQL, too, finds the rows of every statement by an index, in tables of which it knows the size."""

import re
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest

from obelisk_daemon.storage.postgres.connecting import Target
from obelisk_daemon.storage.postgres.queries import WRITING
from obelisk_daemon.storage.postgres.schema import prepare
from tests.integration.storage.test_query_plans import CHECKS, PER_TABLE, SMALL
from tests.postgres import new_database

BIGINTS: Final = {"await_responses": "12", "deliver_response": "23", "eviction_victim": "1"}
"""Parameters whose types don't follow from where they are: the driver tells them with each statement."""
PLANNED: Final = sorted(
    name
    for name, statement in WRITING.items()
    if name not in SMALL | CHECKS | PER_TABLE and re.match(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)", statement.sql)
)
_EXECUTIONS: Final = """
INSERT INTO execution (
    execution_id, ffqn, component, digest, parent_id, parent_join_set, labels, rank, created_at, changed_at,
    version, status, lifecycle, due_at, executor_id, run_id, failed_attempts, ending, started_at
)
SELECT
    id || CASE WHEN n % 4 = 0 THEN '.o:1_1' ELSE '' END, 'a:b/c.f' || n % 20, 'c' || n % 20, 'sha256:0',
    CASE WHEN n % 4 = 0 THEN id END, CASE WHEN n % 4 = 0 THEN 'o:1' END, CASE WHEN n % 99 = 0 THEN 'gpu' ELSE '' END,
    4, n, n, 5, coalesce(waits, 'finished'), 'active', CASE WHEN waits IS NOT NULL THEN n END,
    CASE waits WHEN 'locked' THEN 'Exr_1' END, CASE waits WHEN 'locked' THEN 'Run_' || n END, 0,
    CASE WHEN waits IS NULL THEN CASE WHEN n % 10 = 0 THEN 'err' ELSE 'ok' END END, n
FROM (
    SELECT n, 'E_' || lpad(n::text, 26, '0') AS id,
        CASE WHEN n % 50 = 0 THEN (ARRAY['pending_at', 'blocked', 'locked'])[1 + n / 50 % 3] END AS waits
    FROM generate_series(1, 20000) n
) made
"""
_REST: Final = """
INSERT INTO event SELECT execution_id, v, created_at, '' FROM execution, generate_series(0, 4) v;
INSERT INTO response SELECT execution_id, seq, created_at, 'o:1', '' FROM execution, generate_series(1, 2) seq;
INSERT INTO log_line (execution_id, created_at, level, message)
    SELECT execution_id, created_at, 'info', '' FROM execution;
INSERT INTO failure SELECT 'Err_' || execution_id, execution_id, 'trap', '', '' FROM execution WHERE ending = 'err';
INSERT INTO delay SELECT 'Delay_' || execution_id, execution_id, 'o:1', created_at, created_at, 0 FROM execution;
INSERT INTO tag SELECT 'key', 'v' || created_at % 100, created_at, execution_id FROM execution;
INSERT INTO audit (created_at, actor, peer, role, action, subject, params, refused, left_out)
    SELECT created_at, 'a', 'p', 'admin', 'cancel', execution_id, '{}', 0, 0 FROM execution;
ANALYZE
"""


@pytest.fixture(scope="module")
def database(postgres_server: str) -> Iterator[psycopg.Connection[Any]]:
    with new_database(postgres_server) as url:
        prepare(Target(url))
        with psycopg.connect(url, autocommit=True, options="-csearch_path=obelisk") as connection:
            if connection.info.server_version < 160_000:
                pytest.skip("before 16, PostgreSQL plans no statement without its parameters")
            for statement in (_EXECUTIONS, *_REST.split(";\n")):
                connection.execute(statement.encode())
            yield connection


def plan(database: psycopg.Connection[Any], name: str) -> str:
    sql = WRITING[name].sql
    for number in BIGINTS.get(name, ""):
        sql = sql.replace(f"${number}", f"${number}::bigint")
    with psycopg.RawCursor(database) as cursor:
        return "\n".join(row[0] for row in cursor.execute(f"EXPLAIN (GENERIC_PLAN) {sql}".encode()))


@pytest.mark.parametrize("name", PLANNED)
def test_no_statement_reads_a_whole_table(database: psycopg.Connection[Any], name: str) -> None:
    found = re.findall(
        r"Seq Scan on (execution|event|response|log_line|failure|delay|tag|audit)\b", plan(database, name)
    )
    assert found == []
