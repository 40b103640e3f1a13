"""A real daemon on TCP: its tokens are the manifest's, and what was done by whom outlives it."""

import signal

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon
from tests.fakes.tokens import holder
from tests.guests import manifest_entry

FIBO = manifest_entry("fibo-activity")
NOTHING = "E_01JZZZZZZZZZZZZZZZZZZZZZZZ"


def table(name: str, role: str) -> str:
    _, made = holder(name, role)  # type: ignore[arg-type]
    return f'[[token]]\nname = "{name}"\nrole = "{role}"\nsha256 = "{made.sha256}"\n'


def as_(daemon: Daemon, url: str, name: str, *arguments: str) -> int:
    """Run obelisk-ctl with a token; give its exit code."""
    file = daemon.directory / name
    file.write_text(holder(name, "read")[0])
    return daemon.ctl("--url", url, "--token-file", str(file), *arguments).code


def test_a_token_works_from_when_the_manifest_has_it_until_it_has_not(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(table("old", "read"), FIBO)
    url = daemon.start("--listen", "127.0.0.1:0").until_logged("ready")["listen"][0]
    assert daemon.terminate() == 0
    process = daemon.start("--listen", url, "--listen", f"unix:{daemon.state_dir}/api.sock")
    assert (as_(daemon, url, "old", "status"), as_(daemon, url, "new", "status")) == (0, 77)
    daemon.write(table("new", "operate"), FIBO)
    assert daemon.ctl("manifest", "reload").code == 0
    assert (as_(daemon, url, "old", "status"), as_(daemon, url, "new", "status")) == (77, 0)
    assert process.is_alive


def test_who_did_what_is_known_after_a_kill(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(table("ops", "operate"), FIBO)
    sockets = ("--listen", "127.0.0.1:0", "--listen", f"unix:{daemon.state_dir}/api.sock")
    url = daemon.start(*sockets).until_logged("ready")["listen"][0]
    assert as_(daemon, url, "ops", "cancel", NOTHING) == 1
    assert as_(daemon, url, "ops", "manifest", "reload") == 77
    daemon.process.signal(signal.SIGKILL)
    daemon.process.wait()
    daemon.start(*sockets)
    kept = daemon.api.get("/v1/audit")["entries"]
    assert [(one["actor"], one["action"], one["status"]) for one in kept] == [
        ("ops", "manifest_reload", 403),
        ("ops", "cancel", 404),
    ]
