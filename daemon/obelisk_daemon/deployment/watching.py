"""Watching the manifest and the files it names. Events of the file system say when to look, and nothing else.

They can fail in many ways (a network file system, a limit of the kernel, an overflow), so a slow poll looks too. What
was read decides, by the rules of `settling`.
"""

import asyncio
import contextlib
import functools
import os
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import msgspec
import structlog
from watchfiles import Change, awatch

# Documented there, and exported from nowhere else.
from watchfiles._rust_notify import WatchfilesRustInternalError

from obelisk_config import MAX_BYTES, InlineStub, ManifestError, draft
from obelisk_daemon.clock import Clock, after, to_rfc3339
from obelisk_daemon.deployment.settling import (
    MISSING,
    Absent,
    Propose,
    Refuse,
    Seen,
    Settled,
    Settling,
    Verdict,
    Wait,
    hash_of,
)
from obelisk_daemon.errors import StorageUnavailableError

POLL: Final = 2.0
_STEP_MS: Final = 50
"""How often watchfiles looks for events, whether there are any or not (0.2 % of a core), and so how late it is."""
_MAX_LINKS: Final = 40
"""As many as Linux follows."""
_NOT_A_FILE: Final = Absent("manifest_not_a_file", "the manifest is not a file; put one there, or a link to one")
_log = structlog.get_logger("watch")

_Identity: TypeAlias = tuple[int, int]
_Stamp: TypeAlias = tuple[int, int, int, int]


class Proposer(Protocol):
    """Takes what the watch comes to. Only `StorageUnavailableError` may be raised: then it is told again later."""

    async def propose(self, content: bytes) -> bool:
        """Check a manifest and activate it; True if it is active now, False if it was refused and that was said."""
        ...

    async def refuse(self, code: str, message: str) -> None:
        """Tell the operator why the file is not even proposed."""
        ...

    def components_changed(self, changed: frozenset[str]) -> None:
        """Take notice of files on disk that are others than they were when last looked at, by their paths."""
        ...


class _Sight(msgspec.Struct, frozen=True):
    """What one look found. A file that can't be looked at has no stamp."""

    seen: Seen
    stamps: dict[str, _Stamp | None]
    directories: dict[str, _Identity]
    entries: frozenset[str]
    """Paths in those directories, and their own, as events name them; others don't matter."""


