"""`obelisk-ctl db`: what the database takes, a copy of it, damage in it."""

import json
import os
from pathlib import Path
from typing import Annotated, Final

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
        }
    )
    return OK


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


def size(count: int) -> str:
    """Write a number of bytes as people read it."""
    if count < 1024:
        return f"{count} bytes"
    power = min((count.bit_length() - 1) // 10, len(_UNITS))
    return f"{count / 1024**power:.1f} {_UNITS[power - 1]}"
