"""The manifest's file as the daemon sees it: what became of it, and where the disk differs from what is active."""

import asyncio
import os
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

import msgspec
import structlog

from obelisk_config import ManifestError, Span, render
from obelisk_daemon.deployment.activation import Origin
from obelisk_daemon.deployment.candidate import UnusableFile, read_file
from obelisk_daemon.deployment.deployer import Deployer
from obelisk_daemon.deployment.proposal import Active, Verdict, Wish
from obelisk_daemon.deployment.settling import Absent, Known, Settling
from obelisk_daemon.deployment.watching import names_in, read_manifest
from obelisk_daemon.errors import OperatorError, StorageUnavailableError

_log = structlog.get_logger("deployment")
_UNREADABLE: Final = "manifest_unreadable"


class Drift(msgspec.Struct, frozen=True):
    """A file that differs from what is active. `subject` is `manifest` or the name of a component."""

    subject: str
    path: str
    message: str


class LastRefusal(msgspec.Struct, frozen=True):
    """Why the file's last content did not become active: for people, with each place and cure."""

    stage: str
    text: str
    summary: str


class ManifestFile:
    """Proposes the file's content to the deployer, and remembers what came of it. The watch's `Proposer`."""

    def __init__(self, file: Path, deployer: Deployer) -> None:
        self.file = file
        self._deployer = deployer
        self._refusal: LastRefusal | None = None
        self._has_fallen_back = False
        self._files_changed = False
        self._digests: dict[str, tuple[os.stat_result, str]] = {}
        self.settling = Settling(Known(b""), lru_cache(maxsize=2)(partial(names_in, file=file)))

    @property
    def decides(self) -> bool:
        """Tell if what is saved here becomes active by itself; else it does only when somebody asks for it."""
        running = self._deployer.running
        return running is None or running.manifest == "file"

    @property
    def refusal(self) -> LastRefusal | None:
        """Why the file's last content did not become active; nothing, once what is active was seen again."""
        return None if self.settling.known.refused is None else self._refusal

    @property
    def degraded(self) -> str | None:
        """Say that the start had to take an old generation, as long as the file is no better."""
        refusal = self.refusal
        if refusal is None or not self._has_fallen_back:
            return None
        number = self._deployer.active.generation.number
        return f"the manifest was refused at the start, generation {number} runs: {refusal.summary}"

    def begin(self, source: bytes, verdict: Verdict | None, problem: ManifestError | OperatorError | None) -> None:
        """Take notice of what the start made of the file; without a verdict, it could not be read as a manifest."""
        self.settling.activated(self._deployer.active.generation.manifest)
        self._has_fallen_back = problem is not None
        if verdict is not None:
            self._note(source, verdict)
        elif problem is not None:
            self._refusal = LastRefusal("seen", str(problem), str(problem).partition("\n")[0])
            self.settling.refused(source)

    def on_active(self, active: Active) -> None:
        """Take notice of another active generation, whoever made it."""
        self._has_fallen_back = False
        self.settling.activated(active.generation.manifest)

    async def propose(self, content: bytes) -> bool:
        """Propose what the watch has found; False when it was refused.

        Raises:
            StorageUnavailableError: the same content is to be proposed again later.
        """
        try:
            verdict = await self._deployer.propose(content, Origin("file"), self._wish())
        except StorageUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge: a file that somebody saved must not end the daemon
            _log.exception("check_failed")
            verdict = Verdict("refused", self._deployer.active.generation.number, message=f"the check failed: {error}")
        self._note(content, verdict)
        return verdict.outcome != "refused"

    def _wish(self, wish: Wish = Wish()) -> Wish:  # noqa: B008
        """Have the same manifest checked again where files changed that it takes as they are."""
        anew, self._files_changed = self._files_changed, False
        return msgspec.structs.replace(wish, anew=True) if anew else wish

    async def refuse(self, code: str, message: str) -> None:
        """Note that the file is not worth a proposal."""
        _log.error("manifest_refused", stage="seen", code=code, detail=message)
        self._refusal = LastRefusal("seen", f"{self.file}: error[{code}]: {message}", f"{self.file.name}: {message}")

    def components_changed(self, changed: frozenset[str]) -> None:
        """Propose the same file again where it takes components as they are; else `drift` tells of them when asked."""
        if changed & self._deployer.active.candidate.files_as_they_are:
            self._files_changed = True
            self.settling.forget()

    async def read(self) -> bytes:
        """Read the file.

        Raises:
            OperatorError: `manifest_missing`, `manifest_unreadable`.
        """
        seen = await asyncio.to_thread(read_manifest, self.file)
        if isinstance(seen, Absent):
            raise OperatorError(seen.code, f"{self.file}: {seen.message}")
        return seen

    async def reload(self, wish: Wish) -> Verdict:
        """Check the file at once, and activate it if nothing speaks against that.

        Raises:
            OperatorError: it can't be read.
            ConflictError: `plan_outdated`.
        """
        content = await self.read()
        verdict = await self._deployer.propose(content, Origin("reload"), self._wish(wish))
        self._note(content, verdict)
        return verdict

    async def drift(self) -> tuple[Drift, ...]:
        """Find what differs between the disk and the active generation; only changed files are read again."""
        return await asyncio.to_thread(lambda: tuple(self._drift()))

    def _note(self, content: bytes, verdict: Verdict) -> None:
        if verdict.outcome == "refused":
            text = render(verdict.diagnostics) if verdict.diagnostics else verdict.message
            self._refusal = LastRefusal(verdict.stage or "seen", text, summary_of(verdict))
            self.settling.refused(content)
        else:
            self._has_fallen_back = False
            self.settling.accepted(content)

    def _drift(self) -> Iterator[Drift]:
        active = self._deployer.active
        if not self.decides:  # then it is no more than a proposal, which nobody has made
            return
        seen = read_manifest(self.file)
        if isinstance(seen, Absent):
            yield Drift("manifest", str(self.file), seen.message)
        elif not self._deployer.stored.says_the_same(seen, active.candidate):
            why = "it was refused" if self.refusal is not None else "another one was put in its place"
            yield Drift("manifest", str(self.file), f"the file is not generation {active.generation.number}: {why}")
        for name, digest in active.generation.components.items():
            path = active.candidate.path_of(name)
            if path is not None and (message := self._difference(path, digest)) is not None:
                yield Drift(name, path, message)

    def _difference(self, path: str, digest: str) -> str | None:
        try:
            status = os.stat(path)  # noqa: PTH116 - compared field by field
            known = self._digests.get(path)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and self._deployer.stored.is_shared:
                return None  # the code is in the database: perhaps another host put it there
            return f"the file can't be read: {error.strerror}"
        if known is None or _stamp(known[0]) != _stamp(status):
            read = read_file(path)
            if isinstance(read, UnusableFile):
                return f"the file {read}"
            known = self._digests[path] = (status, read[0])
        return None if known[1] == digest else f"active is {digest}, the file is {known[1]}"


def summary_of(verdict: Verdict) -> str:
    """Say in a line why a proposal was refused: the place and the first error."""
    first = next((one for one in verdict.diagnostics if one.severity == "error"), None)
    return verdict.message if first is None else f"{_short(first.span)} {first.message}"


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _short(span: Span) -> str:
    return f"{Path(span.file).name}:{span.line}:{span.column}"
