"""From a saved manifest to the active generation: one setting changed, 100 components unchanged."""

import hashlib
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from tests import guests
from tests.bench.daemon import Daemon, running, scratch
from tests.bench.rows import Row
from tests.bench.run import Run

COMPONENTS = 100
ROUNDS = 5


def reload(_run: Run) -> Iterator[Row]:
    """Measure the file's save to active by itself, and the check and swap alone, which `manifest reload` waits for."""
    with scratch() as directory:
        tables = list(_tables(directory))
        with running(directory, _manifest(tables, 1)) as (daemon, _):
            saved = [_saved(daemon, _manifest(tables, retries)) for retries in range(2, 2 + ROUNDS)]
            asked = [_asked(daemon, _manifest(tables, retries)) for retries in range(10, 10 + ROUNDS)]
        yield Row(f"save to active, {COMPONENTS} unchanged", statistics.median(saved), "s")
        yield Row(f"reload on request, {COMPONENTS} unchanged", statistics.median(asked), "s")


def _tables(directory: Path) -> Iterator[str]:
    """Make components that differ in the name of what they export; it is as long as that of the guest they are."""
    code = guests.path("fibo-activity").read_bytes()
    for number in range(COMPONENTS):
        named = code.replace(b"testing:fibo/fibo", b"testing:f%03d/fibo" % number)
        file = directory / f"f{number:03}.wasm"
        file.write_bytes(named)
        digest = f"sha256:{hashlib.sha256(named).hexdigest()}"
        yield guests.manifest_entry("fibo-activity", name=f"f{number:03}", path=file.name, digest=digest)


def _manifest(tables: list[str], retries: int) -> str:
    head = f'[daemon]\nlog = {{ level = "warning" }}\n[defaults.activity]\nmax_retries = {retries}\n'
    return "\n".join([head, *tables])


def _saved(daemon: Daemon, manifest: str) -> float:
    before = _generation(daemon)
    file = daemon.directory / "next.toml"
    file.write_text(manifest)
    started = time.perf_counter()
    file.replace(daemon.directory / "obelisk.toml")
    while _generation(daemon) == before:
        time.sleep(0.005)
    return time.perf_counter() - started


def _asked(daemon: Daemon, manifest: str) -> float:
    file = daemon.directory / "next.toml"
    file.write_text(manifest)
    file.replace(daemon.directory / "obelisk.toml")
    started = time.perf_counter()
    answer = daemon.client.post("/v1/manifest/reload").raise_for_status().json()
    assert answer["outcome"] == "active", answer
    return time.perf_counter() - started


def _generation(daemon: Daemon) -> int:
    number: int = daemon.client.get("/v1/components").raise_for_status().json()["generation"]
    return number
