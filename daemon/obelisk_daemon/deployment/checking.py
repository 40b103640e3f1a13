"""A manifest from its bytes to components that can run: parsed, validated, compiled, linked.

Every stage goes on with what the stage before left, so that one run reports all that is wrong.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from obelisk_config import Diagnostic, Manifest, ManifestError, Surroundings, at, draft, has_errors, in_order
from obelisk_daemon.deployment.candidate import Files, read_components
from obelisk_daemon.deployment.linking import check_links
from obelisk_daemon.errors import ComponentError
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.component import Component
from obelisk_daemon.wasm.host import log, workflow


class Candidate(msgspec.Struct, frozen=True):
    """A manifest without errors, its files and its compiled components by name."""

    source: bytes
    manifest: Manifest
    files: Files
    components: Mapping[str, Component]
    warnings: tuple[Diagnostic, ...]

    @property
    def content_hash(self) -> str:
        """Identify what would run: the manifest's bytes and the digests of its components."""
        digests = "\n".join(f"{name} {digest}" for name, digest in sorted(self.files.digests.items()))
        return hashlib.sha256(self.source + b"\0" + digests.encode()).hexdigest()


async def check(
    source: bytes, file: Path, surroundings: Surroundings, compiler: Compiler, *, dev: bool = False
) -> Candidate:
    """Check a manifest completely.

    Raises:
        ManifestError: with every diagnostic, also warnings, in the order of the file; the operator must correct it.
    """
    drafted = draft(source, file, surroundings)
    manifest = drafted.manifest
    files, unread = await asyncio.to_thread(read_components, manifest, dev=dev)
    components, uncompiled = await _compile(manifest, files, compiler)
    unlinked = check_links(manifest, components, _provided, partial=drafted.partial)
    diagnostics = in_order((*drafted.diagnostics, *unread, *uncompiled, *unlinked))
    if has_errors(diagnostics):
        raise ManifestError(diagnostics)
    return Candidate(source, manifest, files, components, diagnostics)


async def _compile(
    manifest: Manifest, files: Files, compiler: Compiler
) -> tuple[dict[str, Component], list[Diagnostic]]:
    specs = [spec for spec in manifest.components if spec.name in files.digests]
    codes = [files.by_digest[files.digests[spec.name]] for spec in specs]
    loading = [compiler.load(code, spec.kind) for spec, code in zip(specs, codes, strict=True)]
    loaded = await asyncio.gather(*loading, return_exceptions=True)
    components: dict[str, Component] = {}
    found: list[Diagnostic] = []
    for spec, result in zip(specs, loaded, strict=True):
        if isinstance(result, Component):
            components[spec.name] = result
        elif isinstance(result, ComponentError):
            path = (*manifest.positions[spec.name], "path")
            message = f'"{spec.name}" can\'t be used: {result}'
            found.append(at(manifest.document, path, result.code, message, ""))
        else:
            raise result
    return components, found


def _provided(interface: str, function: str) -> bool:
    """Tell if the host gives this function to workflows; the types are checked when the component is linked."""
    return (log.resolve(interface, function) or workflow.resolve(interface, function)) is not None
