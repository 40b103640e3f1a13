"""The manifest's file as it is saved in many ways, under the real watcher."""

import asyncio
import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from obelisk_config import MAX_BYTES
from obelisk_daemon.clock import SystemClock, after, to_rfc3339
from obelisk_daemon.deployment import watching
from obelisk_daemon.deployment.settling import HOLD, QUIET, Settled
from obelisk_daemon.errors import StorageUnavailableError
from tests.fakes.clock import START
from tests.integration.deployment.saving import STYLES, Save, as_kubernetes_does, link_as_kubernetes_does, touch
from tests.integration.deployment.scene import ACTIVE, CUT_OFF, INVALID, LATER, PATIENCE, VALID, Scene, Watches

pytestmark = pytest.mark.anyio
LIMIT = OSError(errno.ENOSPC, "OS file watch limit reached")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Give a scene in which nothing but events makes the watch look."""
    return Scene(tmp_path)


@pytest.fixture(params=STYLES, ids=lambda style: style.__name__)
def save(request: pytest.FixtureRequest, scene: Scene) -> Save:
    style: Save = request.param
    if style is as_kubernetes_does:
        link_as_kubernetes_does(scene)
    return style


@pytest.fixture
def watches(monkeypatch: pytest.MonkeyPatch) -> Watches:
    fake = Watches()
    monkeypatch.setattr(watching, "awatch", fake)
    return fake


# However it is saved


async def test_valid_content_is_proposed_once_and_so_is_the_next(scene: Scene, save: Save) -> None:
    async with scene.watched():
        await save(scene, VALID)
        await scene.settles(VALID)
        await save(scene, LATER)
        await scene.settles(LATER)
    assert scene.proposer.accepted == scene.proposer.proposed == [VALID, LATER]
    assert scene.proposer.refused == []


async def test_invalid_content_is_proposed_once_and_what_puts_it_right_too(scene: Scene, save: Save) -> None:
    async with scene.watched():
        await save(scene, INVALID)
        await scene.settles(INVALID)
        await scene.passes(HOLD)
        await save(scene, VALID)
        await scene.settles(VALID)
    assert scene.proposer.proposed == [INVALID, VALID]
    assert scene.proposer.accepted == [VALID]


async def test_content_that_is_cut_off_is_refused_once_and_never_proposed(scene: Scene, save: Save) -> None:
    async with scene.watched():
        await save(scene, CUT_OFF)
        await scene.held(CUT_OFF)
        await scene.passes(HOLD)
        assert scene.proposer.refused == ["manifest_truncated"]
        await save(scene, VALID)
        await scene.settles(VALID)
    assert scene.proposer.refused == ["manifest_truncated"]
    assert scene.proposer.proposed == [VALID]


async def test_the_same_content_saved_again_is_looked_at_and_proposes_nothing(scene: Scene, save: Save) -> None:
    async with scene.watched():
        before = len(scene.settling.observed)
        await save(scene, ACTIVE)
        await scene.news.until(lambda: len(scene.settling.observed) > before)
        await scene.settles(ACTIVE, HOLD)
        await save(scene, VALID)
        await scene.settles(VALID)
    assert scene.proposer.proposed == [VALID]


async def test_valid_content_is_found_by_polling_where_events_are_not_to_be_had(
    scene: Scene, save: Save, watches: Watches
) -> None:
    watches.error = LIMIT
    scene.watch_otherwise(poll=0.02)
    async with scene.watched():
        await save(scene, VALID)
        await scene.settles(VALID)
    assert scene.proposer.proposed == [VALID]


async def test_a_touched_file_is_looked_at_and_proposes_nothing(scene: Scene) -> None:
    async with scene.watched():
        touch(scene.file)
        await scene.looks(1)
        await scene.passes(HOLD)
        assert set(map(type, scene.settling.verdicts)) == {Settled}
        scene.file.write_bytes(VALID)
        await scene.settles(VALID)
    assert scene.proposer.proposed == [VALID]


async def test_100_saves_in_2_seconds_end_on_the_last_one(tmp_path: Path) -> None:
    scene = Scene(tmp_path, SystemClock())
    contents = [ACTIVE + b"# %d\n" % number for number in range(100)]
    async with scene.watched():
        for content in contents:
            scene.file.write_bytes(content)
            await asyncio.sleep(0.02)  # the pace of the saves is what is tried here
        await scene.news.until(lambda: scene.proposer.accepted[-1:] == contents[-1:])
    # On a busy machine there may have been a quiet time between two saves; but each of these was saved so.
    assert set(scene.proposer.proposed) <= set(contents)
    assert scene.proposer.refused == []


async def test_by_the_clock_of_the_machine_a_cut_off_manifest_is_refused_and_its_repair_accepted(
    tmp_path: Path,
) -> None:
    scene = Scene(tmp_path, SystemClock(), quiet=0.05, hold=0.2)
    async with scene.watched():
        scene.file.write_bytes(CUT_OFF)
        await scene.news.until(lambda: scene.proposer.refused == ["manifest_truncated"])
        scene.file.write_bytes(VALID)
        await scene.news.until(lambda: scene.proposer.accepted == [VALID])
    assert scene.proposer.proposed == [VALID]


# What is there instead of a file


@pytest.mark.parametrize(
    ("put", "code"),
    [
        (lambda _: None, "manifest_missing"),
        (os.mkfifo, "manifest_not_a_file"),
        (os.mkdir, "manifest_not_a_file"),
        (lambda file: file.symlink_to("/dev/zero"), "manifest_not_a_file"),
        (lambda file: file.symlink_to(file.name), "manifest_unreadable"),
        (lambda file: file.symlink_to("gone"), "manifest_missing"),
        (lambda file: file.symlink_to("a.wasm/gone"), "manifest_missing"),
        (lambda file: file.write_bytes(b"\n\n"), "manifest_empty"),
    ],
)
async def test_what_is_no_manifest_at_all_is_refused_with_its_own_code(
    scene: Scene, put: Callable[[Path], object], code: str
) -> None:
    scene.file.unlink()
    put(scene.file)
    for _ in range(3):
        await scene.looks_after(HOLD)
    assert scene.proposer.refused == [code]
    assert scene.proposer.proposed == []


async def test_of_a_file_that_is_too_large_no_more_is_read_than_tells_so(scene: Scene) -> None:
    with scene.file.open("ab") as file:
        file.truncate(1 << 40)
    await scene.watch.look()
    assert [len(seen) for seen in scene.settling.observed if isinstance(seen, bytes)] == [MAX_BYTES + 1]


# What goes wrong


async def test_a_watch_that_fails_is_said_once_and_polling_goes_on(scene: Scene, watches: Watches) -> None:
    watches.error = LIMIT
    scene.watch_otherwise(poll=0.02)
    with structlog.testing.capture_logs() as lines:
        async with scene.watched():
            await scene.news.until(lambda: len(watches.directories) > 2 and len(scene.settling.observed) > 5)
    failures = [line for line in lines if line["event"] == "watch_failed"]
    assert [(line["detail"], line["polling_seconds"]) for line in failures] == [(str(LIMIT), 0.02)]


async def test_a_watch_that_fails_after_it_has_worked_is_said_again(scene: Scene, watches: Watches) -> None:
    watches.error, watches.events = LIMIT, 1
    scene.watch_otherwise(poll=0.02)
    with structlog.testing.capture_logs() as lines:
        async with scene.watched():
            await scene.news.until(lambda: [line["event"] for line in lines].count("watch_failed") > 1)


async def test_a_file_name_that_breaks_the_watch_breaks_it_for_no_longer_than_the_poll(scene: Scene) -> None:
    scene.watch_otherwise(poll=0.02)
    with structlog.testing.capture_logs() as lines:
        async with scene.watched():
            Path(os.fsdecode(os.fsencode(scene.directory) + b"/\xff")).touch()
            await scene.news.until(lambda: any(line["event"] == "watch_failed" for line in lines))
            scene.file.write_bytes(VALID)
            await scene.settles(VALID)
    assert any("Unable to decode path" in line.get("detail", "") for line in lines)
    assert scene.proposer.proposed == [VALID]


async def test_a_manifest_in_a_directory_whose_name_is_no_utf_8_is_polled(tmp_path: Path) -> None:
    scene = Scene(tmp_path / os.fsdecode(b"\xff"))
    scene.watch_otherwise(poll=0.02)
    async with scene.watched():
        scene.file.write_bytes(VALID)
        await scene.settles(VALID)
    assert scene.proposer.proposed == [VALID]


@pytest.mark.parametrize(("content", "seconds"), [(VALID, QUIET), (CUT_OFF, HOLD)])
async def test_what_the_database_could_not_take_is_told_again(scene: Scene, content: bytes, seconds: float) -> None:
    def full() -> None:
        raise StorageUnavailableError("storage_full", "the disk is full")

    scene.proposer.before = full
    scene.file.write_bytes(content)
    await scene.watch.look()
    await scene.looks_after(seconds)
    scene.proposer.before = lambda: None
    await scene.watch.look()
    await scene.looks_after(seconds)
    told = scene.proposer.proposed or scene.proposer.refused
    assert len(told) == 2
    await scene.looks_after(HOLD)
    assert len(told) == 2


async def test_an_error_that_nobody_foresaw_ends_the_watch(scene: Scene) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    scene.proposer.before = broken
    scene.file.write_bytes(VALID)
    with pytest.raises(ExceptionGroup) as raised:
        async with scene.watched():
            await scene.settles(VALID)
    assert raised.group_contains(ZeroDivisionError)


async def test_what_is_held_is_said_once_with_the_reason_and_the_end(scene: Scene) -> None:
    scene.file.write_bytes(CUT_OFF)
    await scene.watch.look()
    with structlog.testing.capture_logs() as lines:
        assert await scene.looks_after(QUIET) == HOLD - QUIET
        assert await scene.looks_after(QUIET) == HOLD - 2 * QUIET
    until = to_rfc3339(after(START, timedelta(seconds=HOLD)))
    assert [(line["event"], line["why"], line["until"]) for line in lines] == [
        ("manifest_held", "the file is the beginning of the active manifest", until)
    ]


async def test_looks_that_are_asked_for_at_once_are_taken_one_after_the_other(scene: Scene) -> None:
    scene.file.write_bytes(VALID)
    await scene.watch.look()
    scene.clock.advance(timedelta(seconds=QUIET))
    await asyncio.gather(scene.watch.look(), scene.watch.look())
    assert scene.proposer.proposed == [VALID]


def test_a_watch_that_ends_leaves_neither_a_thread_nor_a_file_open(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    async def begin_and_end(directory: Path) -> None:
        async with Scene(directory).watched():
            pass

    for number in range(20):
        asyncio.run(begin_and_end(tmp_path / str(number)))
        for thread in set(threading.enumerate()) - before:
            thread.join(PATIENCE)
            assert not thread.is_alive()
    # A thread of watchfiles, which nobody can wait for, closes the last ones.
    assert len([name for name in open_files() if "inotify" in name]) < 10


def open_files() -> Iterator[str]:
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(link.readlink())
