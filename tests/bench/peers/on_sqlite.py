"""One daemon on SQLite, DBOS on SQLite, and Restate with its own storage, each durable as it comes."""

import asyncio
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.bench.daemon import manifest, scratch
from tests.bench.peers.comparing import SHAPE, Ahead, compare, dbos
from tests.bench.peers.load import Pass, Processes, measure, run_fiboa
from tests.bench.peers.restate_server import measured, restate
from tests.bench.rows import Row
from tests.bench.run import Run

_AHEAD = (Ahead("DBOS", steps=5, workflows=10), Ahead("Restate", steps=1.5, workflows=3))


def peers(run: Run) -> Iterator[Row]:
    """Measure steps of one workflow after the other, and 3-step workflows of 50 clients."""
    with scratch() as directory, restate(directory / "restate") as ingress:
        text = manifest(["fibo-activity", "fibo-workflow"])
        systems = {
            "obelisk": partial(_obelisk, run, text),
            "DBOS, threads": partial(_dbos, directory, "sync"),
            "DBOS, asyncio": partial(_dbos, directory, "async"),
            "Restate, called service": partial(measured, ingress, "calls", SHAPE),
            "Restate, in-process step": partial(measured, ingress, "steps", SHAPE),
        }
        yield from compare(run, systems, _AHEAD)


def _obelisk(run: Run, text: str) -> Pass:
    with scratch() as directory, run.daemon(directory, text, "peers") as daemon:
        processes = Processes([daemon.process.pid])
        return asyncio.run(measure([directory / "api.sock"], SHAPE, run_fiboa, processes))


def _dbos(directory: Path, form: str) -> Pass:
    with tempfile.TemporaryDirectory(dir=directory) as own:
        return dbos(f"sqlite:///{own}/dbos.sqlite", form)
