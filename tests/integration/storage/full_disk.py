"""Fill the file system of a directory with a store, twice; then make room and write on. Run by a test."""

import asyncio
import sys
from pathlib import Path

from obelisk_daemon.errors import OutcomeUnknownError, StorageUnavailableError
from obelisk_daemon.storage.records import ListFilter
from obelisk_daemon.storage.sql.store import SqlStore
from tests.building import created, new_execution
from tests.integration.storage.opening import open_active


def broken(error: OutcomeUnknownError) -> None:
    print("broken", error)


async def fill(store: SqlStore, first: int) -> int:
    for number in range(first, first + 1_000):
        try:
            await store.submit(new_execution(created(params=["x" * 5_000]), number))
        except StorageUnavailableError as error:
            print(error.code)
            return number
    raise AssertionError("the disk is not full")


async def main(directory: Path) -> None:
    ballast = directory / "ballast"
    ballast.write_bytes(b"x" * 300_000)
    async with open_active(directory / "obelisk.db", broken) as store:
        number = await fill(store, 1)
        assert await fill(store, number) == number
        ballast.unlink()
        print(await store.submit(new_execution(created(params=["x" * 5_000]), number)))
        rows = (await store.reads.summaries(ListFilter(limit=2_000))).rows
        print("consistent" if len(rows) == number else f"{len(rows)} rows of {number}")


asyncio.run(main(Path(sys.argv[1])))
