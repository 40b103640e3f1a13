"""Calls of other components' functions: directly, and through the generated extensions."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import ChildFinished, ResponseItem, Schedule, Stub
from obelisk_daemon.execution.joinsets import member_of
from obelisk_daemon.execution.projection import value_for_caller
from obelisk_daemon.execution.wit_extensions import Extension
from obelisk_daemon.execution.wit_types import FunctionType, ResultType
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.wasm.host import values
from obelisk_daemon.wasm.host.context import HostedGuest, WorkflowHost, workflow_of
from obelisk_daemon.wasm.host.joinset import name_of

HostFunction = Callable[..., object]


def calling(ffqn: str, function: FunctionType) -> HostFunction:
    """Make the host function behind an import of another component's function."""

    def call(guest: HostedGuest, *params: object) -> object:
        host = workflow_of(guest)
        join_set = host.journal.call(ffqn, list(params))
        item = host.journal.take(join_set)
        return _wait_for_child(host, join_set, function) if item is None else _child_value(item, function)

    return call


def extending(extension: Extension, base: FunctionType) -> HostFunction:
    """Make the host function behind an import of a generated extension of a function of type `base`."""
    return _EXTENSIONS[extension.kind](str(extension.target), base)


async def _wait_for_child(host: WorkflowHost, join_set: str, function: FunctionType) -> object:
    return _child_value(await host.wait(join_set), function)


def _child_value(item: ResponseItem, function: FunctionType) -> object:
    assert isinstance(item, ChildFinished)
    return value_for_caller(function, item.outcome)


def _submitting(ffqn: str, _base: FunctionType) -> HostFunction:
    def submit(guest: HostedGuest, rep: int, *params: object) -> object:
        return {"id": workflow_of(guest).journal.submit(name_of(guest, rep), ffqn, list(params))}

    return submit


def _awaiting(ffqn: str, base: FunctionType) -> HostFunction:
    def taken(host: WorkflowHost, join_set: str, item: ResponseItem) -> object:
        actual = host.journal.sets[join_set].members[member_of(item)]
        if actual != ffqn:
            return {"err": values.mismatch(ffqn, member_of(item), actual)}
        return {"ok": _child_value(item, base)}

    async def waited(host: WorkflowHost, join_set: str) -> object:
        return taken(host, join_set, await host.wait(join_set))

    def await_next(guest: HostedGuest, rep: int) -> object:
        host, join_set = workflow_of(guest), name_of(guest, rep)
        if not host.journal.ask_next(join_set, ffqn):
            return {"err": "all_processed"}
        item = host.journal.take(join_set)
        return waited(host, join_set) if item is None else taken(host, join_set, item)

    return await_next


def _getting(ffqn: str, base: FunctionType) -> HostFunction:
    def get(guest: HostedGuest, execution_id: Mapping[str, str]) -> object:
        child = ExecutionId(execution_id["id"])
        known = workflow_of(guest).journal.sets.results.get(child)
        if known is None:
            return {"err": "not_found_in_processed_responses"}
        actual, outcome = known
        if actual != ffqn:
            return {"err": values.mismatch(ffqn, child, actual)}
        return {"ok": value_for_caller(base, outcome)}

    return get


def _scheduling(ffqn: str, _base: FunctionType) -> HostFunction:
    def schedule(guest: HostedGuest, schedule_at: object, *params: object) -> object:
        host = workflow_of(guest)
        execution_id = host.journal.new_execution_id()
        event = Schedule(execution_id, ffqn, list(params), values.intent_of(schedule_at), Instant(0))
        host.journal.schedule(event)
        return {"id": execution_id}

    return schedule


def _stubbing(ffqn: str, base: FunctionType) -> HostFunction:
    def stub(guest: HostedGuest, execution_id: Mapping[str, str], result: object = None) -> object:
        returned = result if isinstance(result, dict) and isinstance(base.result, ResultType) else {"ok": result}
        host, given = workflow_of(guest), Stub(ExecutionId(execution_id["id"]), returned, "ok")
        return (
            stub_result(host.journal.stub(given)) if host.journal.is_replaying else _give(host, ffqn, given, returned)
        )

    return stub


async def _give(host: WorkflowHost, ffqn: str, given: Stub, returned: dict[str, object]) -> object:
    await host.flush()  # the execution may be one that was only just asked for
    came = await host.finish_stub(given.execution_id, ffqn, returned)
    return stub_result(host.journal.stub(msgspec.structs.replace(given, came=came)))


def stub_result(stub: Stub) -> object:
    """Write the result of the stub functions."""
    if stub.came == "ok":
        return {"ok": None}
    return {"err": {stub.came: stub.reason} if stub.came == "type_check_error" else stub.came}


_EXTENSIONS: Final[Mapping[str, Callable[[str, FunctionType], HostFunction]]] = {
    "submit": _submitting,
    "await_next": _awaiting,
    "get": _getting,
    "schedule": _scheduling,
    "stub": _stubbing,
}
