"""A real daemon for measurements: its own process, its own state directory, an API client."""

import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from obelisk_daemon.ids import IdSource
from tests import guests

_IDS = IdSource(lambda: time.time_ns() // 1_000_000, secrets.randbits)


class Daemon:
    """A running daemon."""

    def __init__(
        self, directory: Path, client: httpx.Client, process: "subprocess.Popen[bytes]", port: int | None = None
    ) -> None:
        self.directory = directory
        self.client = client
        self.process = process
        self.pages = f"http://127.0.0.1:{port}"
        """The web UI, where the daemon listens on a port."""

    def submit(self, ffqn: str, params: list[object]) -> str:
        """Submit and give the execution's id."""
        execution_id = _IDS.execution()
        answer = self.client.put(f"/v1/executions/{execution_id}", json={"ffqn": ffqn, "params": params})
        answer.raise_for_status()
        return execution_id

    def result(self, execution_id: str) -> object:
        """Wait for the result."""
        while True:
            answer = self.client.get(f"/v1/executions/{execution_id}/result", params={"wait": "60"})
            if answer.status_code == 200:
                return answer.json()
            answer.raise_for_status()


def manifest(components: list[str], **workflow: object) -> str:
    """Write a manifest of these components."""
    entries = [
        guests.manifest_entry(name, **(workflow if guests.COMPONENTS[name].kind == "workflow" else {}))
        for name in components
    ]
    return "\n".join(['[daemon]\nlog = { level = "warning" }\n', *entries])


@contextmanager
def running(directory: Path, text: str, port: int | None = None) -> Iterator[tuple[Daemon, float]]:
    """Run a daemon on a manifest, with the web UI on `port`; give it, and the seconds it took to be ready."""
    file = directory / "obelisk.toml"
    file.write_text(text)
    socket = directory / "api.sock"
    command = [sys.executable, "-c", "from obelisk_daemon.obeliskd import main; main()"]
    command += ["--manifest", str(file), "--state-dir", str(directory / "state"), "--listen", f"unix:{socket}"]
    command += [] if port is None else ["--dev", "--listen", f"127.0.0.1:{port}"]
    started = time.perf_counter()
    process = subprocess.Popen(command)
    try:
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://obelisk", timeout=90
        ) as client:
            _wait_ready(client, process)
            yield Daemon(directory, client, process, port), time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(30)


def _wait_ready(client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            if client.get("/v1/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.005)
    raise RuntimeError(f"the daemon ended with {process.returncode}")


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory on the disk that the checkout is on, since that is the disk to measure."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path(__file__).parents[2]) as directory:
        yield Path(directory)
