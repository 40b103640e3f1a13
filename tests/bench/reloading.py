"""From a saved manifest to the active generation: one setting changed, 100 components unchanged."""

import hashlib
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

from tests import guests
from tests.bench.daemon import Daemon, scratch
from tests.bench.rows import Goal, Row
from tests.bench.run import Run

COMPONENTS: Final = 100
_SECONDS: Final = 0.15


def reload(run: Run) -> Iterator[Row]:
    """Measure the file's save to active by itself, and the check and swap alone, which `manifest reload` waits for."""
    with scratch() as directory:
        retries = count(1)
        with run.daemon(directory, many(directory, COMPONENTS, next(retries)), "reload") as daemon:

            def changed() -> str:
                return many(directory, COMPONENTS, next(retries))

            saved, asked = run.in_turns(
                lambda: _saved(daemon, changed()),
                lambda: _asked(daemon, changed()),
            )
    yield Row(f"reload: on request, {COMPONENTS} unchanged", Run.median(asked), "s", goal=Goal(_SECONDS, most=True))
    yield Row(
        f"reload: from saving, {COMPONENTS} unchanged", Run.median(saved), "s", "0.25 s of it is the quiet period"
    )


def many(directory: Path, number: int, retries: int = 1) -> str:
    """Write a manifest of components that differ only in the name of what they export, and their files."""
    head = f'[daemon]\nlog = {{ level = "warning" }}\n[defaults.activity]\nmax_retries = {retries}\n'
    return "\n".join([head, *(_component(directory, place) for place in range(number))])


def _component(directory: Path, place: int) -> str:
    """The new name is as long as that of the guest that it is, so it can take its place in the code."""
    code = guests.path("fibo-activity").read_bytes().replace(b"testing:fibo/fibo", b"testing:f%03d/fibo" % place)
    file = directory / f"f{place:03}.wasm"
    if not file.exists():
        file.write_bytes(code)
    digest = f"sha256:{hashlib.sha256(code).hexdigest()}"
    return guests.manifest_entry("fibo-activity", name=f"f{place:03}", path=str(file), digest=digest)


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
