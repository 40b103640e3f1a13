"""Generations as the database has them: their manifests and their code, for which no file of this host is needed."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from obelisk_config import Daemon as DaemonSettings
from obelisk_config import Executor, Manifest, ManifestError, Surroundings, draft, has_errors
from obelisk_config.difference import compare
from obelisk_daemon.deployment.candidate import Files
from obelisk_daemon.deployment.checking import Candidate, check
from obelisk_daemon.deployment.settling import hash_of
from obelisk_daemon.errors import NotFoundError
from obelisk_daemon.storage.generations import Generation, GenerationStore
from obelisk_daemon.wasm.compile import Compiler

_PAGE: Final = 50


class Surrounds(msgspec.Struct, frozen=True):
    """What manifests are read with: the file, what its defaults depend on, and whether digests may be left out.

    `host` names this machine among those that share a database. Where it is `shared`, `[daemon]` and `[executor]` are
    each host's own, from its own file, and all else is the same for all of them.
    """

    file: Path
    surroundings: Surroundings
    host: str
    dev: bool = False
    shared: bool = False


class Recognized(msgspec.Struct, frozen=True):
    """A file that asks for no new generation, since it agrees with one.

    `manifest` is what it says, if it was not noted before that it agrees.
    """

    generation: int
    manifest: Manifest | None = None


class StoredGenerations:
    """Reads generations, and makes of them what can run here."""

    def __init__(self, store: GenerationStore, compiler: Compiler, surrounds: Surrounds) -> None:
        self._store = store
        self._compiler = compiler
        self._surrounds = surrounds

    @property
    def is_shared(self) -> bool:
        """Tell if other hosts may be on the database, too."""
        return self._surrounds.shared

    async def generation(self, number: int) -> Generation:
        """Read one.

        Raises:
            NotFoundError: `generation_not_found`.
        """
        generation = await self._store.generation(number)
        if generation is None:
            raise NotFoundError("generation_not_found", f"there is no generation {number}")
        return generation

    async def manifest(self, number: int) -> tuple[Generation, Manifest]:
        """Read a generation, with its manifest as it was and the digest of each component.

        Raises:
            NotFoundError: `generation_not_found`.
            ManifestError: this version of the daemon can't read it.
        """
        generation = await self.generation(number)
        drafted = await asyncio.to_thread(self.draft, generation.manifest)
        return generation, pinned(drafted, generation.components)

    async def candidate(self, generation: Generation) -> Candidate:
        """Check and compile a generation on this machine.

        Raises:
            Refusal: it can't run here.
            NotFoundError: `component_not_found`.
        """
        around, files = self._surrounds, await self.files(generation)
        return await check(
            generation.manifest, around.file, around.surroundings, self._compiler, dev=True, stored=files
        )

    async def files(self, generation: Generation) -> Files:
        """Read its code.

        Raises:
            NotFoundError: `component_not_found`.
        """
        codes: dict[str, bytes] = {}
        for digest in set(generation.components.values()):
            code = await self._store.component_code(digest)
            if code is None:
                raise NotFoundError("component_not_found", f"the database lacks the code {digest}")
            codes[digest] = code
        return Files(codes, dict(generation.components))

    def draft(self, source: bytes) -> Manifest:
        """Read a manifest as far as it can be read.

        Raises:
            ManifestError: it is no TOML.
        """
        return draft(source, self._surrounds.file, self._surrounds.surroundings).manifest

    async def recognize(self, source: bytes, active: Generation | None) -> Recognized | None:
        """Find the generation that this host's file is, or the newest one that it has caught up with.

        A file catches up with what another host was first to make a generation of. It does not with those it agreed
        with before, nor with those that a rollback made: an author who goes back to what they say means it.
        """
        around = self._surrounds
        if active is None or around.dev:
            return None
        before = await self._store.proposal(around.host)
        if before is not None and before.content_hash == hash_of(source):
            return Recognized(before.generation)
        manifest = await asyncio.to_thread(self._without_errors, source) if around.shared else None
        if manifest is None:
            return None
        number = await self._caught_up(manifest, active.number, 0 if before is None else before.generation)
        return None if number is None else Recognized(number, manifest)

    def says_the_same(self, source: bytes, active: Candidate) -> bool:
        """Tell if a file is the active manifest; where others share that, but for what is each host's own."""
        if source == active.source or not self._surrounds.shared:
            return source == active.source
        manifest = self._without_errors(source)
        return manifest is not None and agree(manifest, pinned(active.manifest, active.files.digests))

    async def _caught_up(self, manifest: Manifest, active: int, before: int) -> int | None:
        cursor = active + 1
        while rows := await self._store.generations(cursor, _PAGE):
            for row in rows:
                if row.number <= before and row.number != active:
                    return None
                is_meant = row.cause != "rollback" or row.number == active
                if is_meant and await self._agrees(manifest, row.number):
                    return row.number
            cursor = rows[-1].number
        return None

    async def _agrees(self, manifest: Manifest, number: int) -> bool:
        try:
            _, other = await self.manifest(number)
        except (ManifestError, NotFoundError):  # of another version of the daemon, or removed just now
            return False
        return agree(manifest, other)

    def _without_errors(self, source: bytes) -> Manifest | None:
        try:
            drafted = draft(source, self._surrounds.file, self._surrounds.surroundings)
        except ManifestError:
            return None
        return None if has_errors(drafted.diagnostics) else drafted.manifest


def pinned(manifest: Manifest, digests: Mapping[str, str]) -> Manifest:
    """Give a manifest with the digest of each component, also where it leaves it out."""
    specs = tuple(msgspec.structs.replace(spec, digest=digests.get(spec.name)) for spec in manifest.components)
    return msgspec.structs.replace(manifest, components=specs)


def agree(one: Manifest, other: Manifest) -> bool:
    """Tell if two manifests say the same of all that hosts share."""
    return compare(one, owned(other, one.daemon, one.executors)).is_empty


def owned(manifest: Manifest, daemon: DaemonSettings, executors: tuple[Executor, ...]) -> Manifest:
    """Give a manifest with other tables in place of those that are each host's own."""
    return msgspec.structs.replace(manifest, daemon=daemon, executors=executors)
