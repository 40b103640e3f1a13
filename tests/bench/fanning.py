"""One workflow with many children in one join set: `fanout`. The time should grow as their number."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final

from tests.bench.bare_loop import BareLoop
from tests.bench.daemon import Daemon, manifest, scratch
from tests.bench.floor import commits
from tests.bench.measuring import Done, Sample, beside, measure, row
from tests.bench.rows import Goal, Row
from tests.bench.run import Run

FANOUT: Final = "testing:fanout/fanout.run"
_SIZES: Final = (100, 1_000, 10_000)
_PART: Final = 0.8


def fanout(run: Run) -> Iterator[Row]:
    """Measure a workflow with 100, 1,000 and 10,000 children."""
    with scratch() as directory, run.daemon(directory, manifest(["fibo-activity", "fanout"]), "fanout") as daemon:
        _children(daemon, 100)
        bare = BareLoop(directory / "bare.db")
        each = [partial(_children, daemon, size) for size in _SIZES]
        *sizes, bares, raw = run.in_turns(*each, partial(bare.parallel, 1_000, 1), partial(commits, directory))
    goals = {1_000: run.rate_goal(2_500, raw)}
    rows = {
        size: beside(row(f"fanout: {size:,} children", "1/s", samples, goals.get(size)), bares, "the bare loop")
        for size, samples in zip(_SIZES, sizes, strict=True)
    }
    yield from rows.values()
    yield Row("fanout: 10,000 / 1,000", rows[10_000].value / rows[1_000].value, "x", goal=Goal(_PART))


def _children(daemon: Daemon, number: int) -> Sample:
    done: list[str] = []

    def work() -> Done:
        done.append(daemon.submit(FANOUT, [number, 10]))
        assert daemon.result(done[0]) == {"ok": 55 * number}
        return Done(number)

    return measure(daemon, work, lambda: _times(daemon, done[0]))


def _times(daemon: Daemon, parent: str) -> list[float]:
    """Give the seconds that each child was there, from its creation to its end."""
    found: list[float] = []
    asked: dict[str, Any] | None = {"parent": parent, "limit": 500}
    while asked is not None:
        page = daemon.client.get("/v1/executions", params=asked).raise_for_status().json()
        found += [_instant(one["changed_at"]) - _instant(one["created_at"]) for one in page["executions"]]
        asked = asked | {"cursor": page["next"]} if page.get("next") else None
    return found


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
