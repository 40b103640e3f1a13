"""A daemon that is killed again and again under a mix of workflows: each ends once, with the right result."""

import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon, Json, execution_id
from tests.guests import manifest_entry

ROUNDS = 27 if os.environ.get("OBELISK_SOAK") else 1
KILLS: Final = 74
"""In each round; with those of `test_kills`, a hundred in CI and two thousand in a soak."""
SUBMITTED: Final = 3
"""Executions between two kills."""
STARTING: Final = ("recovered", "the API listens on")
"""What the log says on the way to `ready`: some kills come there."""
PATIENT: Final[Json] = {"max_retries": 1_000, "backoff": {"initial": "20ms", "max": "20ms"}}
"""By chance, one activity may be hit by several kills, and a workflow before it got on."""
FIBOA: Final = ("fibo-workflow", "fibo-python", "fibo-workflow")
"""The same workflow in WAT, and in every third round of a soak in Python."""


class Kind(NamedTuple):
    """A call and its result. None: a time of the daemon."""

    ffqn: str
    params: Sequence[int]
    result: object
    is_cancelled: bool = False


KINDS: Final = (
    Kind("testing:fibo/workflow.fiboa", (10, 8), 55),
    Kind("testing:nested/outer.run", (10, 3), 55),
    Kind("testing:fanout/fanout.run", (12, 10), 660),
    Kind("testing:sleeper/sleeper.nap", (400,), None),
    Kind("testing:fibo/workflow.fiboa", (10, 10_000), None, is_cancelled=True),
    Kind("testing:sleeper/sleeper.nap", (3_600_000,), None, is_cancelled=True),
)


def tables(seed: int) -> list[str]:
    """Write the manifest of a round."""
    fiboa = FIBOA[seed % len(FIBOA)]
    workflows = ((fiboa, "hot"), ("fanout", "unload"), ("nested", "hot"), ("sleeper", "unload"))
    return [
        "[executor]\nmax_running = 6",
        manifest_entry("fibo-activity", **PATIENT),
        *[manifest_entry(name, **PATIENT, cancellable=True, on_block=on_block) for name, on_block in workflows],
    ]


class Mix:
    """What was submitted to a daemon that is killed again and again."""

    def __init__(self, daemon: Daemon, seed: int) -> None:
        self.daemon = daemon
        self.kinds: dict[str, Kind] = {}
        self._random = random.Random(seed)
        self._unheard: list[str] = []
        """Submitted when the kill came: nobody knows if they were stored."""

    def go_on(self) -> None:
        """Start the daemon, have it work, and kill it at some moment."""
        api = self.daemon.start() and self.daemon.api
        for known in self._unheard:
            api.submit(known, self.kinds[known].ffqn, *self.kinds[known].params)
        self._unheard.clear()
        for _ in range(SUBMITTED):
            known = self._new()
            api.submit(known, self.kinds[known].ffqn, *self.kinds[known].params)
            if self.kinds[known].is_cancelled and self._random.random() < 0.5:
                self.cancel(known)
        chosen = self._random.choice(list(self.kinds)[-9:])
        api.get(f"/v1/executions/{chosen}/events", from_=self._random.randint(1, 20), limit=1, wait=0.3)
        late = self._new()
        body = {"ffqn": self.kinds[late].ffqn, "params": list(self.kinds[late].params)}
        api.send("PUT", f"/v1/executions/{late}", body)
        self._unheard.append(late)
        self.daemon.kill()

    def kill_in_the_start(self) -> None:
        """Kill the daemon on its way to be ready."""
        self.daemon.launch().until_logged(self._random.choice(STARTING))
        self.daemon.kill()

    def cancel(self, known: str) -> None:
        status, document = self.daemon.api.request("POST", f"/v1/executions/{known}/cancel")
        assert status == 200, document

    def _new(self) -> str:
        known = execution_id(len(self.kinds) + 1)
        self.kinds[known] = self._random.choice(KINDS)
        return known


def assert_ended(daemon: Daemon, known: str) -> None:
    """Assert that the log of an execution has one end, and that each lock had one."""
    log = daemon.api.events(known)
    counted = Counter(event["type"] for event in log)
    assert (counted["finished"], log[-1]["type"]) == (1, "finished")
    assert counted["temporarily_failed"] == 0
    children = daemon.api.children(known)
    answered = [one["execution_id"] for one in daemon.api.responses(known) if one["type"] == "child_finished"]
    assert sorted(answered) == sorted(children)


def is_right(kind: Kind, result: Json) -> bool:
    if kind.is_cancelled:
        return bool(result["execution_failure"]["kind"] == "cancelled")
    return set(result) == {"ok"} if kind.result is None else result == {"ok": kind.result}


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_every_execution_ends_once_with_its_result_however_often_the_daemon_is_killed(
    new_daemon: NewDaemon, seed: int
) -> None:
    daemon = new_daemon(*tables(seed))
    mix = Mix(daemon, seed)
    for number in range(KILLS):
        if number % 4 == 3:
            mix.kill_in_the_start()
        else:
            mix.go_on()
    daemon.start()
    for known, kind in mix.kinds.items():
        if daemon.api.request("GET", f"/v1/executions/{known}")[0] == 404:  # the last one, of which nobody heard
            daemon.api.submit(known, kind.ffqn, *kind.params)
        if kind.is_cancelled:
            mix.cancel(known)
        assert is_right(kind, daemon.api.result(known)), known
        assert_ended(daemon, known)
    assert daemon.terminate() == 0
    report = json.loads(daemon.run("check-db", str(daemon.state_dir / "obelisk.db"), "--full", "--json").out)
    assert (report["ok"], report["damage"]) == (True, [])
    assert report["total"] > len(mix.kinds)
