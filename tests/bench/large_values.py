"""A large parameter, from the client through the log into a guest: `bytes`."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Final

from tests.bench.client import Client, connected, share
from tests.bench.daemon import Daemon, manifest, scratch
from tests.bench.measuring import Done, Sample, measure, row
from tests.bench.rows import Row
from tests.bench.run import Run

MEASURE: Final = "testing:bytes/bytes.measure"
_SIZE: Final = 1 << 20
_NUMBER: Final = 10
_DATA: Final = [place % 251 for place in range(_SIZE)]


def large_values(run: Run) -> Iterator[Row]:
    """Measure calls of an activity with 1 MiB of `list<u8>`, which is an array of numbers in JSON, one at a time."""
    with scratch() as directory, run.daemon(directory, manifest(["bytes"]), "bytes") as daemon:
        _call(daemon, 1)
        (samples,) = run.in_turns(partial(_call, daemon, _NUMBER))
    yield row("bytes: calls with 1 MiB of list<u8>", "1/s", samples)


def _call(daemon: Daemon, number: int) -> Sample:
    async def work() -> Done:
        async with connected([daemon.directory / "api.sock"], 1) as clients:
            return Done(number, await share(clients, [_measured] * number))

    return measure(daemon, lambda: asyncio.run(work()))


async def _measured(client: Client) -> None:
    assert await client.run(MEASURE, [_DATA]) == {"ok": _SIZE + _DATA[-1]}
