"""Making a checked manifest the active generation: one transaction, after which the database refuses other code."""

from typing import Protocol

import structlog

from obelisk_daemon.clock import Clock, Instant
from obelisk_daemon.deployment.checking import Candidate
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.generations import Generation, GenerationStore, StoredComponent

_log = structlog.get_logger("deployment")


class ActivationStore(GenerationStore, Protocol):
    """What activation needs of the database."""

    async def unpause(self, execution_id: ExecutionId, at: Instant, reason: str) -> bool:
        """Lift a pause; answer False when it is not paused."""
        ...


async def activate(store: ActivationStore, candidate: Candidate, clock: Clock) -> Generation:
    """Activate a candidate, or answer the active generation when that is the same.

    Raises:
        ConflictError: `generation_conflict`: somebody else activated one meanwhile.
    """
    active = await store.active_generation()
    if active is not None and active.content_hash == candidate.content_hash:
        return active
    digests = candidate.files.digests
    generation = Generation(
        number=1 if active is None else active.number + 1,
        activated_at=clock.now(),
        manifest=candidate.source,
        content_hash=candidate.content_hash,
        allowed={str(ffqn): one.digest for one in candidate.exporting for ffqn in one.exports},
        components=tuple(sorted(set(digests.values()))),
    )
    codes = [StoredComponent(digest, candidate.files.by_digest[digest]) for digest in generation.components]
    await store.activate(generation, codes)
    _log.info("generation_active", generation=generation.number, components=len(digests))
    return generation


async def lift_automatic_pauses(store: ActivationStore, generation: Generation, clock: Clock) -> int:
    """Let executions go on that were paused because their code diverged, where other code is active now."""
    lifted = 0
    for execution_id, ffqn, failed_digest in await store.paused_automatically():
        if generation.allowed.get(ffqn, failed_digest) != failed_digest:
            reason = f"generation {generation.number} has other code"
            lifted += await store.unpause(execution_id, clock.now(), reason)
    return lifted
