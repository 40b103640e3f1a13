"""Making a checked manifest the active generation: one transaction, after which the database refuses other code."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

import msgspec
import structlog

from obelisk_config import ComponentSpec
from obelisk_daemon.clock import Clock, Instant
from obelisk_daemon.deployment.checking import Candidate
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.generations import (
    ALL,
    AllowedFunction,
    Cause,
    Generation,
    GenerationStore,
    QueueLimit,
    StoredComponent,
)

_log = structlog.get_logger("deployment")


class Origin(msgspec.Struct, frozen=True):
    """Where a candidate comes from. `restored` is the generation that a rollback goes back to.

    `proposed` is the host and the hash of its file, if it is one.
    """

    cause: Cause = "start"
    restored: int | None = None
    proposed: tuple[str, str] | None = None
    strands: bool = False
    """The operator allows that executions lose their function."""


class ActivationStore(GenerationStore, Protocol):
    """What activation needs of the database."""

    async def unpause(self, execution_id: ExecutionId, at: Instant, reason: str) -> bool:
        """Lift a pause; answer False when it is not paused."""
        ...


async def activate(
    store: ActivationStore,
    candidate: Candidate,
    clock: Clock,
    follows: int,
    origin: Origin = Origin(),  # noqa: B008
) -> Generation:
    """Make a candidate the generation after the one with the number `follows`, which is 0 for none.

    Raises:
        ConflictError: `generation_conflict`: somebody else activated one meanwhile; `strands_work`: executions came
            meanwhile of what it removes.
    """
    generation = Generation(
        number=follows + 1,
        activated_at=clock.now(),
        manifest=candidate.source,
        content_hash=candidate.content_hash,
        allowed=_allowed(candidate),
        components=candidate.files.digests,
        limits=_limits(candidate),
        cause=origin.cause,
        restored=origin.restored,
    )
    by_digest = candidate.files.by_digest
    codes = [StoredComponent(digest, by_digest[digest]) for digest in sorted(set(generation.components.values()))]
    lifted = await store.activate(generation, codes, origin.proposed, strands=origin.strands)
    _log.info(
        "generation_active",
        generation=generation.number,
        cause=generation.cause,
        restored=generation.restored,
        components=len(generation.components),
        lifted_pauses=lifted,
    )
    return generation


def _allowed(candidate: Candidate) -> dict[str, AllowedFunction]:
    allowed = {}
    for spec in candidate.manifest.components:
        component, settings = candidate.components[spec.name], _settings(spec, candidate)
        for ffqn in component.exports:
            allowed[str(ffqn)] = AllowedFunction(
                digest=component.digest,
                component=spec.name,
                on_upgrade=spec.on_upgrade,
                labels=_labels(spec, str(ffqn)),
                priority=spec.priority,
                settings=settings,
            )
    for stub in candidate.stubs.values():
        allowed |= {str(ffqn): AllowedFunction(stub.digest, stub.name) for ffqn in stub.exports}
    return allowed


def _settings(spec: ComponentSpec, candidate: Candidate) -> str:
    """Name all that is said of a component, but for where its file is: its code is in the database."""
    secrets = {name: candidate.manifest.secrets[name] for name in spec.secrets}
    said = msgspec.json.encode((msgspec.structs.replace(spec, path=""), secrets), order="sorted")
    return hashlib.sha256(said).hexdigest()


def _labels(spec: ComponentSpec, ffqn: str) -> tuple[str, ...]:
    return spec.settings_for(ffqn).labels


def _limits(candidate: Candidate) -> Mapping[str, QueueLimit]:
    of_all = candidate.manifest.limits
    limits = {
        spec.name: QueueLimit(spec.max_running, spec.max_pending, spec.when_full)
        for spec in candidate.manifest.components
        if spec.max_running is not None or spec.max_pending is not None
    }
    return limits | {ALL: QueueLimit(None, of_all.max_pending, of_all.when_full)}


async def lift_automatic_pauses(store: ActivationStore, generation: int, clock: Clock) -> int:
    """Let executions go on that were paused because they could not go on, where other code is active now."""
    lifted = 0
    for execution_id in await store.liftable(HOST_ABI):
        lifted += await store.unpause(execution_id, clock.now(), f"generation {generation} has other code")
    return lifted