class ManifestWatch:
    """Proposes what becomes of one manifest file. `poll` is the longest time in seconds between two looks."""

    def __init__(self, file: Path, proposer: Proposer, settling: Settling, clock: Clock, *, poll: float = POLL) -> None:
        self._file = file
        self._proposer = proposer
        self._settling = settling
        self._clock = clock
        self._poll = poll
        # Of the active manifest and of the file's content.
        self._paths_in = functools.lru_cache(maxsize=2)(functools.partial(paths_in, file=file))
        self._looking = asyncio.Lock()
        self._poked = asyncio.Event()
        self._moved = asyncio.Event()
        self._stamps: dict[str, _Stamp | None] = {}
        self._directories: dict[str, _Identity] = {}
        self._entries: frozenset[str] = frozenset()
        self._held = ""
        self._complaint = ""

    def poke(self) -> None:
        """Have a look taken at once."""
        self._poked.set()

    async def run(self) -> None:
        """Watch for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_events(), name="watch events")
            while True:
                self._poked.clear()
                seconds = await self.look()
                await _wait(self._poked, seconds)

    async def look(self) -> float:
        """Look once, and do what comes of it; give the seconds after which to look again."""
        async with self._looking:
            sight = await asyncio.to_thread(_look, self._file, self._settling.known.active, self._paths_in)
            self._note_directories(sight)
            self._note_stamps(sight.stamps)
            return await self._act(self._settling.observe(sight.seen, self._clock.monotonic()))

    async def _act(self, verdict: Verdict) -> float:
        held, self._held = self._held, ""
        try:
            match verdict:
                case Wait(seconds, why):
                    self._held = why
                    if why not in ("", held):
                        until = after(self._clock.now(), timedelta(seconds=seconds))
                        _log.warning("manifest_held", file=str(self._file), why=why, until=to_rfc3339(until))
                    return min(seconds, self._poll)
                case Propose(content):
                    _log.info("manifest_changed", file=str(self._file), hash=hash_of(content), bytes=len(content))
                    taken = await self._proposer.propose(content)
                    (self._settling.accepted if taken else self._settling.refused)(content)
                case Refuse(code, message):
                    await self._proposer.refuse(code, message)
                case Settled():
                    pass
        except StorageUnavailableError as error:
            _log.error("proposal_failed", code=error.code, detail=str(error))
            self._settling.retry()
        return self._poll

    def _note_stamps(self, stamps: dict[str, _Stamp | None]) -> None:
        changed = frozenset(path for path, stamp in stamps.items() if self._stamps.get(path, stamp) != stamp)
        # Those of other paths are kept: a manifest that is not there for a moment must not hide a change meanwhile.
        self._stamps |= stamps
        if changed:
            _log.info("component_files_changed", files=sorted(changed))
            self._proposer.components_changed(changed)
            self._settling.retry()

    def _note_directories(self, sight: _Sight) -> None:
        self._entries = sight.entries
        if sight.directories != self._directories:
            self._directories = sight.directories
            self._moved.set()

    async def _follow_events(self) -> None:
        """Poke at every event that matters. When the directories are others, or the watch fails, begin anew."""
        await self._moved.wait()
        while True:
            self._moved.clear()
            try:
                await self._poke_at_events()
            except* (OSError, WatchfilesRustInternalError, UnicodeEncodeError) as failed:
                self._complain(str(failed.exceptions[0]))
                await _wait(self._moved, self._poll)

    async def _poke_at_events(self) -> None:
        # The poke is answered when this task first waits. By then the directories are watched, so that what happened
        # before they were is not missed.
        self.poke()
        # `debounce` and `step` are no quiet period: a file that is written without a pause is one change, told after
        # two steps. A timeout could lose an event that comes just then (it empties the set it has not looked at).
        async for _ in awatch(
            *self._directories,
            watch_filter=self._matters,
            step=_STEP_MS,
            rust_timeout=0,
            stop_event=self._moved,
            recursive=False,
        ):
            self._complaint = ""
            self.poke()

    def _matters(self, _: Change, path: str) -> bool:
        # The database may be in the same directory, and is written all the time.
        return path in self._entries

    def _complain(self, detail: str) -> None:
        if detail != self._complaint:
            self._complaint = detail
            _log.warning("watch_failed", file=str(self._file), detail=detail, polling_seconds=self._poll)


def names_in(content: bytes, file: Path) -> frozenset[str] | None:
    """Give the names of the usable components and stubs in a manifest; None where it is no TOML."""
    try:
        manifest = draft(content, file).manifest
    except ManifestError:
        return None
    return frozenset((*(spec.name for spec in manifest.components), *(stub.name for stub in manifest.stubs)))


def paths_in(content: bytes, file: Path) -> frozenset[str]:
    """Give the absolute paths of the component and WIT files that a manifest names; none where it is no TOML."""
    try:
        manifest = draft(content, file).manifest
    except ManifestError:
        return frozenset()
    sources = (stub.source for stub in manifest.stubs)
    files = (*manifest.components, *(source for source in sources if not isinstance(source, InlineStub)))
    return frozenset(one.path for one in files)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _look(file: Path, active: bytes, named: Callable[[bytes], frozenset[str]]) -> _Sight:
    """Look at the manifest, and at all that it and the active one name. Blocks on the disk."""
    seen = read_manifest(file)
    paths = named(active) | (named(seen) if isinstance(seen, bytes) else frozenset())
    directories: dict[str, _Identity] = {}
    entries: set[str] = set()
    for path in (str(file), *paths):
        for deciding in _deciding(Path(path)):
            entry, identity = _watched(deciding)
            directories[str(entry.parent)] = identity
            entries |= {str(entry), str(entry.parent)}
    return _Sight(seen, {path: _stamp(path) for path in paths}, directories, frozenset(entries))


def read_manifest(file: Path) -> Seen:
    """Read the file, if it is one. Blocks on the disk."""
    try:
        # Looked at before it is opened, as opening a device can do something; and again after, as it may be another.
        if not stat.S_ISREG(file.stat().st_mode):
            return _NOT_A_FILE
        with open(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as opened:  # noqa: PTH123
            # One byte more than a manifest may have tells that it has too many.
            return opened.read(MAX_BYTES + 1) if stat.S_ISREG(os.fstat(opened.fileno()).st_mode) else _NOT_A_FILE
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError as error:
        message = f"the file can't be read: {error.strerror or error}; make it readable for the daemon's user"
        return Absent("manifest_unreadable", message)


def _stamp(path: str) -> _Stamp | None:
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _deciding(path: Path) -> Iterator[Path]:
    """Give each directory entry that decides where a path leads: every link on the way, then the last one."""
    here, rest, links = Path("/"), list(reversed(path.absolute().parts[1:])), 0
    while rest and links <= _MAX_LINKS:
        name = rest.pop()
        if name == "..":
            here = here.parent
            continue
        target = _target(here / name)
        if target is None:
            here /= name
            continue
        yield here / name
        links += 1
        rest.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
        here = Path("/") if target.is_absolute() else here
    yield here


def _target(entry: Path) -> Path | None:
    try:
        return entry.readlink()
    except (OSError, ValueError):
        return None


def _watched(entry: Path) -> tuple[Path, _Identity]:
    """Give the entry itself, or the one above it that is in a directory which exists, and that directory's identity."""
    while True:
        try:
            status = entry.parent.stat()
        except (OSError, ValueError):
            entry = entry.parent
            continue
        if stat.S_ISDIR(status.st_mode):
            return entry, (status.st_dev, status.st_ino)
        entry = entry.parent
