"""`obelisk-ctl init` and `manifest pin`: they write a manifest, here and without a daemon."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from obelisk_daemon.ctl.failure import BAD_DATA, BAD_MANIFEST, FAILED, OK, USAGE, CtlError
from obelisk_daemon.ctl.session import Session, command

if TYPE_CHECKING:  # imported only when a command runs
    from obelisk_config.starting import FirstComponent

_DEFAULT: Final = "obelisk.toml"
_SCHEMA: Final = "obelisk.schema.json"
_Kind = Literal["activity", "workflow"]
ManifestOption = Annotated[str, typer.Option("--manifest", metavar="FILE", help="The manifest.")]


def register(app: typer.Typer) -> None:
    """Add the commands that are in no group."""
    command(app, "init")(init)


def init(
    session: Session,
    activities: Annotated[
        list[str] | None, typer.Option("--activity", metavar="FILE", help="An activity's .wasm file; may be repeated.")
    ] = None,
    workflows: Annotated[
        list[str] | None, typer.Option("--workflow", metavar="FILE", help="A workflow's .wasm file; may be repeated.")
    ] = None,
    manifest: ManifestOption = _DEFAULT,
) -> int:
    """Write a first manifest, with the digests of the given components, and the schema that editors complete from.

    A file that is there already is left alone, and the command fails.
    """
    from obelisk_config.schema import schema_text
    from obelisk_config.starting import first_manifest

    target = Path(manifest)
    components = [*_components("activity", activities, target), *_components("workflow", workflows, target)]
    _require_names(components)
    _write_new(target, first_manifest(components))
    schema = target.parent / _SCHEMA
    if not schema.exists():
        _write_new(schema, schema_text())
    if session.output.as_json:
        session.output.document({"manifest": str(target), "components": [one.name for one in components]})
    session.output.line(f"wrote {target} with {len(components)} components; next: obeliskd check {target}")
    return OK


def pin(
    session: Session,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Components; all if left out.")] = None,
    manifest: ManifestOption = _DEFAULT,
) -> int:
    """Write the digests of the files on disk into the manifest; all else in it stays as it is.

    The daemon takes the manifest up by itself.
    """
    from obelisk_config import ManifestError, render
    from obelisk_config.pinning import pin as pinned

    target = Path(manifest)
    try:
        text = target.read_bytes().decode()
        digests = dict(_digests(text.encode(), target, names or None))
        changed = pinned(text, digests, manifest)
    except ManifestError as error:
        raise CtlError(BAD_MANIFEST, "invalid_manifest", render(error.diagnostics)) from error
    except LookupError as error:
        raise CtlError(USAGE, "unknown_component", str(error.args[0])) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CtlError(BAD_DATA, "file_unreadable", f"{manifest} can't be read: {error}") from error
    if changed != text:
        replace_file(target, changed)
    told = "unchanged" if changed == text else "written"
    if session.output.as_json:
        session.output.document({"manifest": manifest, "changed": changed != text, "digests": digests})
    for name, digest in digests.items():
        session.output.line(f"{name}  {digest}")
    session.output.line(f"{manifest}: {told}")
    return OK


def _digests(source: bytes, file: Path, names: list[str] | None) -> Iterator[tuple[str, str]]:
    from obelisk_config import ComponentStub, draft

    manifest = draft(source, file).manifest
    paths = {spec.name: spec.path for spec in manifest.components}
    paths |= {stub.name: stub.source.path for stub in manifest.stubs if isinstance(stub.source, ComponentStub)}
    for name in paths if names is None else names:
        if name not in paths:
            raise LookupError(f"{file} has no component named {name}; it has {', '.join(paths) or 'none'}")
        yield name, _digest(Path(paths[name]))


def _components(kind: _Kind, files: list[str] | None, manifest: Path) -> "Iterator[FirstComponent]":
    from obelisk_config.starting import FirstComponent

    for file in files or ():
        path = Path(file).absolute()
        beside = manifest.absolute().parent
        shown = str(path.relative_to(beside)) if path.is_relative_to(beside) else str(path)
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).replace("_", "-").strip("-")
        yield FirstComponent(kind, (name if name[:1].isalpha() else f"c-{name}")[:64], shown, _digest(path))


def _require_names(components: "list[FirstComponent]") -> None:
    names = [one.name for one in components]
    for name in names:
        if names.count(name) > 1:
            raise CtlError(USAGE, "usage", f"two files would be named {name}: rename one, or add it by hand")


def _digest(file: Path) -> str:
    try:
        return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    except OSError as error:
        raise CtlError(BAD_DATA, "file_unreadable", f"{file} can't be read: {error.strerror}") from error


def _write_new(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise CtlError(FAILED, "file_exists", f"{file} is there already") from None
    except OSError as error:
        raise CtlError(FAILED, "not_written", f"can't write {file}: {error.strerror}") from error


def replace_file(file: Path, text: str) -> None:
    """Write the file anew in one step, so that a daemon that watches it never sees half of it."""
    real = file.resolve()
    draft = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        facts = real.stat()
        with draft.open("xb") as opened:
            opened.write(text.encode())
            opened.flush()
            os.fsync(opened.fileno())
        draft.chmod(facts.st_mode & 0o7777)
        os.chown(draft, facts.st_uid, facts.st_gid)  # else a daemon of another user could not read it any more
        draft.replace(real)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise CtlError(FAILED, "not_written", f"can't write {file}: {error.strerror}") from error
