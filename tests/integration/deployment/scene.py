"""A manifest on disk that is watched by the real watcher, with decisions by a clock that the test moves.

So nothing here depends on how fast the machine is: a test waits until something was seen, and then lets time pass.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from watchfiles import Change

from obelisk_config import ManifestError, load
from obelisk_daemon.clock import Clock
from obelisk_daemon.deployment.settling import HOLD, QUIET, Known, Seen, Settling, Verdict, hash_of
from obelisk_daemon.deployment.watching import ManifestWatch, names_in
from tests.fakes.clock import ManualClock

PATIENCE = 30
"""Seconds after which a test that waits for something has failed."""
NEVER = 3600.0
A = '[[activity]]\nname = "a"\npath = "a.wasm"\n'
ACTIVE = f'{A}[[workflow]]\nname = "b"\npath = "bin/b.wasm"\ntimeout = "1s"\n'.encode()
VALID = ACTIVE.replace(b"1s", b"2s")
LATER = ACTIVE.replace(b"1s", b"3s")
INVALID = ACTIVE.replace(b"[[workflow]]", b"[[workflow]")
CUT_OFF = ACTIVE[: ACTIVE.index(b"timeout")]
"""Valid, and it lacks no component: only a setting."""


class News:
    """Wakes whoever waits for something to have happened."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        self._event.set()

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not happened():
                self._event.clear()
                await self._event.wait()


class RecordedSettling(Settling):
    """Keeps what was seen and decided."""

    def __init__(self, known: Known, file: Path, news: News, *, quiet: float, hold: float) -> None:
        super().__init__(known, partial(names_in, file=file), quiet=quiet, hold=hold)
        self._news = news
        self.observed: list[Seen] = []
        self.verdicts: list[Verdict] = []

    def observe(self, seen: Seen, now: float) -> Verdict:
        verdict = super().observe(seen, now)
        self.observed.append(seen)
        self.verdicts.append(verdict)
        self._news.tell()
        return verdict


class CountedWatch(ManifestWatch):
    """Counts the looks whose consequences are over."""

    def __init__(self, news: News, *arguments: Any, poll: float) -> None:
        super().__init__(*arguments, poll=poll)
        self._news = news
        self.looks = 0

    async def look(self) -> float:
        seconds = await super().look()
        self.looks += 1
        self._news.tell()
        return seconds


class RecordingProposer:
    """Accepts what `obelisk_config` accepts, and makes it active. `before` runs before each decision."""

    def __init__(self, file: Path, settling: Settling, news: News) -> None:
        self._file = file
        self._settling = settling
        self._news = news
        self.proposed: list[bytes] = []
        self.accepted: list[bytes] = []
        self.refused: list[str] = []
        self.changed: list[frozenset[str]] = []
        self.before: Callable[[], None] = lambda: None

    async def propose(self, content: bytes) -> bool:
        self.proposed.append(content)
        await asyncio.sleep(0)  # a check takes turns of the loop
        try:
            self.before()
            load(content, self._file)
            self.accepted.append(content)
            self._settling.activated(content)
        except ManifestError:
            return False
        finally:
            self._news.tell()
        return True

    async def refuse(self, code: str, message: str) -> None:
        self.refused.append(code)
        self._news.tell()
        self.before()

    def components_changed(self, changed: frozenset[str]) -> None:
        self.changed.append(changed)
        self._news.tell()


class Watches:
    """Stands in for `watchfiles.awatch`: keeps what it is asked for, gives events and fails as told."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.events = 0
        self.directories: list[set[str]] = []
        self.options: dict[str, Any] = {}

    async def __call__(self, *directories: str, **options: Any) -> AsyncIterator[object]:
        self.directories.append(set(directories))
        self.options = options
        for _ in range(self.events):
            yield
        if self.error is not None:
            raise self.error
        await options["stop_event"].wait()

    def matters(self, path: Path) -> bool:
        """Tell if an event of this path is one to look at."""
        told: bool = self.options["watch_filter"](Change.modified, str(path))
        return told


class Scene:
    """A directory `conf` with a manifest that is active, its components, and the watch over it."""

    def __init__(
        self, directory: Path, clock: Clock | None = None, *, quiet: float = QUIET, hold: float = HOLD
    ) -> None:
        self.directory = directory / "conf"
        self.file = self.directory / "obelisk.toml"
        (self.directory / "bin").mkdir(parents=True)
        (self.directory / "a.wasm").write_bytes(b"a")
        (self.directory / "bin" / "b.wasm").write_bytes(b"b")
        self.file.write_bytes(ACTIVE)
        self.clock = ManualClock()
        self.news = News()
        known = Known(ACTIVE, hash_of(ACTIVE))
        self.settling = RecordedSettling(known, self.file, self.news, quiet=quiet, hold=hold)
        self.proposer = RecordingProposer(self.file, self.settling, self.news)
        self._arguments = self.proposer, self.settling, clock or self.clock
        self.watch_otherwise()

    def watch_otherwise(self, file: Path | None = None, poll: float = NEVER) -> None:
        """Watch by another path, or poll too: without that nothing but events makes the watch look."""
        self.watch = CountedWatch(self.news, file or self.file, *self._arguments, poll=poll)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Watch while the block runs, which begins once events are followed."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.watch.run())
            # The first look tells what to watch; the second is taken when that is watched.
            await self.looks(2)
            yield
            task.cancel()

    async def looks(self, count: int) -> None:
        """Wait until the watch has looked so often from now on, and done what came of it."""
        goal = len(self.settling.observed) + count
        await self.news.until(lambda: self.watch.looks >= goal)

    async def sees(self, seen: Seen) -> None:
        """Wait until the watch has seen this, and nothing else since."""
        await self.news.until(lambda: self.settling.observed[-1] == seen)

    async def passes(self, seconds: float) -> None:
        """Let time pass, and wait until the watch has looked at what it makes of it."""
        self.clock.advance(timedelta(seconds=seconds))
        self.watch.poke()
        await self.looks(1)

    async def looks_after(self, seconds: float) -> float:
        """Let time pass and look, where no task watches; give the seconds after which to look again."""
        self.clock.advance(timedelta(seconds=seconds))
        return await self.watch.look()

    async def settles(self, seen: Seen, seconds: float = QUIET) -> None:
        """Wait until the watch has seen this, and then for so long."""
        await self.sees(seen)
        await self.passes(seconds)

    async def held(self, seen: Seen) -> None:
        """See that this is held, and then that the hold is over."""
        await self.settles(seen, HOLD - 0.125)
        await self.passes(0.125)
