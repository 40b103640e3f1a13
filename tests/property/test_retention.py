"""What retention removes is what the plainest rule says, whatever the trees are and wherever it is interrupted."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obelisk_daemon.clock import Instant
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.sql.store import SqlStore
from tests.property.forests import Forest, assert_no_torso, kept_of, rows_of
from tests.stores import Place, Places

BEFORE = Instant(10)
EXAMPLES, SEED, TREES = (100, 5, 24) if os.environ.get("OBELISK_SOAK") else (10, 2, 12)


class Interrupted(Exception):  # noqa: N818 - it is no error, it is what the test is about
    """The daemon died right after a commit."""


@contextmanager
def forest(places: Places, seed: int, trees: int) -> Iterator[Place]:
    with places.new() as place:
        with place.rows() as execute:
            Forest(execute, seed).plant(trees)
        yield place


async def remove_all(place: Place, budget: int, window: int, after_commit: Callable[[], None]) -> None:
    """Remove what is due, as the loop does, with a call after each commit."""
    async with place.open() as store:
        await _remove(store, await store.half_removed(), Instant(0), budget, after_commit)
        last: str | None = ""
        while last is not None:
            found = await store.finished_before(BEFORE, last, window)
            last = found.last
            await _remove(store, list(found.due), BEFORE, budget, after_commit)


async def _remove(
    store: SqlStore, roots: list[ExecutionId], before: Instant, budget: int, after_commit: Callable[[], None]
) -> None:
    while roots:
        removed = await store.remove_trees(roots, before, budget)
        assert removed.rows <= 6 * budget + 10
        roots = roots[removed.trees :]
        after_commit()


# each example has a database of its own
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1 << 30),
    trees=st.integers(0, 8),
    budget=st.sampled_from([1, 2, 7, 50, 1_000]),
    window=st.sampled_from([1, 3, 1_000]),
)
def test_exactly_what_is_due_is_removed_from_every_table(
    places: Places, seed: int, trees: int, budget: int, window: int
) -> None:
    with forest(places, seed, trees) as place:
        kept = kept_of(rows_of(place), BEFORE)
        asyncio.run(remove_all(place, budget, window, lambda: assert_no_torso(place)))
        assert rows_of(place) == kept


def test_a_removal_that_dies_after_any_commit_is_gone_on_with(places: Places) -> None:
    deaths = 0
    while _dies(places, deaths):
        deaths += 1
    assert deaths > 20


def _dies(places: Places, at: int) -> bool:
    """Remove what is due, die after a commit, and go on; tell if it came so far."""
    left = at

    def after_commit() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Interrupted

    with forest(places, seed=SEED, trees=TREES) as place:
        kept = kept_of(rows_of(place), BEFORE)
        assert kept["execution"]
        try:
            asyncio.run(remove_all(place, 10, 1_000, after_commit))
        except Interrupted:
            asyncio.run(remove_all(place, 10, 1_000, lambda: None))
            assert rows_of(place) == kept
            return True
        assert rows_of(place) == kept
        return False
