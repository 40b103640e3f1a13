"""A workflow that does what it is told: it runs a program, a JSON array of operations, through the host interface.

So a test makes up any workflow without building a component. README.md describes the operations.
"""

import json
from typing import Any

from componentize_py_types import Err
from operations import OPERATIONS
from state import Skipped, State
from values import canonical, to_json
from wit_world import exports

# Global, since what a function's locals hold is dropped when it returns: what is left open is for the host to close.
KEPT: list[State] = []


class Returned(Exception):
    """The operation `fail`: the program ends with an error."""


class Interpreter(exports.Interpreter):
    """The exported interface `testing:interpreter/interpreter`. componentize-py finds it by its name."""

    def run(self, program: str) -> str:
        state = State()
        KEPT.append(state)
        try:
            return canonical(run(state, json.loads(program)))
        except Returned as returned:
            raise Err(str(returned)) from None
        except json.JSONDecodeError as error:
            raise Err(f"the program is no JSON: {error}") from None


def run(state: State, program: list[dict[str, Any]]) -> list[Any]:
    return [step(state, asked) for asked in program]


def step(state: State, asked: dict[str, Any]) -> Any:
    """Carry out one operation; say what it gave."""
    match asked["op"]:
        case "repeat":
            return [run(state, asked["body"]) for _ in range(asked["times"])]
        case "spin":
            return spin(asked["iterations"])
        case "trap":
            raise RuntimeError(asked.get("message", "trap"))
        case "fail":
            raise Returned(asked["message"])
    try:
        gave = carry_out(state, asked)
    except Skipped as skipped:
        return {"skipped": str(skipped)}
    return hidden(gave) if asked.get("hide") else gave


def carry_out(state: State, asked: dict[str, Any]) -> Any:
    operation = OPERATIONS.get(asked["op"])
    if operation is None:
        raise Returned(f"there is no operation {asked['op']}")
    try:
        gave = to_json(operation.carry_out(state, asked))
    except Err as error:
        return {"err": to_json(error.value)}
    return {"ok": gave} if operation.returns_result else gave


def hidden(gave: Any) -> Any:
    """Leave of a value only whether it is ok."""
    match gave:
        case {"ok": _}:
            return {"ok": None}
        case {"err": _}:
            return {"err": None}
        case _:
            return None


def spin(iterations: int) -> int:
    count = 0
    for _ in range(iterations):
        count += 1
    return count
