"""What a program has made so far, and the references of operations to it."""

from typing import Any

from wit_world.imports import workflow_support as host
from wit_world.imports.execution import ExecutionId, ResponseId_ExecutionId
from wit_world.imports.join_set import JoinSet


class Skipped(Exception):
    """An operation refers to something that there isn't; it is not carried out, and the program goes on."""


class State:
    """Join sets and executions, in the order in which a program asked for them. What it didn't get is None."""

    def __init__(self) -> None:
        self.join_sets: list[JoinSet | None] = []
        self.given_up: set[int] = set()
        """Join sets that were closed or dropped: the program has no handle to them any more."""
        self.executions: list[ExecutionId | None] = []

    def join_set(self, operation: dict[str, Any]) -> JoinSet:
        """Find the join set that `set` refers to; one that was given up only with `reuse`, which is a trap."""
        index = operation["set"]
        found = self.join_sets[index] if index < len(self.join_sets) else None
        if found is None:
            raise Skipped(f"there is no join set {index}")
        if index in self.given_up and not operation.get("reuse"):
            raise Skipped(f"join set {index} was given up")
        return found

    def give_up(self, operation: dict[str, Any]) -> JoinSet:
        """Find the join set that `set` refers to, which is then closed or dropped."""
        join_set = self.join_set(operation)
        self.given_up.add(operation["set"])
        return join_set

    def execution(self, operation: dict[str, Any]) -> ExecutionId:
        """Find what `execution` refers to: an index, an id, one of three words, or the last of a join set."""
        match operation["execution"]:
            case int(index):
                found = self.executions[index] if index < len(self.executions) else None
            case {"id": str(literal)}:
                found = ExecutionId(literal)
            case "current":
                found = host.execution_id_current()
            case "last-direct-call":
                found = host.last_direct_call_id()
            case "last-oneoff":
                found = _execution_of(host.last_oneoff_id())
            case {"last-of": int(index)}:
                found = _execution_of(self.join_set({"set": index}).last_id())
            case other:
                raise ValueError(f"{other} refers to no execution")
        if found is None:
            raise Skipped(f"there is no execution {operation['execution']}")
        return found


def _execution_of(response: Any) -> ExecutionId | None:
    return response.value if isinstance(response, ResponseId_ExecutionId) else None
