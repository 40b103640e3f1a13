"""The JSON documents of `/v1/manifest`, as types, and how they are made."""

import msgspec

from obelisk_daemon.api import describing
from obelisk_daemon.api.documents import DriftDocument
from obelisk_daemon.clock import to_rfc3339
from obelisk_daemon.deployment.control import ManifestState
from obelisk_daemon.storage.generations import Generation, GenerationRow


class RefusalDocument(msgspec.Struct, frozen=True):
    """Why the file's last content did not become active; `text` has each place and cure."""

    stage: str
    text: str
    summary: str


class OlderCodeDocument(msgspec.Struct, frozen=True):
    """Unfinished executions that are on other code than the current one."""

    component: str
    ffqn: str
    digest: str
    unfinished: int


class HostGenerationDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A live host on the database, and the generation that it runs; left out: it has not said so yet."""

    host: str
    generation: int | None = None


class ManifestDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The active generation, where the disk differs from it, and what became of the file last."""

    generation: int
    activated_at: str
    cause: str
    file: str
    drift: list[DriftDocument]
    older_code: list[OlderCodeDocument]
    hosts: list[HostGenerationDocument]
    restored: int | None = None
    refused: RefusalDocument | None = None


class GenerationDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the history. `restored` is the generation that a rollback went back to."""

    generation: int
    activated_at: str
    cause: str
    content_hash: str
    restored: int | None = None


class GenerationList(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page, newest first; `next` is the `before` of the page after it, if there is one."""

    active: int
    generations: list[GenerationDocument]
    next: int | None = None


class GenerationManifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A generation with its manifest's text and the digests of its components by name."""

    generation: int
    activated_at: str
    cause: str
    content_hash: str
    manifest: str
    components: dict[str, str]
    restored: int | None = None


class ReloadWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to reload: only what a plan was made of, and what may be lost."""

    plan: str | None = None
    allow_remove: bool = False
    """Components with unfinished executions may go."""
    allow_break: bool = False
    """Calls of functions that go or change may fail."""


class RollbackWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to roll back: to which generation, the one before the active one if left out, and what may be lost."""

    generation: int | None = None
    allow_remove: bool = False
    allow_break: bool = False


def manifest(state: ManifestState) -> ManifestDocument:
    """Describe what is active."""
    refusal = state.file.refusal
    return ManifestDocument(
        generation=state.generation,
        activated_at=to_rfc3339(state.activated_at),
        cause=state.cause,
        file=state.path,
        drift=describing.drift(state.file),
        older_code=[OlderCodeDocument(one.component, one.ffqn, one.digest, one.unfinished) for one in state.older_code],
        hosts=[HostGenerationDocument(one.host, one.generation) for one in state.hosts],
        restored=state.restored,
        refused=None if refusal is None else RefusalDocument(refusal.stage, refusal.text, refusal.summary),
    )


def generation(row: GenerationRow) -> GenerationDocument:
    """Describe a line of the history."""
    return GenerationDocument(
        generation=row.number,
        activated_at=to_rfc3339(row.activated_at),
        cause=row.cause,
        content_hash=row.content_hash,
        restored=row.restored,
    )


def generation_manifest(found: Generation) -> GenerationManifest:
    """Describe a generation with its manifest."""
    return GenerationManifest(
        generation=found.number,
        activated_at=to_rfc3339(found.activated_at),
        cause=found.cause,
        content_hash=found.content_hash,
        manifest=found.manifest.decode(errors="replace"),
        components=dict(found.components),
        restored=found.restored,
    )
