"""Hosts on one database: one of them makes a generation, all follow, and an outdated file undoes nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from obelisk_config import ManifestError
from obelisk_daemon.clock import after
from obelisk_daemon.deployment.control import HostState
from obelisk_daemon.deployment.proposal import Wish
from obelisk_daemon.ids import ExecutorId
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.upkeep import NewExecutor
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from tests.fakes.clock import ManualClock
from tests.integration.deployment.hosts import Host, digest, fibo
from tests.stores import Place

pytestmark = pytest.mark.anyio
SECRET = (
    fibo("2", allowed_hosts=[{"host": "https://example.com", "secrets": ["key"]}]),
    '[secrets]\nkey = { file = "key" }\n',
)
"""What runs only on a host that has the secret."""


@pytest.fixture
async def store(place: Place) -> AsyncIterator[SqlStore]:
    async with place.open() as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compiler]:
    engines = Engines()
    yield Compiler(engines, tmp_path_factory.mktemp("cache"))
    engines.close()


@pytest.fixture
def host(tmp_path: Path, store: SqlStore, clock: ManualClock, compiler: Compiler) -> Callable[[str], Host]:
    return lambda name: Host(name, store, tmp_path, compiler, clock)


@pytest.fixture
async def a(host: Callable[[str], Host]) -> Host:
    """A host that has all code, and runs the first of it."""
    made = host("a")
    made.has("1", "2", "3", "4")
    return await made.start(fibo("1"))


@pytest.fixture
async def b(a: Host, host: Callable[[str], Host]) -> Host:
    """A host with a manifest that says the same, and no code."""
    return await host("b").start(fibo("1"))


async def test_a_host_that_joins_needs_no_code_where_its_manifest_says_the_same(a: Host, b: Host) -> None:
    assert (b.generation, b.code) == (1, digest("1"))


async def test_a_host_runs_what_another_one_made_active(a: Host, b: Host) -> None:
    assert await a.save(fibo("2"))
    assert (b.generation, b.code) == (1, digest("1"))
    await b.following.look()
    assert (b.generation, b.code) == (2, digest("2"))
    assert await b.drift() == ["manifest"]


async def test_each_host_says_what_it_runs(a: Host, b: Host, store: SqlStore) -> None:
    await a.save(fibo("2"))
    assert [(one.host, one.generation) for one in (await a.control.state()).hosts] == [("a", 2), ("b", 1)]
    await a.following.look()
    assert [(one.host, one.generation) for one in await store.hosts()] == [("a", 2), ("b", 1)]
    await b.following.look()
    assert [(one.host, one.generation) for one in await store.hosts()] == [("a", 2), ("b", 2)]


async def test_each_host_says_anew_what_it_runs_where_that_was_forgotten(
    a: Host, store: SqlStore, clock: ManualClock
) -> None:
    clock.advance(timedelta(minutes=1))
    await a.register()
    assert [one.generation for one in await store.hosts()] == [None]
    await a.following.look()
    assert [one.generation for one in await store.hosts()] == [1]


async def test_each_host_says_what_it_offers_by_now(a: Host, store: SqlStore, clock: ManualClock) -> None:
    new = NewExecutor(ExecutorId("Exr_a"), "a", "default", (), 200)
    await store.register_executor(new, clock.now(), after(clock.now(), timedelta(seconds=15)))
    await a.save(fibo("1"), labels=["gpu", "eu"])
    await a.following.look()
    (known,) = await store.reads.executors(clock.now(), 10)
    assert (known.labels, known.max_running) == (("eu", "gpu"), 200)


# files


async def test_a_file_that_comes_to_say_what_is_active_makes_no_generation(a: Host, b: Host) -> None:
    await a.save(fibo("2"))
    await b.following.look()
    assert await b.save(fibo("2"), labels=["gpu"])
    assert b.generation == 2
    assert await b.drift() == []


async def test_a_new_host_with_an_outdated_file_puts_nothing_back(a: Host, host: Callable[[str], Host]) -> None:
    await a.save(fibo("2"))
    late = host("late")
    late.has("1")
    await late.start(fibo("1"), labels=["gpu"])
    assert (late.generation, late.code, late.labels) == (2, digest("2"), ("gpu",))
    assert await late.drift() == ["manifest"]
    assert await late.reload() == "unchanged"


async def test_a_host_that_starts_again_with_its_old_file_puts_nothing_back(a: Host, b: Host) -> None:
    await a.save(fibo("2"))
    b.has("1")
    await b.start()
    assert b.code == digest("2")


async def test_a_new_host_with_a_new_file_makes_a_generation(a: Host, host: Callable[[str], Host]) -> None:
    newer = host("newer")
    newer.has("2")
    await newer.start(fibo("2"))
    assert (newer.generation, newer.code) == (2, digest("2"))


async def test_a_file_that_comes_late_to_what_others_have_left_behind_undoes_nothing(a: Host, b: Host) -> None:
    await a.save(fibo("2"))
    await a.save(fibo("3"))
    await b.following.look()
    b.has("2")
    assert await b.save(fibo("2"))
    assert (b.generation, b.code) == (3, digest("3"))
    assert await b.drift() == ["manifest"]


async def test_a_file_that_goes_back_makes_a_generation(a: Host, b: Host) -> None:
    await a.save(fibo("2"))
    await b.following.look()
    await b.save(fibo("2"))
    b.has("1")
    assert await b.save(fibo("1"))
    assert (b.generation, b.code) == (3, digest("1"))


async def test_what_a_rollback_made_is_for_the_author_to_ask_for_again(a: Host) -> None:
    await a.save(fibo("2"))
    await a.deployer.roll_back(1)
    await a.deployer.roll_back(2)
    assert await a.save(fibo("1"))
    assert (a.generation, a.code) == (5, digest("1"))


# what is each host's own


async def test_labels_are_each_hosts_own_whatever_is_active(a: Host, b: Host) -> None:
    assert await b.save(fibo("1"), labels=["gpu"])
    assert (b.generation, b.labels) == (1, ("gpu",))
    await a.save(fibo("2"), labels=["eu"])
    await b.following.look()
    assert (b.generation, b.labels, a.labels) == (2, ("gpu",), ("eu",))
    await b.start()
    assert b.labels == ("gpu",)


async def test_hosts_whose_components_have_no_digests_share_a_generation_too(host: Callable[[str], Host]) -> None:
    one, other = host("one"), host("other")
    for each in (one, other):
        each.has("1")
        await each.start(fibo("1", digest=None), labels=[each.name], dev=True)
    assert (one.generation, other.generation) == (1, 1)
    assert (one.labels, other.labels) == (("one",), ("other",))


async def test_a_rollback_leaves_each_host_its_own(a: Host, b: Host) -> None:
    await b.save(fibo("1"), labels=["gpu"])
    await a.save(fibo("2"), labels=["eu"])
    await b.following.look()
    assert (await b.deployer.roll_back(1)).outcome == "active"
    await a.following.look()
    assert (a.generation, a.code, a.labels, b.labels) == (3, digest("1"), ("eu",), ("gpu",))


async def test_what_a_running_daemon_cannot_take_over_is_refused_also_where_it_is_only_its_own(a: Host) -> None:
    assert not await a.file.propose(a.path.read_bytes().replace(b"[executor]", b"[executor]\nname = 'other'"))
    assert a.file.refusal is not None
    assert "executor.other" in a.file.refusal.text


# at the same time


async def test_of_two_that_save_the_same_at_once_one_makes_the_generation(a: Host, b: Host) -> None:
    b.has("2")
    await a.save(fibo("2"))
    assert await b.save(fibo("2"))
    assert (a.generation, b.generation, b.code) == (2, 2, digest("2"))


async def test_of_two_that_save_different_files_at_once_the_second_is_told_of_the_first(a: Host, b: Host) -> None:
    b.has("3")
    await a.save(fibo("2"))
    assert not await b.save(fibo("3"))
    assert b.file.refusal is not None
    assert "another host made generation 2 active meanwhile" in b.file.refusal.summary
    assert b.code == digest("2")
    assert await b.reload() == "active"
    assert b.code == digest("3")


async def test_hosts_that_start_at_once_on_an_empty_database_agree_on_its_first_generation(
    host: Callable[[str], Host],
) -> None:
    made = [host(name) for name in ("a", "b", "c")]
    for one in made:
        one.has("1")
    await asyncio.gather(*[one.start(fibo("1"), labels=[one.name]) for one in made])
    assert [one.generation for one in made] == [1, 1, 1]
    assert [one.labels for one in made] == [("a",), ("b",), ("c",)]


# a host that can't follow


async def test_a_host_that_cannot_run_what_is_active_goes_on_and_says_why_until_it_can(
    a: Host, b: Host, clock: ManualClock
) -> None:
    (a.path.parent / "key").write_text("secret")
    await a.save(*SECRET)
    await b.following.look()
    assert b.code == digest("1")
    assert b.following.problem is not None
    assert "generation 2, which is active, can't run here" in b.following.problem
    (b.path.parent / "key").write_text("secret")
    await b.following.look()
    assert b.code == digest("1")  # it is not tried all the time
    clock.advance(timedelta(seconds=2))
    await b.following.look()
    assert (b.code, b.following.problem) == (digest("2"), None)


async def test_a_host_that_cannot_run_what_is_active_may_put_back_what_it_runs(a: Host, b: Host) -> None:
    (a.path.parent / "key").write_text("secret")
    await a.save(*SECRET)
    await b.following.look()
    b.has("1")
    b.write(fibo("1"), "# another byte\n")
    assert await b.reload() == "active"
    assert (b.generation, b.code) == (3, digest("1"))


async def test_a_host_that_cannot_run_what_is_active_does_not_start_and_puts_nothing_back(a: Host, b: Host) -> None:
    (a.path.parent / "key").write_text("secret")
    await a.save(*SECRET)
    b.has("1")
    with pytest.raises(ManifestError, match="key"):
        await b.start()
    await a.following.look()
    assert a.generation == 2


# waiting for the others


async def test_a_reload_names_the_hosts_that_do_not_follow_in_time(a: Host, b: Host) -> None:
    a.write(fibo("2"))
    report = await a.control.reload(Wish())
    assert (report.outcome, report.behind) == ("active", [HostState("b", 1)])
    report = await a.control.reload(Wish())  # as where the watch was quicker than the operator
    assert (report.outcome, report.behind) == ("unchanged", [HostState("b", 1)])
    await b.following.look()
    assert (await a.control.reload(Wish())).behind == []


async def test_hosts_that_do_not_follow_what_a_file_made_active_are_logged_once(a: Host, b: Host) -> None:
    await a.save(fibo("2"))
    with capture_logs() as logs:
        for _ in range(3):
            await a.following.look()
    assert [one["hosts"] for one in logs if one["event"] == "hosts_behind"] == [{"b": 1}]
    await b.following.look()
    with capture_logs() as logs:
        await b.following.look()
    assert logs == []


async def test_a_host_whose_lease_has_ended_is_not_waited_for(a: Host, b: Host, clock: ManualClock) -> None:
    await a.save(fibo("2"))
    clock.advance(timedelta(minutes=1))
    assert await a.following.behind(2) == []


# the database decides


async def test_where_the_database_decides_a_file_is_active_only_when_somebody_asks_for_it(
    host: Callable[[str], Host],
) -> None:
    one, other = host("one"), host("other")
    one.has("1", "2")
    other.has("3")
    await one.start(fibo("1"), authority="database")
    await other.start(fibo("3"), authority="database")
    assert (other.generation, other.code, await other.drift()) == (1, digest("1"), [])
    one.write(fibo("2"), authority="database")
    await one.start()
    assert one.code == digest("1")
    assert await one.reload() == "active"
    await other.following.look()
    assert (one.code, other.code) == (digest("2"), digest("2"))


async def test_where_files_decide_they_are_watched(a: Host, host: Callable[[str], Host]) -> None:
    other = await host("other").start(fibo("1"), authority="database")
    assert (a.file.decides, other.file.decides) == (True, False)
