"""A manifest from its bytes to components that can run: parsed, validated, compiled, linked.

Every stage goes on with what the stage before left, so that one run reports all that is wrong.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from obelisk_config import (
    ComponentStub,
    Diagnostic,
    Manifest,
    ManifestError,
    Severity,
    Surroundings,
    WitStub,
    at,
    check_listeners,
    draft,
    has_errors,
    in_order,
)
from obelisk_daemon.deployment.candidate import Files, read_components
from obelisk_daemon.deployment.linking import check_links
from obelisk_daemon.deployment.secrets import read_secrets
from obelisk_daemon.deployment.stubs import Stub, read_stubs
from obelisk_daemon.errors import ComponentError, OperatorError
from obelisk_daemon.execution.wit_host import host_function
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.recipe import EngineKind
from obelisk_daemon.wasm.wasi.secret import Secret

Stage: TypeAlias = Literal["seen", "parsed", "validated", "compiled", "linked", "staged", "active"]
"""What a manifest gets to, in order (DESIGN.md section 8)."""


class Refusal(ManifestError):  # noqa: N818 - a verdict
    """A manifest can't become active; `stage` is the one that it did not get to."""

    def __init__(self, stage: Stage, diagnostics: Iterable[Diagnostic]) -> None:
        super().__init__(diagnostics)
        self.stage = stage


class Candidate(msgspec.Struct, frozen=True):
    """A manifest without errors, its files, and its compiled components and its stubs by name."""

    source: bytes
    manifest: Manifest
    files: Files
    components: Mapping[str, Component]
    stubs: Mapping[str, Stub]
    warnings: tuple[Diagnostic, ...]
    secrets: Mapping[str, Secret] = {}
    """By name, those that an allowed host names; without `need_secrets` only those that are there."""

    @property
    def exporting(self) -> Iterator[Component | Stub]:
        """Give all that export functions, in the order of the manifest, stubs last."""
        manifest = self.manifest
        yield from (self.components[spec.name] for spec in manifest.components)
        yield from (self.stubs[spec.name] for spec in manifest.stubs)

    @property
    def files_as_they_are(self) -> frozenset[str]:
        """Give the files whose digests the manifest leaves out: another content is another candidate."""
        paths = {spec.path for spec in self.manifest.components if spec.digest is None}
        for stub in self.manifest.stubs:
            match stub.source:
                case WitStub(path) | ComponentStub(path=path, digest=None):
                    paths.add(path)
        return frozenset(paths)

    def path_of(self, name: str) -> str | None:
        """Give the file of a component or stub; None where it has none."""
        paths: dict[str, str | None] = {spec.name: spec.path for spec in self.manifest.components}
        return (paths | {stub.name: stub.path for stub in self.manifest.stubs}).get(name)

    @property
    def owners(self) -> dict[str, str]:
        """Give the names of the components and stubs that export functions, by ffqn."""
        names = [*(one.name for one in self.manifest.components), *(one.name for one in self.manifest.stubs)]
        return {str(ffqn): name for name, one in zip(names, self.exporting, strict=True) for ffqn in one.exports}

    @property
    def exports(self) -> dict[str, FunctionType]:
        """Give the types of all functions that can be called, by ffqn."""
        return {str(ffqn): of for one in self.exporting for ffqn, of in one.exports.items()}

    @property
    def content_hash(self) -> str:
        """Identify what would run: the manifest's bytes and the digests of its components."""
        digests = "\n".join(f"{name} {digest}" for name, digest in sorted(self.files.digests.items()))
        return hashlib.sha256(self.source + b"\0" + digests.encode()).hexdigest()


async def check(
    source: bytes,
    file: Path,
    surroundings: Surroundings,
    compiler: Compiler,
    *,
    dev: bool = False,
    stored: Files | None = None,
    need_secrets: bool = True,
) -> Candidate:
    """Check a manifest completely. Files that are `stored` are taken in place of those on the disk, as they are.

    Secrets are read in any case; those that can't be are errors, or warnings unless `need_secrets`.

    Raises:
        Refusal: with every diagnostic, also warnings, in the order of the file; the operator must correct it.
    """
    try:
        drafted = await asyncio.to_thread(draft, source, file, surroundings)
    except ManifestError as error:
        raise Refusal("parsed", error.diagnostics) from None
    manifest = drafted.manifest
    files, unread = stored or Files({}, {}), tuple[Diagnostic, ...]()
    if stored is None:
        files, unread = await asyncio.to_thread(read_components, manifest, dev=dev)
    severity: Severity = "error" if need_secrets else "warning"
    secrets, unreadable = await asyncio.to_thread(read_secrets, manifest, surroundings.variables, severity)
    exposed = check_listeners(manifest, dev=dev, given=bool(surroundings.listen))
    loaded, uncompiled = await _compile(manifest, files, compiler)
    components = {spec.name: loaded[spec.name] for spec in manifest.components if spec.name in loaded}
    stubs, untyped = read_stubs(manifest, files, loaded)
    unlinked = check_links(manifest, {**components, **stubs}, host_function, partial=drafted.partial)
    found: dict[Stage, Sequence[Diagnostic]] = {
        "parsed": drafted.diagnostics,
        "validated": (*exposed, *unread, *unreadable),
        "compiled": (*uncompiled, *untyped),
        "linked": unlinked,
    }
    diagnostics = in_order(diagnostic for stage in found.values() for diagnostic in stage)
    for stage, of_stage in found.items():
        if has_errors(of_stage):
            raise Refusal(stage, diagnostics)
    return Candidate(source, manifest, files, components, stubs, diagnostics, secrets)


async def _compile(
    manifest: Manifest, files: Files, compiler: Compiler
) -> tuple[dict[str, Component], list[Diagnostic]]:
    # a stub is loaded for what it exports; on which engine makes no difference, since it never runs
    kinds: dict[str, EngineKind] = {spec.name: spec.kind for spec in manifest.components}
    kinds |= {spec.name: "activity" for spec in manifest.stubs if isinstance(spec.source, ComponentStub)}
    names = [name for name in kinds if name in files.digests]
    loading = [compiler.load(files.by_digest[files.digests[name]], kinds[name]) for name in names]
    loaded = await asyncio.gather(*loading, return_exceptions=True)
    components: dict[str, Component] = {}
    found: list[Diagnostic] = []
    for name, result in zip(names, loaded, strict=True):
        if isinstance(result, Component):
            components[name] = result
        elif isinstance(result, ComponentError | OperatorError):  # the second: it could not be compiled here and now
            path = (*manifest.positions[name], "path")
            message = f'"{name}" can\'t be used: {result}'
            found.append(at(manifest.document, path, result.code, message, ""))
        else:
            raise result
    return components, found
