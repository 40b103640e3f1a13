"""`obelisk-ctl db`: what the database takes, a copy of it, damage in it."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from obelisk_daemon.ctl.failure import FAILED, OK
from obelisk_daemon.ctl.parsing import Group
from obelisk_daemon.ctl.session import Flag, Session, command

_UNITS: Final = ("KiB", "MiB", "GiB", "TiB")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(cls=Group, rich_markup_mode=None, help="Measure, back up, check and shrink the database.")
    command(group, "stats")(stats)
    command(group, "backup", Flag("force", "Replace the file if it is there."))(backup)
    command(group, "check", Flag("full", "Compare every row with the logs, not only a sample."))(check)
    command(group, "vacuum")(vacuum)
    command(group, "copy")(copy)
    app.add_typer(group, name="db")


def stats(session: Session) -> int:
    """Show what the database takes, and for what."""
    found = session.client.get("/v1/db/stats").document
    if session.output.as_json:
        session.output.document(found)
        return OK
    rows = [f"{table}: {number:,}" for table, number in found["rows"].items()]
    rows += [f"{table}: too many to count" for table in found.get("not_counted", ())]
    session.output.fields(
        {
            "file": f"{size(found['file_bytes'])}, of which {size(found['free_bytes'])} are free",
            "write-ahead log": size(found["wal_bytes"]),
            "compiled code": size(found["cache_bytes"]),
            "free on the disk": size(found["disk_free_bytes"]),
            "generations": f"{found['generations']}, with {size(found['component_bytes'])} of components",
            "rows": "\n".join(rows),
            "last removal": _removed(session, found.get("last_removal")),
        }
    )
    return OK


def _removed(session: Session, last: dict[str, Any] | None) -> str | None:
    if last is None:
        return None
    kinds = ("executions", "generations", "components")
    return f"{', '.join(f'{last[kind]:,} {kind}' for kind in kinds)}, {session.output.when(last['ended_at'])}"


def backup(session: Session, file: Annotated[Path, typer.Argument(help="Where to write it.", metavar="FILE")]) -> int:
    """Copy the database to a file here, consistent and complete, while the daemon works.

    The daemon can start on the copy: put it into an empty state directory as obelisk.db.
    """
    from obelisk_daemon.ctl.download import save

    with session.output.progress("making the copy") as shown:
        made = save(session.client, "/v1/db/backup", file, shown, replace="force" in session.flags)
    document = {"file": os.fspath(file.absolute()), "bytes": made.size, "sha256": made.sha256}
    if session.output.as_json:
        session.output.document(document)
    session.output.line(f"{document['file']}  {size(made.size)}  sha256 {made.sha256}")
    return OK


def check(session: Session) -> int:
    """Look for damage in the database, beside what the daemon does; exit with 1 if there is any."""
    from obelisk_daemon.ctl.client import LONG_SECONDS

    wish = json.dumps({"full": "full" in session.flags}).encode()
    with session.output.progress("checking"):
        report = session.client.send("/v1/db/check", wish, "application/json", LONG_SECONDS).document
    if session.output.as_json:
        session.output.document(report)
    for one in report["damage"]:
        session.output.line(f"{one['table']} {one['subject']}: {one['message']}".lstrip())
    found = "no damage" if report["ok"] else "damaged"
    compared = f"{report['executions']:,} of {report['total']:,} executions compared with their logs"
    session.output.line(f"{found}, {compared}")
    return OK if report["ok"] else FAILED


def vacuum(session: Session) -> int:
    """Give the file's free space back to the disk, in short steps between which the daemon works."""
    from obelisk_daemon.ctl.client import LONG_SECONDS

    with session.output.progress("moving pages"):
        report = session.client.send("/v1/db/vacuum", None, patience=LONG_SECONDS).document
    if session.output.as_json:
        session.output.document(report)
    session.output.line(f"{size(report['freed_bytes'])} given back, {size(report['after_bytes'])} left")
    return OK


def copy(
    session: Session,
    source: Annotated[str, typer.Argument(help="sqlite: and the state directory of a stopped daemon, or a backup.")],
    target: Annotated[str, typer.Argument(help="postgresql://USER@HOST/NAME of an empty database; no password.")],
    *,
    password_file: Annotated[str | None, typer.Option(help="Where the password of the target is.")] = None,
    password_env: Annotated[str | None, typer.Option(help="The environment variable that has it.")] = None,
    host: Annotated[
        str | None, typer.Option(help="[daemon] host from now on; this machine's name if left out.")
    ] = None,
) -> int:
    """Move a stopped daemon's data from SQLite to PostgreSQL, all of it in one transaction, and verify it.

    It works here, and asks no daemon. Every row must follow from its log; what was read back from PostgreSQL has the
    digests of what was sent. Without success nothing is there. Afterwards a daemon can't start on the source.
    """
    from obelisk_daemon.ctl.local import obeliskd

    options = {"--password-file": password_file, "--password-env": password_env, "--host": host}
    given = [part for name, value in options.items() if value is not None for part in (name, value)]
    report: dict[str, Any] = {}
    with session.output.progress("checking the source", total=1.0) as shown:
        for report in obeliskd("copy-db", source, target, "--json", *given):
            if "table" in report:
                shown.update(done=report["done"], total=max(1, report["total"]), text=report["table"])
    if session.output.as_json:
        session.output.document(report)
    counted = f"{report['executions']:,} executions ({report['unfinished']:,} unfinished)"
    rows = sum(table["rows"] for table in report["tables"])
    session.output.line(f"copied and verified: {counted}, {rows:,} rows, to {report['target']}")
    return OK


def size(count: int) -> str:
    """Write a number of bytes as people read it."""
    if count < 1024:
        return f"{count} bytes"
    power = min((count.bit_length() - 1) // 10, len(_UNITS))
    return f"{count / 1024**power:.1f} {_UNITS[power - 1]}"
