"""What is run: functions that are the same in every simulation, and programs for them that the seed draws.

A program is JSON: a list of operations, `[name, arguments...]`, that a workflow carries out in order; `guests` says
what each does, and `reference` says it again on its own. What each operation gave is what the workflow returns.
"""

import json
import random
from typing import Final, TypeAlias

from obelisk_daemon.execution.wit_types import FunctionType, Primitive, ResultType
from obelisk_daemon.ffqn import Ffqn

Operation: TypeAlias = list[object]
Program: TypeAlias = list[Operation]

RUN: Final = Ffqn("sim:flow/flow", "run")
DO: Final = Ffqn("sim:work/work", "do")
"""An activity that is repeated until it ends well."""
TRY: Final = Ffqn("sim:once/once", "try")
"""One that is repeated once."""
APPROVE: Final = Ffqn("sim:approval/approval", "approve")
FIBO: Final = Ffqn("testing:fibo/fibo", "fibo")
FIBOA: Final = Ffqn("testing:fibo/workflow", "fiboa")
"""An activity and a workflow in wasm, which some simulations have."""
_STRING: Final = Primitive("string")
TYPES: Final = {
    str(RUN): FunctionType((("program", _STRING),), ResultType(_STRING, _STRING)),
    str(DO): FunctionType((("spec", _STRING),), ResultType(_STRING, _STRING)),
    str(TRY): FunctionType((("spec", _STRING),), ResultType(_STRING, _STRING)),
    str(FIBO): FunctionType((("n", Primitive("u8")),), ResultType(Primitive("u64"), _STRING)),
    str(APPROVE): FunctionType((("order", Primitive("u64")),), ResultType(Primitive("bool"), _STRING)),
}
_DEEPEST: Final = 2


class Author:
    """Draws programs. With `has_wasm` some of them call a function in wasm."""

    def __init__(self, draw: random.Random, *, has_wasm: bool) -> None:
        self._draw = draw
        self._has_wasm = has_wasm

    def call(self) -> tuple[str, list[object]]:
        """Draw a function to call, and its parameters."""
        if self._has_wasm and self._draw.random() < 0.4:
            return str(FIBOA), [self._draw.randint(1, 30), self._draw.randint(1, 8)]
        return str(RUN), [json.dumps(self.program())]

    def program(self, depth: int = 0) -> Program:
        """Draw a program; below `depth` its children have ever fewer children."""
        sets = self._draw.randint(0, 2) if depth < _DEEPEST else 0
        program: Program = [["set"] if self._draw.random() < 0.7 else ["named", f"set-{n}"] for n in range(sets)]
        for _ in range(self._draw.randint(1, 7 - 2 * depth)):
            program.append(self._operation(sets, depth))
        return program

    def work(self) -> str:
        """Draw the parameter of an activity: how long it takes, and what it gives."""
        return json.dumps({"ms": self._draw.choice((0, 1, 30, 400)), "gives": self._draw.randrange(1_000)})

    def _operation(self, sets: int, depth: int) -> Operation:
        draw = self._draw
        if sets and draw.random() < 0.6:
            return self._in_set(draw.randrange(sets), depth)
        match draw.randrange(14):
            case 0 | 1 if self._has_wasm:
                return ["call", str(FIBO), draw.randint(1, 30)]
            case 0 | 1 | 2 | 3:
                return ["call", str(DO), self.work()]
            case 4:
                return ["call", str(TRY), self.work()]
            case 5 | 6 if depth < _DEEPEST:
                return ["call", str(RUN), json.dumps(self.program(depth + 1))]
            case 7 | 8:
                return ["sleep", self._milliseconds()]
            case 9:
                return ["random", draw.randint(1, 100)]
            case 10:
                return ["schedule", json.dumps(self.program(_DEEPEST)), self._milliseconds()]
            case 11:
                return ["compute", draw.choice((0, 1, 50))]
            case 12 if draw.random() < 0.3:
                return [draw.choice(("trap", "fail"))]
            case _:
                return ["log", f"line {draw.randrange(1_000)}"]

    def _in_set(self, chosen: int, depth: int) -> Operation:
        draw = self._draw
        match draw.randrange(16):
            case 0 | 1 | 2:
                return ["submit", chosen, str(DO), self.work()]
            case 3:
                return ["submit", chosen, str(TRY), self.work()]
            case 4 | 5 if depth < _DEEPEST:
                return ["submit", chosen, str(RUN), json.dumps(self.program(depth + 1))]
            case 6 | 7:
                return ["delay", chosen, self._milliseconds()]
            case 8 | 9:
                return ["try", chosen]
            case 10:
                return ["approval", chosen, draw.randrange(1_000)]
            case 11:
                return ["approve", draw.randrange(2), draw.random() < 0.5]
            case 12 if draw.random() < 0.4:
                return [draw.choice(("close", "drop")), chosen]
            case _:
                return ["next", chosen]

    def _milliseconds(self) -> int:
        return self._draw.choice((0, 5, 300, 2_000, 9_000))
