"""What retention removes is what the plainest rule says, whatever the trees are and wherever it is interrupted."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from obelisk_daemon.clock import Instant
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.storage.sqlite.store import open_store
from tests.property.forests import Forest, assert_no_torso, kept_of, rows_of

BEFORE = Instant(10)


class Interrupted(Exception):  # noqa: N818 - it is no error, it is what the test is about
    """The daemon died right after a commit."""


@contextmanager
def forest(seed: int, trees: int) -> Iterator[Forest]:
    with tempfile.TemporaryDirectory() as directory:
        yield Forest(Path(directory) / "obelisk.db", seed, trees)


async def remove_all(file: Path, budget: int, window: int, after_commit: Callable[[], None]) -> None:
    """Remove what is due, as the loop does, with a call after each commit."""
    async with open_store(file, _not_expected) as store:
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


@settings(max_examples=30, deadline=timedelta(seconds=20))
@given(
    seed=st.integers(0, 1 << 30),
    trees=st.integers(0, 8),
    budget=st.sampled_from([1, 2, 7, 50, 1_000]),
    window=st.sampled_from([1, 3, 1_000]),
)
def test_exactly_what_is_due_is_removed_from_every_table(seed: int, trees: int, budget: int, window: int) -> None:
    with forest(seed, trees) as made:
        kept = kept_of(rows_of(made.file), BEFORE)
        asyncio.run(remove_all(made.file, budget, window, lambda: assert_no_torso(made.file)))
        assert rows_of(made.file) == kept


def test_a_removal_that_dies_after_any_commit_is_gone_on_with() -> None:
    with forest(seed=5, trees=24) as made:
        kept = kept_of(rows_of(made.file), BEFORE)
        assert kept["execution"]
        deaths = 0
        while _dies(made.file, deaths):
            deaths += 1
        assert deaths > 20
        assert rows_of(made.file.with_suffix(".copy")) == kept


def _dies(file: Path, at: int) -> bool:
    """Remove from a copy, die after a commit, and go on; tell if it came so far."""
    copy = shutil.copy(file, file.with_suffix(".copy"))
    left = at

    def after_commit() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Interrupted

    try:
        asyncio.run(remove_all(copy, 10, 1_000, after_commit))
    except Interrupted:
        asyncio.run(remove_all(copy, 10, 1_000, lambda: None))
        assert rows_of(copy) == kept_of(rows_of(file), BEFORE)
        return True
    return False


def _not_expected(error: Exception) -> None:
    raise error
