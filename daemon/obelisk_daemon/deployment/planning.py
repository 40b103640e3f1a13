"""From a checked manifest to what an executor runs: components linked once, settings merged once."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from obelisk_config import ComponentSpec, FunctionSettings
from obelisk_daemon.deployment.checking import Candidate
from obelisk_daemon.deployment.stubs import Stub
from obelisk_daemon.execution.called_functions import called_functions, expected_type
from obelisk_daemon.execution.events import RetryPolicy
from obelisk_daemon.execution.wit_extensions import find_extension
from obelisk_daemon.execution.wit_types import FunctionType, same_shape
from obelisk_daemon.executor.plan import ComponentPlan, ExecutorPlan, FunctionPlan
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm import wasi
from obelisk_daemon.wasm.callbacks import HostFunction
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.host import calls, log, workflow
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.wasi.context import HttpLimits
from obelisk_daemon.wasm.wasi.egress import AllowedHost, EgressPolicy
from obelisk_daemon.wasm.wasi.secret import Secret

_MICROSECOND: Final = timedelta(microseconds=1)
_CANCELLABLE: Final = "-cancellable"


class Linker:
    """Links components; what was linked to the same before, and is still in use, is not linked again."""

    def __init__(self) -> None:
        self._linked: WeakValueDictionary[object, LinkedComponent] = WeakValueDictionary()

    def link(self, component: Component, types: Mapping[str, FunctionType]) -> LinkedComponent:
        """Bind a component's imports; `types` are those of other components' functions, by ffqn.

        Raises:
            ComponentError: `missing_import`.
        """
        found = (find_extension(one.interface, one.function) for one in component.imports)
        targets = {str(extension.target) for extension in found if extension is not None}
        extended = tuple((name, types[name]) for name in sorted(targets) if name in types)
        key = (component.digest, component.kind, extended)
        linked = self._linked.get(key)
        if linked is None:
            linked = self._linked[key] = link(component, types)
        return linked


class Retained(msgspec.Struct, frozen=True):
    """Older code of a component that unfinished executions are on, and the functions of it that they need."""

    name: str
    component: Component
    ffqns: tuple[Ffqn, ...]


def plan_generation(
    candidate: Candidate, generation: int, linker: Linker | None = None, retained: Sequence[Retained] = ()
) -> ExecutorPlan:
    """Link every component and put its functions together with their settings; add the stubs, which are never run.

    Code that is `retained` gets the settings that its component has now. The plan is for no executor in particular.
    """
    linker = linker or Linker()
    manifest, types = candidate.manifest, candidate.exports
    functions: dict[str, FunctionPlan] = {}
    for spec in manifest.components:
        functions |= _function_plans(spec, candidate.components[spec.name], linker, types, candidate.secrets)
    for spec_of_stub in manifest.stubs:
        functions |= _stub_plans(candidate.stubs[spec_of_stub.name])
    older: dict[tuple[str, str], FunctionPlan] = {}
    broken: list[tuple[str, str]] = []
    for one in retained:
        now = manifest.component(one.name)
        assert now is not None, "what is retained is of a component that is still there"
        known = {ffqn: called.type for ffqn, called in called_functions(one.component.imports).items()}
        own = {**types, **known}  # as its log was written
        planned = _function_plans(now, one.component, linker, own, candidate.secrets)
        older |= {(str(ffqn), one.component.digest): planned[str(ffqn)] for ffqn in one.ffqns}
        broken += [(one.component.digest, ffqn) for ffqn in broken_calls(one.component, types)]
    return ExecutorPlan(generation, functions, frozenset(), older, broken)


def broken_calls(component: Component, types: Mapping[str, FunctionType]) -> list[str]:
    """Find the functions of other components that some code calls, and that are missing or of another type now."""
    broken = []
    for imported in component.imports:
        if imported.interface.startswith(("wasi:", "obelisk:")):
            continue
        extension = find_extension(imported.interface, imported.function)
        target = f"{imported.interface}.{imported.function}" if extension is None else str(extension.target)
        if target not in types or not same_shape(imported.type, expected_type(imported, types[target])):
            broken.append(target)
    return broken


def _function_plans(
    spec: ComponentSpec,
    component: Component,
    linker: Linker,
    types: Mapping[str, FunctionType],
    secrets: Mapping[str, Secret],
) -> dict[str, FunctionPlan]:
    planned = _component_plan(spec, component, linker.link(component, types), secrets)
    return {
        str(ffqn): _function_plan(ffqn, of, planned, spec.settings_for(str(ffqn)))
        for ffqn, of in component.exports.items()
    }


def link(component: Component, types: Mapping[str, FunctionType]) -> LinkedComponent:
    """Bind a component's imports; `types` are those of other components' functions, by ffqn.

    Raises:
        ComponentError: `missing_import`.
    """
    return LinkedComponent(component, _Resolver(component.kind == "workflow", types))


class _Resolver:
    """Finds the host's function behind an import. What is neither WASI nor ours is another component's."""

    def __init__(self, is_workflow: bool, types: Mapping[str, FunctionType]) -> None:
        self._is_workflow = is_workflow
        self._types = types

    def __call__(self, interface: str, function: str, of: FunctionType) -> HostFunction | None:
        found = wasi.resolve(interface, function) or log.resolve(interface, function)
        if found is not None or not self._is_workflow or interface.startswith("wasi:"):
            return found
        return workflow.resolve(interface, function) or workflow.requesting(self._other(interface, function, of))

    def _other(self, interface: str, function: str, of: FunctionType) -> HostFunction:
        extension = find_extension(interface, function)
        base = None if extension is None else self._types.get(str(extension.target))
        if extension is None or base is None:
            return calls.calling(f"{interface}.{function}", of)
        return calls.extending(extension, base)


def _component_plan(
    spec: ComponentSpec, component: Component, linked: LinkedComponent, secrets: Mapping[str, Secret]
) -> ComponentPlan:
    limits = spec.limits
    return ComponentPlan(
        name=spec.name,
        kind=spec.kind,
        digest=component.digest,
        linked=linked,
        env=spec.env,
        limits=GuestLimits(memory=limits.memory, fuel=limits.fuel, host_calls=limits.host_calls, value=limits.value),
        log_bytes=limits.logs,
        forward_stdio=spec.forward_stdio,
        egress=_egress(spec),
        http_limits=_http_limits(spec),
        secrets=tuple(secrets[name] for name in spec.secrets),
        on_block=spec.on_block,
        max_hot=spec.max_hot,
        on_nondeterminism=spec.on_nondeterminism,
        on_trap=spec.on_trap,
        max_history_events=spec.max_history_events,
        on_upgrade=spec.on_upgrade,
        max_running=spec.max_running,
    )


def _egress(spec: ComponentSpec) -> EgressPolicy:
    allowed = [
        AllowedHost(
            scheme=host.scheme,
            host=host.host,
            port=host.port,
            methods=None if host.methods is None else frozenset(host.methods),
            allow_private=host.allow_private,
            secrets=frozenset(host.secrets),
        )
        for host in spec.allowed_hosts
    ]
    return EgressPolicy(tuple(allowed))


def _http_limits(spec: ComponentSpec) -> HttpLimits:
    requests, size = spec.limits.http_requests, spec.limits.http_bytes
    if requests is None or size is None:  # a workflow, which has no HTTP
        return HttpLimits(requests=0)
    return HttpLimits(requests=requests, request_body_bytes=size, response_body_bytes=size)


def _function_plan(ffqn: Ffqn, of: FunctionType, component: ComponentPlan, settings: FunctionSettings) -> FunctionPlan:
    backoff = settings.backoff
    retry = RetryPolicy(
        max_retries=settings.max_retries,
        initial=backoff.initial.total_seconds(),
        factor=backoff.factor,
        max=backoff.max.total_seconds(),
        jitter=backoff.jitter,
        retry_on=settings.retry_on,
    )
    return FunctionPlan(
        ffqn=ffqn,
        component=component,
        type=of,
        timeout_us=settings.timeout // _MICROSECOND,
        retry=retry,
        labels=frozenset(settings.labels),
        cancellable=settings.cancellable or ffqn.function.endswith(_CANCELLABLE),
    )


def _stub_plans(stub: Stub) -> dict[str, FunctionPlan]:
    """Make plans that are there to be called, and never run: their settings are those that ask for nothing."""
    component = ComponentPlan(
        name=stub.name,
        kind="stub",
        digest=stub.digest,
        linked=None,
        env={},
        limits=GuestLimits(),
        log_bytes=0,
        forward_stdio=False,
        egress=EgressPolicy(),
        http_limits=HttpLimits(requests=0),
    )
    retry = RetryPolicy(max_retries=0, initial=0, factor=1, max=0, jitter=0, retry_on=())
    return {
        str(ffqn): FunctionPlan(ffqn, component, of, timeout_us=0, retry=retry, labels=frozenset())
        for ffqn, of in stub.exports.items()
    }
