"""What an operator does with the manifest: see its state and history, plan, reload, roll back."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from obelisk_config import ManifestError, render
from obelisk_config.difference import Difference, compare
from obelisk_daemon.clock import Instant
from obelisk_daemon.deployment.deployer import Deployer
from obelisk_daemon.deployment.following import Following
from obelisk_daemon.deployment.manifest_file import Drift, LastRefusal, ManifestFile
from obelisk_daemon.deployment.proposal import Verdict, Wish
from obelisk_daemon.deployment.reports import DiagnosticReport, Planner, PlanReport, diagnostics
from obelisk_daemon.errors import CallerError
from obelisk_daemon.storage.generations import Cause, Generation, GenerationRow, WorkInProgress
from obelisk_daemon.storage.hosts import KnownHost


class HistoryStore(Protocol):
    """What is read of the database."""

    async def generations(self, before: int, limit: int) -> list[GenerationRow]:
        """Read the history, newest first, of the generations below a number."""
        ...

    async def work_in_progress(self) -> list[WorkInProgress]:
        """Count the unfinished executions by function and digest."""
        ...


class OlderCode(msgspec.Struct, frozen=True):
    """Unfinished executions of a function that are on other code than the current one."""

    component: str
    ffqn: str
    digest: str
    unfinished: int


class HostState(msgspec.Struct, frozen=True):
    """A live host on the database, and the generation that it runs; None: it has not said so yet."""

    host: str
    generation: int | None


class FileState(msgspec.Struct, frozen=True):
    """Where the disk differs from what is active, and why the file's last content was refused, if it was."""

    drift: tuple[Drift, ...]
    refusal: LastRefusal | None


class ManifestState(msgspec.Struct, frozen=True, kw_only=True):
    """What is active, where the disk differs from it, and what became of the file last."""

    generation: int
    activated_at: Instant
    cause: Cause
    restored: int | None
    path: str
    file: FileState
    older_code: tuple[OlderCode, ...]
    hosts: tuple[HostState, ...]
    """Those that are alive, by their names."""


class VerdictReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a reload or a rollback. `generation` is the active one; `text` is for people.

    `behind` are the live hosts that did not run it yet after the time that was given to them. Until they do, they take
    nothing of what it changes.
    """

    outcome: str
    generation: int
    stage: str | None = None
    message: str = ""
    diagnostics: list[DiagnosticReport] = []
    text: str = ""
    behind: list[HostState] = []


class ManifestControl:
    """Carries out what operators ask."""

    def __init__(
        self, deployer: Deployer, file: ManifestFile, planner: Planner, store: HistoryStore, following: Following
    ) -> None:
        self._deployer = deployer
        self._following = following
        self._file = file
        self._planner = planner
        self._store = store

    async def state(self) -> ManifestState:
        """Describe what is active."""
        active = self._deployer.active.generation
        return ManifestState(
            generation=active.number,
            activated_at=active.activated_at,
            cause=active.cause,
            restored=active.restored,
            path=str(self._file.file.absolute()),
            file=await self.file_state(),
            older_code=await self._older_code(),
            hosts=_states(await self._following.hosts()),
        )

    async def file_state(self) -> FileState:
        """Compare the disk with what is active."""
        return FileState(await self._file.drift(), self._file.refusal)

    async def plan(self, source: bytes | None, wish: Wish, name: str | None = None) -> PlanReport:
        """Tell what would come of a manifest, in a file of that name; without one, of the daemon's file.

        Raises:
            OperatorError: the file can't be read.
        """
        return await self._planner.plan(await self._file.read() if source is None else source, wish, name)

    async def reload(self, wish: Wish) -> VerdictReport:
        """Check the file at once, and activate it if nothing speaks against that.

        Raises:
            OperatorError: it can't be read.
            ConflictError: `plan_outdated`.
        """
        return await self._settled(await self._file.reload(wish))

    async def roll_back(self, number: int | None, wish: Wish) -> VerdictReport:
        """Make a generation of an old one: by default of the one before the active one.

        Raises:
            CallerError: `generation_not_found`, `nothing_before`.
        """
        if number is None:
            number = self._deployer.active.generation.number - 1
        if number < 1:
            raise CallerError("nothing_before", "there is no generation before the active one")
        return await self._settled(await self._deployer.roll_back(number, wish))

    async def _settled(self, verdict: Verdict) -> VerdictReport:
        """Report once all hosts run it, or after their time is over."""
        report = verdict_report(verdict)
        if verdict.outcome == "refused":
            return report
        behind = _states(await self._following.behind(verdict.generation))
        return msgspec.structs.replace(report, behind=list(behind))

    async def history(self, before: int | None, limit: int) -> list[GenerationRow]:
        """Read the generations, newest first."""
        return await self._store.generations(1 << 62 if before is None else before, limit)

    async def show(self, number: int | None) -> Generation:
        """Read a generation; without a number, the active one.

        Raises:
            NotFoundError: `generation_not_found`.
        """
        active = self._deployer.active.generation
        if number is None or number == active.number:
            return active
        return (await self._deployer.stored.manifest(number))[0]

    async def difference(self, before: int, after: int) -> Difference:
        """Compare two generations.

        Raises:
            NotFoundError: `generation_not_found`.
            CallerError: `generation_unreadable`: an older version of the daemon accepted it.
        """
        try:
            (_, old), (_, new) = [await self._deployer.stored.manifest(number) for number in (before, after)]
        except ManifestError as error:
            raise CallerError("generation_unreadable", f"this version can't read one of them: {error}") from error
        return compare(old, new)

    async def _older_code(self) -> tuple[OlderCode, ...]:
        allowed = self._deployer.active.generation.allowed
        return tuple(
            OlderCode(one.component, one.ffqn, one.digest, one.started)
            for one in await self._store.work_in_progress()
            if one.started and one.ffqn in allowed and allowed[one.ffqn].digest != one.digest
        )


def _states(hosts: Iterable[KnownHost]) -> tuple[HostState, ...]:
    return tuple(HostState(one.host, one.generation) for one in hosts)


def verdict_report(verdict: Verdict) -> VerdictReport:
    """Tell a verdict."""
    found = verdict.diagnostics
    return VerdictReport(
        outcome=verdict.outcome,
        generation=verdict.generation,
        stage=verdict.stage,
        message=verdict.message,
        diagnostics=diagnostics(found),
        text=render(found) if found else "",
    )
