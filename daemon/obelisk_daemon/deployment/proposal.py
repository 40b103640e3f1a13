"""What goes into a proposal of a manifest, and what comes of it."""

from typing import Literal, TypeAlias

import msgspec

from obelisk_config import Diagnostic, Executor
from obelisk_config.difference import Difference
from obelisk_daemon.deployment.checking import Candidate, Stage
from obelisk_daemon.deployment.impact import Impact, Leave
from obelisk_daemon.executor.plan import ExecutorPlan
from obelisk_daemon.storage.generations import Generation

Outcome: TypeAlias = Literal["active", "unchanged", "refused"]


class Active(msgspec.Struct, frozen=True):
    """The active generation, as it was stored, and as it runs: `executors` are those of this host."""

    generation: Generation
    candidate: Candidate
    plan: ExecutorPlan
    executors: tuple[Executor, ...]


class Wish(msgspec.Struct, frozen=True):
    """What comes with a proposal: what the operator allows to be lost, and the plan that was seen before."""

    leaves: frozenset[Leave] = frozenset()
    token: str | None = None
    anew: bool = False
    """Check also what became a generation before: files changed that it takes as they are."""


class Verdict(msgspec.Struct, frozen=True):
    """What became of a proposal. `generation` is the active one by then; `stage` is what a refused one didn't reach."""

    outcome: Outcome
    generation: int
    stage: Stage | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    message: str = ""


class Examined(msgspec.Struct, frozen=True):
    """A manifest without errors, and what its activation would change."""

    candidate: Candidate
    difference: Difference
    impact: Impact
