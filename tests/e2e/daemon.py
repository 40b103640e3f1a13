"""A real `obeliskd`: a directory with its manifest and its state, and the process that works there now."""

import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sysconfig
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

DEADLINE: Final = 60.0
"""Seconds after which something that should have happened is a failed test: far more than it takes."""
Json = dict[str, Any]


class Run(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Process:
    """A running daemon. A thread reads its log; `ready` and the end of the log are events to wait for.

    `inherited` are the file descriptors that it has beside the standard ones.
    """

    def __init__(
        self,
        command: list[str],
        directory: Path,
        environ: Mapping[str, str] | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        self.lines: list[str] = []
        self._heard = threading.Condition()
        self._ended = False
        self._popen = subprocess.Popen(
            command,
            cwd=directory,
            env=ENV if environ is None else environ,
            pass_fds=inherited,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.pid = self._popen.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as output:
            for line in output:
                with self._heard:
                    self.lines.append(line.decode(errors="replace").rstrip("\n"))
                    self._heard.notify_all()
        with self._heard:
            self._ended = True
            self._heard.notify_all()

    def until_logged(self, event: str, seconds: float = DEADLINE) -> Json:
        """Wait for a line of the log whose event starts like this, and give the first such line."""
        with self._heard:
            self._heard.wait_for(lambda: self._ended or self._find(event) is not None, seconds)
            found = self._find(event)
        if found is None:
            self._popen.kill()
            self._popen.wait()
            raise AssertionError(f"obeliskd never logged {event!r}:\n{self.text}")
        return found

    def _find(self, event: str) -> Json | None:
        return next((line for line in self.events() if line["event"].startswith(event)), None)

    def events(self) -> list[Json]:
        """Give the lines of the log that are JSON."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    @property
    def text(self) -> str:
        """All that the daemon wrote."""
        return "\n".join(self.lines)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._popen.send_signal(number)

    def wait(self, seconds: float = DEADLINE) -> int:
        """Wait for the end; give the exit code."""
        try:
            code = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            raise AssertionError(f"obeliskd did not end within {seconds} s:\n{self.text}") from None
        self._reader.join(seconds)
        return code

    @property
    def is_alive(self) -> bool:
        """Tell if it still runs."""
        return self._popen.poll() is None


class Daemon:
    """A manifest and a state directory. `start` may be called again after `kill` or `terminate`."""

    def __init__(self, directory: Path, artifacts: Path) -> None:
        self.directory = directory
        self.manifest = directory / "obelisk.toml"
        self.state_dir = directory / "state"
        self.state_dir.mkdir(parents=True)
        # Compiling the big guests takes many seconds, so their artifacts outlive the test.
        (self.state_dir / "cache").symlink_to(artifacts)
        self.processes: list[Process] = []
        self.environ = dict(ENV)
        self.inherited: tuple[int, ...] = ()
        self.launcher: list[str] = []
        """A command that runs the one that follows it."""
        self.expected_errors: set[str] = set()
        """Events that the log may have at the level `error`."""

    def write(self, *tables: str, stop_grace: str = "10s") -> None:
        """Write the manifest."""
        head = f'[daemon]\nstate_dir = "state"\nstop_grace = "{stop_grace}"\n'
        self.manifest.write_text("\n".join([head, *tables]))

    def command(self, *arguments: str) -> list[str]:
        """Give the command line that starts it."""
        return [*self.launcher, OBELISKD, "--manifest", str(self.manifest), *arguments]

    def start(self, *arguments: str) -> Process:
        """Start a daemon, and wait until it is ready."""
        process = self.launch(*arguments)
        process.until_logged("ready")
        return process

    def launch(self, *arguments: str) -> Process:
        """Start a daemon, and don't wait."""
        if self.processes:
            assert not self.process.is_alive
            self.api.close()
        self.processes.append(Process(self.command(*arguments), self.directory, self.environ, self.inherited))
        self.api = self.new_api()
        return self.process

    def new_api(self) -> "Api":
        """Make another connection."""
        return Api(self.state_dir / "api.sock", self.process)

    @property
    def process(self) -> Process:
        """The one that was started last."""
        return self.processes[-1]

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.signal(signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL, self.process.text
        self.api.close()

    def terminate(self) -> int:
        """Ask it to end; give its exit code."""
        self.process.signal(signal.SIGTERM)
        code = self.process.wait()
        self.api.close()
        return code

    def run(self, *arguments: str) -> Run:
        """Run obeliskd to its end."""
        return run([OBELISKD, *arguments], self.directory)

    def ctl(self, *arguments: str) -> Run:
        """Run obelisk-ctl against this daemon."""
        return run([OBELISK_CTL, "--url", f"unix:{self.state_dir / 'api.sock'}", *arguments], self.directory)

    def snapshot(self, name: str) -> sqlite3.Connection:
        """Open a copy of a dead daemon's database: reading the original would change what the next one finds."""
        assert not self.process.is_alive
        target = self.directory / f"{name}.db"
        for suffix in ("", "-wal"):
            source = self.state_dir / f"obelisk.db{suffix}"
            if source.exists():
                shutil.copyfile(source, f"{target}{suffix}")
        return sqlite3.connect(target)

    def end(self) -> None:
        """End what still runs, and look for errors that no test expected."""
        for process in self.processes:
            if process.is_alive:
                process.signal(signal.SIGKILL)
                process.wait()
        if self.processes:
            self.api.close()
        for process in self.processes:
            own = [line for line in process.lines if '"guest_output"' not in line]  # a guest may say what it likes
            assert "Traceback" not in "".join(own), process.text
            bad = [line for line in process.events() if line.get("level") in ("error", "critical")]
            bad = [line for line in bad if line["event"] not in self.expected_errors]
            assert not bad, process.text


class Api:
    """The HTTP API of one process."""

    def __init__(self, path: Path, process: Process) -> None:
        self._connection = _UnixConnection(str(path))
        self._process = process
        self._sent = ""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def request(self, method: str, path: str, body: object = None, **query: object) -> tuple[int, Any]:
        """Send a request; give the status and the document."""
        given = {name.removesuffix("_"): value for name, value in query.items()}
        self.send(method, path + (f"?{urlencode(given)}" if given else ""), body)
        return self.receive()

    def send(self, method: str, url: str, body: object = None) -> None:
        """Send a request, and don't wait for the answer."""
        data = None if body is None else json.dumps(body).encode()
        self._sent = f"{method} {url}"
        try:
            self._connection.request(method, url, data, {"content-type": "application/json"})
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error

    def receive(self) -> tuple[int, Any]:
        """Wait for the answer of what was sent."""
        try:
            response = self._connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> AssertionError:
        return AssertionError(f"{self._sent}: {error!r}\n{self._process.text}")

    def get(self, path: str, **query: object) -> Any:
        """Read a document that is there."""
        status, document = self.request("GET", path, **query)
        assert status < 400, document
        return document

    def submit(self, execution_id: str, ffqn: str, *params: object) -> None:
        """Submit a call."""
        body = {"ffqn": ffqn, "params": params}
        status, document = self.request("PUT", f"/v1/executions/{execution_id}", body)
        assert status in (200, 201), document

    def call(self, execution_id: str, ffqn: str, *params: object) -> Json:
        """Submit a call and wait for its result."""
        self.submit(execution_id, ffqn, *params)
        return self.result(execution_id)

    def result(self, execution_id: str, seconds: float = DEADLINE) -> Json:
        """Wait for a result."""
        status, document = self.request("GET", f"/v1/executions/{execution_id}/result", wait=seconds)
        assert status == 200, f"{document}\n{self._process.text}"
        return document

    def show(self, execution_id: str) -> Json:
        """Describe an execution."""
        return self.get(f"/v1/executions/{execution_id}")

    def events(self, execution_id: str) -> list[Json]:
        """Read a whole log."""
        return self._all(f"/v1/executions/{execution_id}/events", "events", 0)

    def responses(self, execution_id: str) -> list[Json]:
        """Read all responses."""
        return self._all(f"/v1/executions/{execution_id}/responses", "responses", 1)

    def logs(self, execution_id: str) -> list[Json]:
        """Read what the guests logged, as far as one page goes."""
        return self.get(f"/v1/executions/{execution_id}/logs", limit=500)["logs"]

    def children(self, execution_id: str) -> list[str]:
        """Give the ids of all children, in the order of the parent's requests."""
        asked = [event["event"] for event in self.events(execution_id) if event["type"] == "history_event"]
        requests = [item["request"] for item in asked if item["type"] == "join_set_request"]
        return [request["execution_id"] for request in requests if request["type"] == "child"]

    def until_version(self, execution_id: str, version: int) -> None:
        """Wait until a log has an event of this version."""
        page = self.get(f"/v1/executions/{execution_id}/events", from_=version, limit=1, wait=DEADLINE)
        assert page["events"], f"{execution_id} never got to version {version}\n{self._process.text}"

    def until(self, execution_id: str, condition: Callable[[Json], bool]) -> Json:
        """Wait until an event of the log satisfies a condition; give the event."""
        path, first = f"/v1/executions/{execution_id}/events", 0
        while True:
            page = self.get(path, from_=first, limit=500, wait=DEADLINE)
            for event in page["events"]:
                if condition(event):
                    return event
            assert page["events"], f"nothing more happened to {execution_id}\n{self._process.text}"
            assert not page["finished"], f"{execution_id} has finished: {self.events(execution_id)}"
            first = page["next"]

    def _all(self, path: str, key: str, first: int) -> list[Json]:
        found: list[Json] = []
        while True:
            page = self.get(path, from_=first + len(found), limit=500)[key]
            found += page
            if not page:
                return found


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=2 * DEADLINE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@contextmanager
def running(directory: Path, artifacts: Path, *tables: str) -> Iterator[Daemon]:
    """Run a daemon with a manifest of these tables until the block is left."""
    daemon = Daemon(directory, artifacts)
    daemon.write(*tables)
    try:
        daemon.start()
        yield daemon
        assert daemon.terminate() == 0
    finally:
        daemon.end()


def run(command: list[str], directory: Path, seconds: float = DEADLINE, **environ: str) -> Run:
    """Run a command to its end."""
    done = subprocess.run(
        command,
        cwd=directory,
        env=ENV | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def execution_id(number: int) -> str:
    """Make an id: the same for the same number."""
    return f"E_{number:026d}"


SCRIPTS: Final = Path(sysconfig.get_path("scripts"))
OBELISKD: Final = str(SCRIPTS / "obeliskd")
OBELISK_CTL: Final = str(SCRIPTS / "obelisk-ctl")
# Compiled modules are kept, since a test that starts a daemon twenty times would compile them as often. Whatever
# service runs the tests, its socket and its directories are none of the daemon's.
LEFT_OUT: Final = ("PYTHONDONTWRITEBYTECODE", "NOTIFY_SOCKET", "RUNTIME_DIRECTORY")
ENV: Final = {name: value for name, value in os.environ.items() if name not in LEFT_OUT} | {
    "COLUMNS": "200",
    "PYTHONWARNINGS": "error",
}
