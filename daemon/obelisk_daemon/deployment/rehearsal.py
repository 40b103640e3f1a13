"""Replaying a log on a component that no manifest declares: linked to what it tells itself of other functions.

Nobody has linked such a component to anything, and its author may mean ill, so its imports are checked here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from obelisk_daemon.deployment.planning import link
from obelisk_daemon.errors import CallerError, ComponentError, NotFoundError
from obelisk_daemon.execution.called_functions import Imported, called_functions, expected_type
from obelisk_daemon.execution.events import Created
from obelisk_daemon.execution.saved_log import SavedLog, functions_in
from obelisk_daemon.execution.wit_extensions import find_extension
from obelisk_daemon.execution.wit_host import host_function
from obelisk_daemon.execution.wit_json import params_from_json, same, to_json
from obelisk_daemon.execution.wit_text import signature
from obelisk_daemon.execution.wit_types import FunctionType, same_shape
from obelisk_daemon.executor.replaying import Verdict, VerdictKind, replay
from obelisk_daemon.executor.workflow_guest import Program
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import StoredLog
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.linker import LinkedComponent


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a replay found, as the API and the commands show it. `verdict` and `version` are those of `Verdict`."""

    execution_id: str
    component_digest: str
    passed: bool
    verdict: VerdictKind
    version: int
    summary: str
    expected: str = ""
    got: str = ""
    result: dict[str, Any] | None = None


def report_of(saved: SavedLog, digest: str, verdict: Verdict) -> ReplayReport:
    """Describe a verdict."""
    return ReplayReport(
        execution_id=saved.execution_id,
        component_digest=digest,
        passed=verdict.passed,
        verdict=verdict.kind,
        version=verdict.version,
        summary=verdict.summary,
        expected=verdict.expected,
        got=verdict.got,
        result=verdict.outcome,
    )


def saved_log(
    execution_id: ExecutionId, log: StoredLog, limits: GuestLimits, types: Mapping[str, FunctionType]
) -> SavedLog:
    """Put together what a replay needs; `limits` are those of the component, `types` those of all functions.

    Raises:
        NotFoundError: `execution_not_found`: the log is empty.
        CallerError: `not_a_workflow`.
    """
    if not log.entries:
        raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
    created = log.entries[0].event
    assert isinstance(created, Created)
    if created.terms is None:
        raise CallerError("not_a_workflow", f"{execution_id} is no workflow, and only workflows are replayed")
    return SavedLog(
        execution_id=execution_id,
        entries=log.entries,
        responses=log.responses,
        functions=functions_in(log.entries, types),
        memory=limits.memory,
        fuel=limits.fuel or 0,
        host_calls=limits.host_calls,
        value=limits.value,
    )


async def rehearse(saved: SavedLog, component: Component, functions: Mapping[str, FunctionType]) -> Verdict:
    """Replay a log on a component; `functions` are those of other components, by ffqn.

    Raises:
        ComponentError: `import_type_mismatch`, `unknown_host_function`.
        CallerError: `not_exported`, `type_check_failed` when its parameters changed, or one of `replay`.
        HostExhaustedError: this machine has no room for the guest now.
    """
    ffqn = Ffqn.parse(saved.created.ffqn)
    of = component.exports.get(ffqn)
    if of is None:
        exported = ", ".join(map(str, component.exports)) or "nothing"
        raise CallerError("not_exported", f"the component doesn't export {ffqn}, but {exported}")
    params = saved.created.params
    if not same(params_from_json(of, to_json(params)), params):
        raise CallerError(
            "type_check_failed", f"the parameters of {saved.execution_id} are not those of {signature(of)}"
        )
    limits = GuestLimits(memory=saved.memory, fuel=saved.fuel, host_calls=saved.host_calls, value=saved.value)
    linked, known = link_alone(component, functions)
    return await replay(Program(linked, ffqn, limits), saved, known)


def link_alone(
    component: Component, functions: Mapping[str, FunctionType]
) -> tuple[LinkedComponent, dict[str, FunctionType]]:
    """Link a component to what its own imports say of the functions that are not among `functions`; give all of them.

    Raises:
        ComponentError: `import_type_mismatch`, `unknown_host_function`.
    """
    known = {name: called.type for name, called in called_functions(component.imports).items()} | dict(functions)
    check_imports(component.imports, known)
    return link(component, known), known


def check_imports(imports: Iterable[Imported], known: Mapping[str, FunctionType]) -> None:
    """Compare a component's imports with the host's functions, and with the `known` ones of other components.

    Raises:
        ComponentError: `import_type_mismatch`, `unknown_host_function`.
    """
    for one in imports:
        if one.interface.startswith("wasi:"):
            continue
        name = f"{one.interface}.{one.function}"
        if one.interface.startswith("obelisk:"):
            expected = host_function(one.interface, one.function)
            if expected is None:
                raise ComponentError("unknown_host_function", f"the component imports {name}, which no host gives")
        else:
            extension = find_extension(one.interface, one.function)
            expected = expected_type(one, known[name if extension is None else str(extension.target)])
        if not same_shape(one.type, expected):
            message = f"the component imports {name} as {signature(one.type)}, but it is {signature(expected)}"
            raise ComponentError("import_type_mismatch", message)
