"""The manifest's life: every change is checked completely beside what runs, and becomes active in one step, or not.

This is the owner of what is active. Whatever proposes a change (the start, the watched file, an operator) comes
through here, one after the other.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
import structlog

from obelisk_config import Daemon as DaemonSettings
from obelisk_config import Diagnostic, Manifest, Span, Surroundings, at, draft
from obelisk_config.difference import Difference, compare, restart_only
from obelisk_daemon.clock import Clock
from obelisk_daemon.deployment.activation import ActivationStore, Origin, activate
from obelisk_daemon.deployment.candidate import Files
from obelisk_daemon.deployment.checking import Candidate, Refusal, Stage, check
from obelisk_daemon.deployment.impact import Assessor, EventReader, Impact, Leave
from obelisk_daemon.deployment.planning import Linker, plan_generation
from obelisk_daemon.deployment.settling import cut_off, hash_of
from obelisk_daemon.errors import ConflictError, NotFoundError
from obelisk_daemon.executor.plan import ExecutorPlan
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.storage.generations import Generation
from obelisk_daemon.wasm.compile import Compiler

Outcome: TypeAlias = Literal["active", "unchanged", "refused"]
_STAGES: Final[tuple[Stage, ...]] = ("parsed", "validated", "compiled", "linked", "staged", "active")
_ATTEMPTS: Final = 3
_log = structlog.get_logger("deployment")


class Surrounds(msgspec.Struct, frozen=True):
    """What manifests are read with: the file, what its defaults depend on, and whether digests may be left out.

    `host` names this machine among those that share a database.
    """

    file: Path
    surroundings: Surroundings
    host: str
    dev: bool = False


class Active(msgspec.Struct, frozen=True):
    """The active generation, as it was stored, and as it runs."""

    generation: Generation
    candidate: Candidate
    plan: ExecutorPlan


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


class Deployer:
    """Owns what is active.

    `on_active` is called after each activation, on the loop, before anything else happens. Each proposal is checked
    within `checking`, and `on_verdict` is called at its end.
    """

    def __init__(
        self,
        store: ActivationStore,
        reader: EventReader,
        compiler: Compiler,
        clock: Clock,
        surrounds: Surrounds,
        *,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._assessor = Assessor(store, reader, compiler)
        self._compiler = compiler
        self._clock = clock
        self._surrounds = surrounds
        self._metrics = metrics.manifest
        self.on_active: Callable[[Active], None] = lambda _: None
        self.checking: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
        self.on_verdict: Callable[[Verdict], None] = lambda _: None
        self.linker = Linker()
        self.running: DaemonSettings | None = None
        """The `[daemon]` that this process was started with."""
        self._latest: Generation | None = None
        """The active one in the database, which may be none that runs here."""
        self._active: Active | None = None
        self._turn = asyncio.Lock()

    @property
    def active(self) -> Active:
        """What is active; there is something from the end of the start on."""
        assert self._active is not None
        return self._active

    async def resume(self) -> Active | None:
        """Make what the database has as active run in this process; None where there is nothing.

        Raises:
            Refusal: it can't run here: this version of the daemon or this machine can't use it.
        """
        self._latest = await self._store.active_generation()
        if self._latest is None:
            return None
        candidate = await self._restored(self._latest)
        impact = await self._assessor.assess(candidate, {})
        for loss in impact.losses:
            _log.error("older_code_lost", code=loss.code, detail=loss.message)
        plan = plan_generation(candidate, self._latest.number, self.linker, impact.retained)
        self._take(Active(self._latest, candidate, plan))
        return self._active

    async def is_proposed(self, source: bytes) -> bool:
        """Tell if this file became a generation before: then the database decides what is active, and not the file."""
        return not self._surrounds.dev and await self._store.proposal(self._surrounds.host) == hash_of(source)

    async def propose(self, source: bytes, origin: Origin, wish: Wish = Wish()) -> Verdict:  # noqa: B008
        """Have a manifest become active, if it is another one than before and nothing speaks against it.

        Raises:
            ConflictError: `plan_outdated`: it is not what the plan was made of.
        """
        async with self._turn:
            if wish.token is not None and wish.token not in self._tokens(source):
                raise ConflictError("plan_outdated", "the file or the active generation changed since that plan")
            verdict = await self.foregone(source, wish)
            if verdict is not None:
                return verdict
            proposed = (self._surrounds.host, hash_of(source))
            return await self._decide(source, msgspec.structs.replace(origin, proposed=proposed), wish)

    async def foregone(self, source: bytes, wish: Wish) -> Verdict | None:
        """Decide what needs no check: a file that became a generation before, or is cut off; None for all others."""
        if self._active is not None and not wish.anew and await self.is_proposed(source):
            return self._unchanged(source)
        if "remove" not in wish.leaves and (missing := tuple(self._cut_off(source))):
            return Verdict("refused", self._number, "seen", missing)
        return None

    async def roll_back(self, number: int, wish: Wish = Wish()) -> Verdict:  # noqa: B008
        """Make a new generation of an old one, from its manifest and its code as they were stored.

        Raises:
            NotFoundError: `generation_not_found`.
        """
        async with self._turn:
            generation = await self._generation(number)
            stored = await self._stored_files(generation)
            return await self._decide(generation.manifest, Origin("rollback", number), wish, stored)

    def _cut_off(self, source: bytes) -> Iterator[Diagnostic]:
        refuse = cut_off(source, b"" if self._latest is None else self._latest.manifest)
        if refuse is not None:
            span = Span(str(self._surrounds.file), 1, 1, 1, source.split(b"\n")[0].decode(errors="replace"))
            yield Diagnostic(refuse.code, refuse.message, span)

    async def _decide(self, source: bytes, origin: Origin, wish: Wish, stored: Files | None = None) -> Verdict:
        started = self._clock.monotonic()
        verdict = Verdict("refused", self._number, message="the check was interrupted")
        self._reach("seen")
        try:
            async with self.checking():
                verdict = await self._attempt(source, origin, wish, stored)
        except Refusal as refusal:
            verdict = self._refused(refusal)
        finally:
            self.on_verdict(verdict)
        self._metrics.check_seconds.observe(self._clock.monotonic() - started)
        self._metrics.verdicts.inc(verdict.outcome)
        return verdict

    async def _attempt(self, source: bytes, origin: Origin, wish: Wish, stored: Files | None) -> Verdict:
        """Check and activate; once more where work came meanwhile that would be stranded: now it counts."""
        origin = msgspec.structs.replace(origin, strands=bool(wish.leaves))
        for _ in range(_ATTEMPTS):
            try:
                return await self._carry_out(await self._prepare(source, wish, stored), origin)
            except ConflictError as conflict:
                if conflict.code != "strands_work":
                    raise
        return Verdict("refused", self._number, "active", message="executions of what it removes come all the time")

    async def examine(self, source: bytes, stored: Files | None = None, name: str | None = None) -> Examined:
        """Check a manifest, and find what it would change; change nothing. `name` is that of the file, for messages.

        Raises:
            Refusal: it can't be used at all.
        """
        around = self._surrounds
        file = around.file if name is None else around.file.with_name(Path(name).name)
        candidate = await check(source, file, around.surroundings, self._compiler, dev=around.dev, stored=stored)
        before = {} if self._active is None else self._active.plan.functions
        return Examined(candidate, self.difference(candidate), await self._assessor.assess(candidate, before))

    def objections(self, examined: Examined, wish: Wish) -> tuple[Stage, tuple[Diagnostic, ...]]:
        """Tell what speaks against the activation of a manifest without errors, and the stage it would not reach."""
        candidate = examined.candidate
        if self.running is not None and (fixed := tuple(_restart_only(candidate.manifest, examined.difference))):
            return "validated", fixed
        return "staged", tuple(examined.impact.refused(candidate, wish.leaves))

    async def _prepare(self, source: bytes, wish: Wish, stored: Files | None = None) -> Examined:
        examined = await self.examine(source, stored)
        stage, objections = self.objections(examined, wish)
        if objections:
            raise Refusal(stage, (*examined.candidate.warnings, *objections))
        return examined

    def difference(self, candidate: Candidate) -> Difference:
        """Compare a candidate with what is active; settings of the process count as it was started with them."""
        after = pinned(candidate.manifest, candidate.files.digests)
        if self._active is None:
            return compare(None, after)
        active = self._active.candidate
        before = pinned(active.manifest, active.files.digests)
        if self.running is not None:
            before = msgspec.structs.replace(before, daemon=self.running)
        return compare(before, after)

    def token(self, source: bytes) -> str:
        """Name a file's content together with what is active: a plan holds for just these."""
        return _token(self._number, source)

    def _tokens(self, source: bytes) -> set[str]:
        """Give the tokens that hold: also that of the plan that was carried out already, since the file is watched."""
        done = self._latest is not None and self._latest.manifest == source
        return {_token(self._number, source), *([_token(self._number - 1, source)] if done else [])}

    async def stored_manifest(self, number: int) -> tuple[Generation, Manifest]:
        """Read a generation, with its manifest as it was and the digest of each component.

        Raises:
            NotFoundError: `generation_not_found`.
            ManifestError: this version of the daemon can't read it.
        """
        generation = await self._generation(number)
        drafted = draft(generation.manifest, self._surrounds.file, self._surrounds.surroundings)
        return generation, pinned(drafted.manifest, generation.components)

    async def _generation(self, number: int) -> Generation:
        generation = await self._store.generation(number)
        if generation is None:
            raise NotFoundError("generation_not_found", f"there is no generation {number}")
        return generation

    async def _carry_out(self, examined: Examined, origin: Origin) -> Verdict:
        candidate, number = examined.candidate, self._number
        if self._active is not None and candidate.content_hash == self._active.generation.content_hash:
            if origin.proposed is not None:
                await self._store.note_proposal(*origin.proposed)
            return Verdict("unchanged", number, message=f"generation {number} is just that already")
        plan = plan_generation(candidate, number + 1, self.linker, examined.impact.retained)
        self._reach_before("active")
        generation = await activate(self._store, candidate, self._clock, number, origin)
        self._take(Active(generation, candidate, plan))
        self._reach("active")
        return Verdict("active", generation.number, diagnostics=candidate.warnings)

    @property
    def _number(self) -> int:
        return 0 if self._latest is None else self._latest.number

    def _take(self, active: Active) -> None:
        self._active, self._latest = active, active.generation
        self._metrics.generation.set(active.generation.number)
        self.on_active(active)

    def _unchanged(self, source: bytes) -> Verdict:
        active = self.active.generation
        if active.manifest == source:
            return Verdict("unchanged", active.number, message=f"generation {active.number} is this file already")
        message = (
            f"this file became a generation before, and generation {active.number} was put in its place: change the "
            "file, or roll back to its generation (obelisk-ctl manifest history)"
        )
        return Verdict("unchanged", active.number, message=message)

    def _refused(self, refusal: Refusal) -> Verdict:
        number = self._number
        self._reach_before(refusal.stage)
        self._metrics.refusals.inc(refusal.stage)
        if self._active is not None:  # else the daemon does not start, and says all of it at its end
            told = [f"{one.span}: {one.severity}[{one.code}]: {one.message}" for one in refusal.diagnostics[:20]]
            _log.error("manifest_refused", stage=refusal.stage, generation=number, diagnostics=told)
        return Verdict("refused", number, refusal.stage, refusal.diagnostics)

    def _reach_before(self, stage: Stage) -> None:
        for one in () if stage == "seen" else _STAGES[: _STAGES.index(stage)]:
            self._reach(one)

    def _reach(self, stage: Stage) -> None:
        self._metrics.stages.inc(stage)
        _log.debug("manifest_stage", stage=stage)

    async def _restored(self, generation: Generation) -> Candidate:
        around, files = self._surrounds, await self._stored_files(generation)
        return await check(
            generation.manifest, around.file, around.surroundings, self._compiler, dev=True, stored=files
        )

    async def _stored_files(self, generation: Generation) -> Files:
        codes: dict[str, bytes] = {}
        for digest in set(generation.components.values()):
            code = await self._store.component_code(digest)
            if code is None:
                raise NotFoundError("component_not_found", f"the database lacks the code {digest}")
            codes[digest] = code
        return Files(codes, dict(generation.components))


def _token(number: int, source: bytes) -> str:
    return hashlib.sha256(f"{number} {hash_of(source)}".encode()).hexdigest()[:16]


def pinned(manifest: Manifest, digests: Mapping[str, str]) -> Manifest:
    """Give a manifest with the digest of each component, also where it leaves it out."""
    specs = tuple(msgspec.structs.replace(spec, digest=digests.get(spec.name)) for spec in manifest.components)
    return msgspec.structs.replace(manifest, components=specs)


def _restart_only(manifest: Manifest, difference: Difference) -> Iterator[Diagnostic]:
    for change in restart_only(difference):
        table, *keys = change.key.split(".")
        path = (table, *keys) if table == "daemon" else (table,)
        message = f"{change.key} changes from {change.before} to {change.after}, which a running daemon can't take over"
        yield at(manifest.document, path, "restart_only", message, "restart obeliskd, or take this change out")
