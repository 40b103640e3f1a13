"""A workflow that tells the host, with every request, where in its source it is.

A wasm backtrace shows a Python workflow's interpreter and not its code, so the runtime of a language can do better.
"""

import inspect
import json

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import workflow_support as errors
from wit_world.imports import workflow_support_backtrace as host
from wit_world.imports.backtrace import FrameInfo, FrameSymbol, WasmBacktrace
from wit_world.imports.execution import Function
from wit_world.imports.join_set import JoinSet
from wit_world.imports.time import Duration_Milliseconds, ScheduleAt_In, ScheduleAt_Now

FIBO = Function("testing:fibo/fibo", "fibo")
APPROVE = Function("testing:approval/approval", "approve")
SOON = ScheduleAt_In(Duration_Milliseconds(1))


class Backtraces(exports.Backtraces):
    """The exported interface `testing:backtraces/backtraces`. componentize-py finds it by its name."""

    def run(self, frames: bool) -> str:
        self.frames = frames
        try:
            gave = [*self.randomness(), *self.join_sets(), *self.stubs(), *self.others()]
        except Err as error:
            raise Err(f"{type(error.value).__name__}: {error.value}") from error
        return json.dumps(gave, separators=(",", ":"))

    def here(self) -> WasmBacktrace | None:
        """Describe the Python stack from the caller on, the innermost frame first."""
        if not self.frames:
            return None
        return WasmBacktrace([_frame(each) for each in inspect.stack(context=0)[1:]])

    def randomness(self) -> list[object]:
        return [
            host.random_u64(5, 6, self.here()),
            host.random_u64_inclusive(7, 7, self.here()),
            len(host.random_string(8, 9, self.here())),
        ]

    def join_sets(self) -> list[object]:
        named = host.join_set_create_named("frames", self.here())
        host.submit_json(named, FIBO, "[10]", self.here())
        awaited = host.join_next(named, self.here())
        generated = host.join_set_create(self.here())
        host.submit_delay(generated, SOON, self.here())
        found = self.find(generated)
        host.join_set_close(named, self.here())
        host.join_set_close(generated, self.here())
        return [_side(awaited), found]

    def find(self, join_set: JoinSet) -> str:
        """Try once, and wait if it is too early; both is right."""
        try:
            return _side(host.join_next_try(join_set, self.here()))
        except Err as error:
            if not isinstance(error.value, errors.JoinNextTryError_Pending):
                raise
        return _side(host.join_next(join_set, self.here()))

    def stubs(self) -> list[object]:
        join_set = host.join_set_create(self.here())
        approval = host.submit_json(join_set, APPROVE, "[1]", self.here())
        host.stub_json(approval, '{"ok":true}', self.here())
        return [_side(host.join_next(join_set, self.here()))]

    def others(self) -> list[object]:
        host.sleep(SOON, "nap", self.here())
        scheduled = host.execution_id_generate(self.here())
        host.schedule_json(scheduled, ScheduleAt_Now(), FIBO, "[11]", self.here())
        return [_side(host.call_json(FIBO, "[12]", self.here()))]


def _side(answer: Ok[str | None] | Err[str | None]) -> str:
    return f"{'ok' if isinstance(answer, Ok) else 'err'} {answer.value}"


def _frame(each: inspect.FrameInfo) -> FrameInfo:
    symbol = FrameSymbol(each.function, each.filename, each.lineno, None)
    return FrameInfo(each.frame.f_globals["__name__"], each.function, [symbol])
