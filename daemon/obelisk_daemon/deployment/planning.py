"""From a checked manifest to what an executor runs: components linked once, settings merged once."""

from datetime import timedelta
from typing import Final

from obelisk_config import ComponentSpec, FunctionSettings
from obelisk_daemon.deployment.checking import Candidate
from obelisk_daemon.execution.events import RetryPolicy
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.executor.plan import ComponentPlan, ExecutorPlan, FunctionPlan
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm import wasi
from obelisk_daemon.wasm.callbacks import HostFunction
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.guest import GuestLimits
from obelisk_daemon.wasm.host import log, workflow
from obelisk_daemon.wasm.linker import LinkedComponent
from obelisk_daemon.wasm.wasi.context import HttpLimits
from obelisk_daemon.wasm.wasi.egress import AllowedHost, EgressPolicy

_MICROSECOND: Final = timedelta(microseconds=1)


def plan_generation(candidate: Candidate, generation: int) -> ExecutorPlan:
    """Link every component and put its functions together with their settings."""
    manifest = candidate.manifest
    functions: dict[str, FunctionPlan] = {}
    for spec in manifest.components:
        component = candidate.components[spec.name]
        linked = LinkedComponent(component, _Resolver(spec.kind == "workflow"))
        planned = _component_plan(spec, component, linked)
        for ffqn, of in component.exports.items():
            functions[str(ffqn)] = _function_plan(ffqn, of, planned, spec.settings_for(str(ffqn)))
    return ExecutorPlan(generation, functions, frozenset(manifest.executor.labels))


class _Resolver:
    """Finds the host's function behind an import. What is neither WASI nor ours is another component's."""

    def __init__(self, is_workflow: bool) -> None:
        self._is_workflow = is_workflow

    def __call__(self, interface: str, function: str, of: FunctionType) -> HostFunction | None:
        found = wasi.resolve(interface, function) or log.resolve(interface, function)
        if found is not None or not self._is_workflow or interface.startswith("wasi:"):
            return found
        return workflow.resolve(interface, function) or workflow.calling(f"{interface}.{function}", of)


def _component_plan(spec: ComponentSpec, component: Component, linked: LinkedComponent) -> ComponentPlan:
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
        on_block=spec.on_block,
        max_hot=spec.max_hot,
        on_nondeterminism=spec.on_nondeterminism,
    )


def _egress(spec: ComponentSpec) -> EgressPolicy:
    allowed = [
        AllowedHost(
            scheme=host.scheme,
            host=host.host,
            port=host.port,
            methods=None if host.methods is None else frozenset(host.methods),
            allow_private=host.allow_private,
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
    )
