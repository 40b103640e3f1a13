"""A backup taken under load goes on elsewhere (issue 5, "Done when" 5)."""

import itertools
import os
import shutil
import stat
import threading

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, execution_id
from tests.guests import manifest_entry

FIBOA = "testing:fibo/workflow.fiboa"
CALLS = 60
BEFORE = 12


class Clients:
    """Submit workflows one after the other, until `stop`; `ids` are those that were acknowledged."""

    def __init__(self, daemon: Daemon, first: int) -> None:
        self.ids: list[str] = []
        self._stopped = threading.Event()
        self._enough = threading.Condition()
        self._api = daemon.new_api()
        self._first = first
        self._thread = threading.Thread(target=self._submit)
        self._thread.start()

    def _submit(self) -> None:
        for number in itertools.count(self._first):
            if self._stopped.is_set():
                return
            self._api.submit(execution_id(number), FIBOA, 10, 2)
            with self._enough:
                self.ids.append(execution_id(number))
                self._enough.notify_all()

    def until(self, count: int) -> None:
        with self._enough:
            assert self._enough.wait_for(lambda: len(self.ids) >= count, 60)

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._api.close()


def test_a_backup_under_load_is_restored_into_an_empty_directory_and_goes_on(new_daemon: NewDaemon) -> None:
    guests = [manifest_entry(name) for name in ("fibo-activity", "fibo-workflow", "sleeper")]
    tables = ("[executor]\nmax_running = 8", *guests)
    original, restored = new_daemon(*tables), new_daemon(*tables)
    original.start()
    workflows = [execution_id(number) for number in range(BEFORE)]
    for workflow in workflows:
        original.api.submit(workflow, FIBOA, 10, CALLS)
    sleepers = [execution_id(number) for number in range(100, 110)]
    for sleeper in sleepers:
        original.api.submit(sleeper, "testing:sleeper/sleeper.nap", 4_000)
    clients = Clients(original, 1_000)
    clients.until(20)
    original.api.until_version(workflows[0], 20)
    acknowledged = list(clients.ids)

    file = restored.directory / "backup.db"
    made = original.ctl("db", "backup", str(file), "--json")
    assert made.code == 0, made.err
    after = execution_id(9_000_000)
    original.api.submit(after, FIBOA, 10, 1)
    clients.stop()
    assert original.ctl("db", "check", "--full").code == 0
    original.kill()

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    checked = restored.run("check-db", str(file), "--full")
    assert checked.code == 0, checked.out
    assert "no damage" in checked.out
    shutil.copyfile(file, restored.state_dir / "obelisk.db")
    restored.start()
    states = {workflow: restored.api.show(workflow)["state"] for workflow in workflows}
    assert set(states.values()) != {"finished"}, "the backup came too late"
    for workflow in workflows:
        assert restored.api.result(workflow) == {"ok": 55}
        assert len(restored.api.children(workflow)) == CALLS
    for sleeper in sleepers:
        assert "ok" in restored.api.result(sleeper)
    for acknowledged_id in acknowledged:
        assert restored.api.result(acknowledged_id) == {"ok": 55}
    assert restored.api.request("GET", f"/v1/executions/{after}")[0] == 404
    assert restored.ctl("db", "check", "--full").code == 0
    assert restored.terminate() == 0


def test_a_backup_has_the_code_with_which_its_executions_go_on(new_daemon: NewDaemon) -> None:
    tables = (manifest_entry("fibo-activity"), manifest_entry("fibo-workflow"))
    original, restored = new_daemon(*tables), new_daemon(*tables)
    original.start()
    assert original.api.call(execution_id(1), FIBOA, 10, 3) == {"ok": 55}
    assert original.ctl("db", "backup", str(restored.state_dir / "obelisk.db")).code == 0
    assert original.ctl("db", "stats").code == 0
    assert original.ctl("db", "vacuum").code == 0
    assert original.terminate() == 0
    assert restored.run("check-db", str(restored.state_dir / "obelisk.db")).code == 0
    restored.start()
    assert restored.api.result(execution_id(1)) == {"ok": 55}
    assert restored.api.call(execution_id(2), FIBOA, 10, 3) == {"ok": 55}
    assert restored.terminate() == 0


def test_a_damaged_file_is_told_by_the_exit_code(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(manifest_entry("fibo-activity"))
    text = daemon.directory / "text"
    text.write_text("text")
    assert daemon.run("check-db", str(text)).code == os.EX_DATAERR
    daemon.start()
    assert daemon.api.call(execution_id(1), "testing:fibo/fibo.fibo", 10) == {"ok": 55}
    assert daemon.terminate() == 0
    database = daemon.snapshot("damaged")
    database.execute("UPDATE execution SET version = 9")
    database.commit()
    database.close()
    checked = daemon.run("check-db", str(daemon.directory / "damaged.db"))
    assert checked.code == 1
    assert f"execution {execution_id(1)}: version is 9, and its log says 3" in checked.out
