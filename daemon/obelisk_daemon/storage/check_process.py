"""Checking a database in a process of its own: it reads and folds for long, and must not hold up the loop."""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Final

import msgspec

from obelisk_daemon.errors import OperatorError
from obelisk_daemon.storage.database import CheckReport

_CHECK_SECONDS: Final = 3600.0


async def check_in_process(database: str, environ: Mapping[str, str] = {}, *, full: bool) -> CheckReport:
    """Run `obeliskd check-db` on a file or a URL, with nothing in its environment but `environ`.

    Raises:
        OperatorError: `check_failed`.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-s",
        "-P",
        "-m",
        "obelisk_daemon.obeliskd",
        "check-db",
        database,
        "--json",
        *(("--full",) if full else ()),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            told, errors = await child.communicate()
        return msgspec.json.decode(told, type=CheckReport)
    except (TimeoutError, msgspec.MsgspecError) as error:
        detail = "it took too long" if isinstance(error, TimeoutError) else errors.decode("utf-8", "replace").strip()
        raise OperatorError("check_failed", f"the database could not be checked: {detail}") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
