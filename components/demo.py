"""The main job in one command: a daemon, a workflow in Python, activities in two languages, HTTP, a clean stop.

`make demo` runs it. It does what the README shows by hand, on `components/obelisk.toml`.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
COMMANDS: Final = Path(sys.executable).parent
PORT: Final = 8765


class Greeter(BaseHTTPRequestHandler):
    """The local server that the demo's HTTP activity asks."""

    def do_GET(self) -> None:
        """Answer with one line."""
        body = b"hello from the local server\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Keep quiet: the demo shows the daemon's side."""


def main() -> int:
    """Run the demo; give the exit code of the workflow's submission."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", PORT), Greeter)
    except OSError as error:
        print(f"port {PORT} on the loopback, which the demo's manifest allows, can't be had: {error.strerror}")
        return 1
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # The path of a socket is short, whatever the checkout's is.
    with tempfile.TemporaryDirectory(prefix="obelisk-demo-") as directory:
        url = f"unix:{directory}/api.sock"
        command = [COMMANDS / "obeliskd", "--manifest", ROOT / "components/obelisk.toml", "--dev", "--listen", url]
        daemon = subprocess.Popen(command)
        try:
            return submit(url)
        finally:
            daemon.send_signal(signal.SIGTERM)
            print(f"obeliskd ended with {daemon.wait(30)}")
            server.shutdown()


def submit(url: str) -> int:
    """Wait for the daemon, submit the workflow and follow it to its end."""
    environment = {**os.environ, "OBELISK_URL": url}
    control = COMMANDS / "obelisk-ctl"
    # The first start compiles the Python components, which takes some seconds each.
    subprocess.run([control, "status", "--wait", "180s"], env=environment, check=True)
    call = ["submit", "example:demo/workflow.run", f'["http://127.0.0.1:{PORT}/"]', "--follow"]
    return subprocess.run([control, *call], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
