"""`/v1/db`: what the database takes, a copy of it, damage, and space that can be given back."""

from base64 import b64encode
from typing import Final

import msgspec
from litestar import get, post
from litestar.background_tasks import BackgroundTask
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from litestar.response import Stream

from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import ApiRequest, services_of
from obelisk_daemon.storage.database import Backup, CheckReport, DatabaseStats, VacuumReport

_MEDIA_TYPE: Final = "application/vnd.sqlite3"
_COPY: Final = {
    200: ResponseSpec(
        bytes, media_type=_MEDIA_TYPE, description="The copy; `Repr-Digest` has its SHA-256", generate_examples=False
    )
}


class CheckWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to check. `full` compares every row with the logs, not only a sample, and may take long."""

    full: bool = False


@get("/db/stats", responses=PROBLEMS, summary="Measure the database")
async def db_stats(request: ApiRequest) -> DatabaseStats:
    """Give the sizes in bytes, and rows by table."""
    return await services_of(request).database.stats()


@post("/db/check", status_code=200, opt={"role": "admin"}, responses=PROBLEMS, summary="Look for damage")
async def db_check(request: ApiRequest, data: JSONBody[CheckWish | None] = None) -> CheckReport:
    """Check what SQLite can check, and the rows against the logs, beside what the daemon does."""
    return await services_of(request).database.check(full=(data or CheckWish()).full)


@post("/db/vacuum", status_code=200, opt={"role": "admin"}, responses=PROBLEMS, summary="Give free space back")
async def db_vacuum(request: ApiRequest) -> VacuumReport:
    """Move what is at the end of the file into its gaps, in short steps, and cut the file."""
    return await services_of(request).database.vacuum()


@post("/db/backup", status_code=200, opt={"role": "admin"}, responses=PROBLEMS | _COPY, summary="Copy the database")
async def db_backup(request: ApiRequest) -> Stream:
    """Give a consistent copy, complete by itself, as a file that another daemon can start on."""
    backup = await services_of(request).database.back_up()
    digest = b64encode(backup.sha256).decode()
    headers = {"content-length": str(backup.size), "repr-digest": f"sha-256=:{digest}:"}
    # the task runs at the end of the answer, also when its reader has gone: a generator that never began can't tell
    closing = BackgroundTask(_close, backup)
    return Stream(backup.chunks, media_type=_MEDIA_TYPE, headers=headers, background=closing)


async def _close(backup: Backup) -> None:
    backup.close()


ROUTES: Final = (db_stats, db_check, db_vacuum, db_backup)
