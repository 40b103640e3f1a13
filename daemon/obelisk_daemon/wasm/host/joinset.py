"""The resource `join-set` of `obelisk:types/join-set@5.0.0`, and what workflows do with it."""

from collections.abc import Callable, Mapping
from typing import Final

from obelisk_daemon.execution.events import ResponseItem
from obelisk_daemon.execution.joinsets import member_of, name_problem
from obelisk_daemon.wasm.host import values
from obelisk_daemon.wasm.host.context import HostedGuest, WorkflowHost, workflow_of

HostFunction = Callable[..., object]


class JoinSetHandle:
    """What a guest holds. Dropping it closes the join set before the guest may ask for anything else."""

    def __init__(self, host: WorkflowHost, name: str) -> None:
        self._host = host
        self.name = name

    def drop(self) -> None:
        """Note that the guest has dropped it."""
        self._host.dropped.append(self.name)


def name_of(guest: HostedGuest, rep: int) -> str:
    """Give the id of a borrowed join set."""
    handle = guest.table.get(rep)
    assert isinstance(handle, JoinSetHandle)
    return handle.name


async def flush_then(host: WorkflowHost, value: object) -> object:
    """Give a value after a commit of what was asked."""
    await host.flush()
    return value


def _create(guest: HostedGuest) -> object:
    host = workflow_of(guest)
    return guest.table.new(JoinSetHandle(host, host.journal.create_set("g")))


def _create_named(guest: HostedGuest, name: str) -> object:
    host = workflow_of(guest)
    if problem := name_problem(name):
        return {"err": {"invalid_name": problem}}
    created = host.journal.create_named_set(name)
    return {"err": "conflict"} if created is None else {"ok": guest.table.new(JoinSetHandle(host, created))}


def _close(guest: HostedGuest, rep: int) -> object:
    handle = guest.table.take(rep)
    assert isinstance(handle, JoinSetHandle)
    return workflow_of(guest).close(handle.name)


def _id(guest: HostedGuest, rep: int) -> object:
    return name_of(guest, rep)


def _last_id(guest: HostedGuest, rep: int) -> object:
    last = workflow_of(guest).journal.sets[name_of(guest, rep)].last
    return None if last is None else values.response_id(member_of(last))


def _submit_delay(guest: HostedGuest, rep: int, timeout: object) -> object:
    host = workflow_of(guest)
    return {"id": host.journal.submit_delay(name_of(guest, rep), values.intent_of(timeout))}


def _submit_json(guest: HostedGuest, rep: int, function: Mapping[str, str], params: str) -> object:
    host = workflow_of(guest)
    journal, join_set, ffqn = host.journal, name_of(guest, rep), values.ffqn_of(function)
    parsed = journal.refused_next(ffqn, params) or values.parse_call(ffqn, params, host.function_type(ffqn))
    if not isinstance(parsed, list):
        return {"err": values.call_error(journal.refuse(join_set, ffqn, params, parsed))}
    return {"ok": {"id": journal.submit(join_set, ffqn, parsed)}}


def _join_next(guest: HostedGuest, rep: int) -> object:
    host, join_set = workflow_of(guest), name_of(guest, rep)
    if not host.journal.ask_next(join_set):
        return {"err": "all_processed"}
    item = host.journal.take(join_set)
    return _wait_next(host, join_set) if item is None else {"ok": answer(host, join_set, item)}


async def _wait_next(host: WorkflowHost, join_set: str) -> object:
    return {"ok": answer(host, join_set, await host.wait(join_set))}


def _join_next_try(guest: HostedGuest, rep: int) -> object:
    host, join_set = workflow_of(guest), name_of(guest, rep)
    replayed = host.journal.is_replaying
    found = host.journal.try_next(join_set)
    if found == "pending":
        # a guest that polls must let what it polls for happen
        return {"err": "pending"} if replayed else flush_then(host, {"err": "pending"})
    if found == "all_processed":
        return {"err": "all_processed"}
    item = host.journal.take(join_set)
    assert item is not None
    return {"ok": answer(host, join_set, item)}


def answer(host: WorkflowHost, join_set: str, item: ResponseItem) -> object:
    """Write a response in JSON form."""
    ffqn = host.journal.sets[join_set].members[member_of(item)]
    return values.json_answer(item, None if ffqn is None else host.function_type(ffqn))


TYPES: Final[Mapping[str, HostFunction]] = {
    "[method]join-set.id": _id,
    "[method]join-set.last-id": _last_id,
}
FUNCTIONS: Final[Mapping[str, HostFunction]] = {
    "join-set-create": _create,
    "join-set-create-named": _create_named,
    "join-set-close": _close,
    "submit-delay": _submit_delay,
    "submit-json": _submit_json,
    "join-next": _join_next,
    "join-next-try": _join_next_try,
}
