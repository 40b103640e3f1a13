"""The manifest's life: every change is checked completely beside what runs, and becomes active in one step, or not.

This is the owner of what is active. Whatever proposes a change (the start, the watched file, an operator) comes
through here, one after the other.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Final

import msgspec
import structlog

from obelisk_config import Daemon as DaemonSettings
from obelisk_config import Diagnostic, Executor, Manifest, Span, at
from obelisk_config.difference import Difference, compare, restart_only
from obelisk_daemon.clock import Clock
from obelisk_daemon.deployment.activation import ActivationStore, Origin, activate
from obelisk_daemon.deployment.candidate import Files
from obelisk_daemon.deployment.checking import Candidate, Refusal, Stage, check
from obelisk_daemon.deployment.impact import Assessor, EventReader
from obelisk_daemon.deployment.planning import Linker, plan_generation
from obelisk_daemon.deployment.proposal import Active, Examined, Verdict, Wish
from obelisk_daemon.deployment.settling import cut_off, hash_of
from obelisk_daemon.deployment.stored import Recognized, StoredGenerations, Surrounds, agree, owned, pinned
from obelisk_daemon.errors import ConflictError
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.storage.generations import Generation, Proposal
from obelisk_daemon.wasm.compile import Compiler

_STAGES: Final[tuple[Stage, ...]] = ("parsed", "validated", "compiled", "linked", "staged", "active")
_ATTEMPTS: Final = 3
_log = structlog.get_logger("deployment")


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
        self.stored = StoredGenerations(store, compiler, surrounds)
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
        self.executors: tuple[Executor, ...] = ()
        """Those of this host. Where the database is shared, its own file has them."""
        self._latest: Generation | None = None
        """The active one in the database, which may be none that runs here."""
        self._active: Active | None = None
        self._turn = asyncio.Lock()

    @property
    def active(self) -> Active:
        """What is active; there is something from the end of the start on."""
        assert self._active is not None
        return self._active

    @property
    def has_active(self) -> bool:
        """Tell if anything runs here yet."""
        return self._active is not None

    @property
    def is_first(self) -> bool:
        """Tell if the database has no generation, as far as this host knows."""
        return self._latest is None

    async def resume(self) -> Active | None:
        """Make what the database has as active run in this process; None where there is nothing.

        Raises:
            Refusal: it can't run here: this version of the daemon or this machine can't use it.
        """
        self._latest = await self._store.active_generation()
        return None if self._latest is None else await self._run(self._latest)

    async def follow(self) -> Active | None:
        """Run what another host made active meanwhile; None where nothing is newer than what runs here.

        Raises:
            Refusal, ObeliskError: it can't run here. What ran before goes on, as far as the database allows it.
        """
        async with self._turn:
            return await self._follow()

    async def _follow(self) -> Active | None:
        newest = await self._store.active_generation()
        if newest is None or (self._active is not None and newest.number <= self._active.generation.number):
            return None
        self._latest = newest
        active = await self._run(newest)
        _log.info("generation_followed", generation=newest.number, components=len(newest.components))
        return active

    async def _run(self, generation: Generation) -> Active:
        candidate = await self.stored.candidate(generation)
        impact = await self._assessor.assess(candidate, {})
        for loss in impact.losses:
            _log.error("older_code_lost", code=loss.code, detail=loss.message)
        plan = plan_generation(candidate, generation.number, self.linker, impact.retained)
        return self._take(Active(generation, candidate, plan, self._executors_of(candidate.manifest)))

    def _executors_of(self, manifest: Manifest, *, own: bool = False) -> tuple[Executor, ...]:
        """Give the executors to run: those of this host's `own` file, wherever others have theirs."""
        return manifest.executors if own or not self._surrounds.shared else self.executors

    async def propose(self, source: bytes, origin: Origin, wish: Wish = Wish()) -> Verdict:  # noqa: B008
        """Have a manifest become active, if it is another one than before and nothing speaks against it.

        Raises:
            ConflictError: `plan_outdated`: it is not what the plan was made of.
        """
        async with self._turn:
            if wish.token is not None and wish.token not in self._tokens(source):
                raise ConflictError("plan_outdated", "the file or the active generation changed since that plan")
            if (verdict := await self._foregone(source, wish)) is not None:
                return verdict
            proposed = (self._surrounds.host, hash_of(source))
            return await self._decide(source, msgspec.structs.replace(origin, proposed=proposed), wish)

    async def foregone(self, source: bytes, wish: Wish) -> Verdict | None:
        """Decide what needs no check: a file that became a generation before, or is cut off; None for all others."""
        return (await self._judge(source, wish))[0]

    async def _judge(self, source: bytes, wish: Wish) -> tuple[Verdict | None, Recognized | None]:
        can_know = not wish.anew and (self._active is not None or self._surrounds.shared)
        known = await self.stored.recognize(source, self._latest) if can_know else None
        if known is not None:
            return self._verdict_on(source, known), known
        if "remove" not in wish.leaves and (missing := tuple(self._cut_off(source))):
            return Verdict("refused", self._number, "seen", missing), None
        return None, None

    async def _foregone(self, source: bytes, wish: Wish) -> Verdict | None:
        """Decide what needs no check, and take over what of it is this host's own."""
        verdict, known = await self._judge(source, wish)
        if verdict is not None and verdict.outcome == "unchanged" and known is not None:
            await self._take_own(source, known)
        return verdict

    async def _take_own(self, source: bytes, known: Recognized) -> None:
        if known.manifest is None:
            return
        await self._store.note_proposal(self._surrounds.host, Proposal(hash_of(source), known.generation))
        executors = self._executors_of(known.manifest, own=True)
        if executors != self.active.executors:
            self._take(msgspec.structs.replace(self.active, executors=executors))

    async def roll_back(self, number: int, wish: Wish = Wish()) -> Verdict:  # noqa: B008
        """Make a new generation of an old one, from its manifest and its code as they were stored.

        Raises:
            NotFoundError: `generation_not_found`.
        """
        async with self._turn:
            generation = await self.stored.generation(number)
            stored = await self.stored.files(generation)
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
                if conflict.code == "generation_conflict":
                    return await self._second(source, wish)
                if conflict.code != "strands_work":
                    raise
        return Verdict("refused", self._number, "active", message="executions of what it removes come all the time")

    async def _second(self, source: bytes, wish: Wish) -> Verdict:
        """Follow a host that was first, and see if it had the same in mind."""
        await self._follow()
        if (verdict := await self._foregone(source, wish)) is not None:
            return verdict
        message = f"another host made generation {self._number} active meanwhile, and that is another manifest"
        cure = "look at it (obelisk-ctl manifest plan), and reload to put this one in its place"
        return Verdict("refused", self._number, "active", message=f"{message}: {cure}")

    async def examine(self, source: bytes, stored: Files | None = None, name: str | None = None) -> Examined:
        """Check a manifest, and find what it would change; change nothing.

        `name` is that of the file, for messages; where it names none, such as `/`, it is ours.

        Raises:
            Refusal: it can't be used at all.
        """
        around = self._surrounds
        file = around.file.with_name(Path(name or "").name or around.file.name)
        candidate = await check(source, file, around.surroundings, self._compiler, dev=around.dev, stored=stored)
        before = {} if self._active is None else self._active.plan.functions
        difference = self._difference(candidate, is_own=stored is None)
        return Examined(candidate, difference, await self._assessor.assess(candidate, before))

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

    def _difference(self, candidate: Candidate, *, is_own: bool) -> Difference:
        """Compare a candidate with what is active; what is this host's own counts as it runs."""
        after = pinned(candidate.manifest, candidate.files.digests)
        if self._active is None:
            return compare(None, after)
        active = self._active.candidate
        before = pinned(active.manifest, active.files.digests)
        daemon = self.running or before.daemon
        before = owned(before, daemon, self._active.executors)
        if self._surrounds.shared and not is_own:
            after = owned(after, daemon, self._active.executors)
        return compare(before, after)

    def token(self, source: bytes) -> str:
        """Name a file's content together with what is active: a plan holds for just these."""
        return _token(self._number, source)

    def _tokens(self, source: bytes) -> set[str]:
        """Give the tokens that hold: also that of the plan that was carried out already, since the file is watched."""
        done = self._latest is not None and self._latest.manifest == source
        return {_token(self._number, source), *([_token(self._number - 1, source)] if done else [])}

    async def _carry_out(self, examined: Examined, origin: Origin) -> Verdict:
        candidate, number = examined.candidate, self._number
        if self._is_active(candidate):
            if origin.proposed is not None:
                await self._take_own(candidate.source, Recognized(number, candidate.manifest))
            return Verdict("unchanged", number, message=f"generation {number} is just that already")
        plan = plan_generation(candidate, number + 1, self.linker, examined.impact.retained)
        self._reach_before("active")
        generation = await activate(self._store, candidate, self._clock, number, origin)
        executors = self._executors_of(candidate.manifest, own=origin.proposed is not None)
        self._take(Active(generation, candidate, plan, executors))
        self._reach("active")
        return Verdict("active", generation.number, diagnostics=candidate.warnings)

    def _is_active(self, candidate: Candidate) -> bool:
        """Tell if a candidate is what is active; where others share that, but for what is each host's own."""
        if self._active is None or self._active.generation.number != self._number:
            return False
        if candidate.content_hash == self._active.generation.content_hash:
            return True
        both = (candidate, self._active.candidate)
        return self._surrounds.shared and agree(*(pinned(one.manifest, one.files.digests) for one in both))

    @property
    def _number(self) -> int:
        return 0 if self._latest is None else self._latest.number

    def _take(self, active: Active) -> Active:
        self._active, self._latest, self.executors = active, active.generation, active.executors
        self._metrics.generation.set(active.generation.number)
        self.on_active(active)
        return active

    def _verdict_on(self, source: bytes, known: Recognized) -> Verdict:
        """Decide on a file that asks for no new generation."""
        number, manifest = self._number, known.manifest
        if self._active is None:
            return Verdict("refused", number, "active", message=f"generation {number}, the active one, can't run here")
        if manifest is not None and self.running is not None:
            own = compare(owned(manifest, self.running, self.executors), manifest)
            if fixed := tuple(_restart_only(manifest, own)):
                return Verdict("refused", number, "validated", fixed)
        if known.generation == number or self._active.generation.manifest == source:
            return Verdict("unchanged", number, message=f"generation {number} is this file already")
        message = (
            f"this file became a generation before, and generation {number} was put in its place: change the "
            "file, or roll back to its generation (obelisk-ctl manifest history)"
        )
        return Verdict("unchanged", number, message=message)

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


def _token(number: int, source: bytes) -> str:
    return hashlib.sha256(f"{number} {hash_of(source)}".encode()).hexdigest()[:16]


def _restart_only(manifest: Manifest, difference: Difference) -> Iterator[Diagnostic]:
    for change in restart_only(difference):
        table, *keys = change.key.split(".")
        path = (table, *keys) if table == "daemon" else (table,)
        message = f"{change.key} changes from {change.before} to {change.after}, which a running daemon can't take over"
        yield at(manifest.document, path, "restart_only", message, "restart obeliskd, or take this change out")
