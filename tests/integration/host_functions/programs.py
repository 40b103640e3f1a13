"""Programs for the interpreters on the real engine, and what is left of a run when times and chance are taken out."""

import json
import re
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from obelisk_daemon.execution.events import Entry, HistoryEvent
from obelisk_daemon.execution.outcome import Failed, Returned
from obelisk_daemon.ids import ExecutionId
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.uses import FIBO, QUICK, Use
from tests.integration.host_functions.guests import ERRORS

RUN = "testing:interpreter/interpreter.run"
FIBO_NAME = "testing:fibo/fibo.fibo"
APPROVE_NAME = "testing:approval/approval.approve"
SOON, NEVER = {"in": {"milliseconds": 1}}, {"in": {"hours": 9}}
ONCE = msgspec.structs.replace(QUICK, max_retries=0)
SHORT = timedelta(milliseconds=200)
ENDING = (
    Use("ending-activity", timeout=SHORT, retry=ONCE),
    Use("ending-workflow", fuel=10_000, retry=ONCE),
    Use("ending-elsewhere", labels=frozenset({"elsewhere"})),
)
"""Children that never return: `activity` traps or times out, `workflow` traps or is out of fuel, `elsewhere` waits."""
Program = dict[str, object]
_ID = re.compile(r"(?<=E_)[0-9A-HJKMNP-TV-Z]{26}|(?<=Delay_)[0-9A-HJKMNP-TV-Z]{26}|(?<=Err_)[0-9A-Z]{26}")
_TIMES = {"due_at", "created_at"}


def op(name: str, /, **arguments: object) -> Program:
    return {"op": name, **arguments}


CREATE = op("join-set-create")


def submit(function: str, *params: object, join_set: int = 0) -> Program:
    return op("submit-json", set=join_set, function=function, params=list(params))


def ending(interface: str, error: str, *, spin: bool = False) -> dict[str, object]:
    """Name a call of a function that never returns."""
    assert error in (*ERRORS, "bare")
    return {"function": f"testing:ending/{interface}.{error}", "params": [spin]}


class Ran(msgspec.Struct):
    """What a program gave, or how it failed; what it asked, and what it logged."""

    gave: object
    history: list[object]
    lines: list[str]


async def ran(lab: Lab, *program: Program, guest: str, on_block: str = "hot", uses: Sequence[Use] = ()) -> Ran:
    """Run a program in a daemon of its own."""
    async with lab.daemon(FIBO, Use(guest, on_block=on_block), *uses) as daemon:
        execution = await daemon.submit(RUN, json.dumps(program))
        return await told(daemon, execution)


async def told(daemon: Daemon, execution: ExecutionId) -> Ran:
    """Wait for the end of an execution, compare its row with its log, and tell of it."""
    outcome = await daemon.result(execution)
    await daemon.check(execution)
    log = await daemon.log(execution)
    gave: object = [outcome.kind, outcome.reason] if isinstance(outcome, Failed) else outcome.value
    if isinstance(outcome, Returned) and "ok" in outcome.value:
        gave = json.loads(str(outcome.value["ok"]))
    steady = _Steady()
    return Ran(steady(gave), [steady(event) for event in history_of(log)], await daemon.lines(execution))


def history_of(log: Sequence[Entry]) -> list[object]:
    return [_timeless(msgspec.to_builtins(e.event.event)) for e in log if isinstance(e.event, HistoryEvent)]


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: _timeless(of) for key, of in value.items() if key not in _TIMES}
    return [_timeless(of) for of in value] if isinstance(value, list | tuple) else value


class _Steady:
    """Gives ids names that are the same in every run: the first execution is `E_`, others `E_2`, `Err_3` and so on."""

    def __init__(self) -> None:
        self._names = {f"{1:026d}": ""}

    def __call__(self, value: object) -> object:
        return json.loads(_ID.sub(self._name, json.dumps(value)))

    def _name(self, found: re.Match[str]) -> str:
        return self._names.setdefault(found[0], str(len(self._names) + 1))
