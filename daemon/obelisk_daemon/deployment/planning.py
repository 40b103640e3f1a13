"""From a checked manifest to what an executor runs: components linked once, settings merged once."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from obelisk_config import ComponentSpec, FunctionSettings
from obelisk_daemon.deployment.checking import Candidate
from obelisk_daemon.deployment.stubs import Stub
from obelisk_daemon.execution.events import RetryPolicy
from obelisk_daemon.execution.wit_extensions import find_extension
from obelisk_daemon.execution.wit_types import FunctionType
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


def plan_generation(candidate: Candidate, generation: int) -> ExecutorPlan:
    """Link every component and put its functions together with their settings; add the stubs, which are never run."""
    manifest = candidate.manifest
    functions: dict[str, FunctionPlan] = {}
    types = {str(ffqn): of for one in candidate.exporting for ffqn, of in one.exports.items()}
    for spec in manifest.components:
        component = candidate.components[spec.name]
        linked = link(component, types)
        planned = _component_plan(spec, component, linked, candidate.secrets)
        for ffqn, of in component.exports.items():
            functions[str(ffqn)] = _function_plan(ffqn, of, planned, spec.settings_for(str(ffqn)))
    for spec_of_stub in manifest.stubs:
        functions |= _stub_plans(candidate.stubs[spec_of_stub.name])
    return ExecutorPlan(generation, functions, frozenset(manifest.executor.labels))


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
