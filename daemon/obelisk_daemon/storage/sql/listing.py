"""Pages of lists of executions: bounded work for each, whatever the filter and however many executions there are.

A page has candidates, newest first, from the narrowest index that the filter has. The whole filter is then asked of
these, some at a time, until the page is full or enough were looked at.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from heapq import merge
from itertools import islice
from typing import Any, Final, TypeAlias, get_args

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import NotFoundError
from obelisk_daemon.execution.outcome import FailureKind
from obelisk_daemon.storage.records import ListFilter, Place, SummaryPage
from obelisk_daemon.storage.sql import rows
from obelisk_daemon.storage.sql.connection import Connection, Row

EXAMINED: Final = 1_000
"""How many candidates a page looks at, where an index has them here and there among the executions."""
WALKED: Final = 1_000
"""How many it looks at where it walks all executions, which lie in about that order."""
MOST_UNFINISHED: Final = 12_000
"""Up to how many unfinished executions are put in order for a page; the index that finds them has another order."""
LONGEST_RESULT: Final = 1_024
"""Bytes of a result that a list gives."""
_PROBED: Final = 1_000
"""An index with fewer candidates than this is narrow enough not to look at others."""
_LAST: Final = 2**63 - 1
_END: Final = "\U0010ffff"

_Values: TypeAlias = Mapping[str, object]
_Lane: TypeAlias = tuple[str, _Values]
"""A statement that gives candidates in order, and what it needs beside the place to begin at."""


def read(connection: Connection, chosen: ListFilter) -> SummaryPage:
    """Read a page in one snapshot.

    Raises:
        NotFoundError: `generation_not_found`.
    """
    with ExitStack() as stack:
        stack.enter_context(connection.snapshot())
        return _Page(connection, chosen, stack).read()


class _Page:
    """One page while it is read; `stack` closes the statements that are stepped through for it."""

    def __init__(self, connection: Connection, chosen: ListFilter, stack: ExitStack) -> None:
        self._connection = connection
        self._chosen = chosen
        self._stack = stack
        self._requiring = [] if chosen.label is None else self._all("functions_requiring", (chosen.label,))
        self._values = _values(chosen, self._requiring) | _span(connection, chosen)

    def read(self) -> SummaryPage:
        unfinished = self._unfinished()
        if unfinished is not None:
            return self._ended(self._matching(unfinished), len(unfinished))
        found: list[Row] = []
        (candidates, most), examined, size = self._candidates(), 0, self._chosen.limit + 1
        while True:
            wanted = min(size, most - examined)
            part = list(islice(candidates, wanted))
            examined += len(part)
            found += self._matching([place.execution_id for place in part], len(found))
            if len(found) > self._chosen.limit or len(part) < wanted:
                return self._ended(found, examined)
            if examined >= most:
                return SummaryPage([rows.summary_of(row) for row in found], part[-1], examined)
            size *= 4

    def _ended(self, found: Sequence[Row], examined: int) -> SummaryPage:
        """Give a page that is full, or the last one: one more row was read than it may have, if there is one."""
        shown = [rows.summary_of(row) for row in found[: self._chosen.limit]]
        more = len(found) > len(shown)
        return SummaryPage(shown, Place(shown[-1].created_at, shown[-1].execution_id) if more else None, examined)

    def _matching(self, ids: Sequence[str], found: int = 0) -> list[Row]:
        values = {**self._values, "ids": json.dumps(ids), "limit": self._chosen.limit + 1 - found}
        return self._connection.execute("matching", values).fetchall() if ids else []

    def _unfinished(self) -> list[str] | None:
        """Give all that are unfinished, if the filter wants only these and they are not too many to be sorted."""
        chosen = self._chosen
        if chosen.parent is not None or not (
            chosen.unfinished or chosen.status not in (None, "finished") or chosen.lifecycle in ("paused", "cancelling")
        ):
            return None
        statuses = ["pending_at", "locked", "blocked"] if chosen.status is None else [chosen.status]
        values = {"statuses": json.dumps(statuses), "lifecycle": chosen.lifecycle, "most": MOST_UNFINISHED + 1}
        ids = self._all("unfinished_ids", values)
        return ids if len(ids) <= MOST_UNFINISHED else None

    def _candidates(self) -> tuple[Iterator[Place], int]:
        """Take the first index with few candidates; if all have many, the first. Tell how many to look at."""
        sources = self._sources()
        for lanes in sources[:-1]:
            few = list(islice(self._merged(lanes), _PROBED))
            if len(few) < _PROBED:
                return iter(few), EXAMINED
        return self._merged(sources[0]), EXAMINED if len(sources) > 1 else WALKED

    def _sources(self) -> list[list[_Lane]]:
        """Give what may be walked to find all that fits, the narrowest first and all of the functions last."""
        chosen = self._chosen
        sources: list[list[_Lane]] = []
        if chosen.parent is not None:
            sources.append([("newest_children", {"parent": chosen.parent})])
        for key, value in chosen.tags:
            name = "newest_with_key" if value is None else "newest_tagged"
            sources.append([(name, {"key": key, "value": value})])
        if (endings := _endings(chosen)) is not None:
            sources.append([("newest_ending", {"ending": ending}) for ending in endings])
        if chosen.label is not None:
            sources.append([("newest_labelled", {}), *_of_functions(self._requiring)])
        functions = self._all("functions_with_prefix", self._values | _prefix(chosen.ffqn_prefix or ""))
        return [*sources, _of_functions(functions)]

    def _merged(self, lanes: Sequence[_Lane]) -> Iterator[Place]:
        """Walk lanes together, newest first; what is in several of them comes once."""
        last = None
        walked = [self._walk(*lane) for lane in lanes]
        for place in walked[0] if len(walked) == 1 else merge(*walked, reverse=True):
            if place != last:
                last = place
                yield place

    def _walk(self, name: str, values: _Values) -> Iterator[Place]:
        cursor = self._connection.execute(name, {**self._values, **values, "most": max(EXAMINED, WALKED)})
        self._stack.callback(cursor.close)
        return map(Place._make, cursor)

    def _all(self, name: str, values: Any) -> list[str]:
        return [row[0] for row in self._connection.execute(name, values)]


def _of_functions(functions: Iterable[str]) -> list[_Lane]:
    return [("newest_of_function", {"ffqn": ffqn}) for ffqn in functions]


def _endings(chosen: ListFilter) -> Sequence[str] | None:
    """Give the endings that are wanted, if none of them is the usual one."""
    if chosen.failure is not None:
        return [chosen.failure]
    match chosen.outcome:
        case "err":
            return ["err"]
        case "failed":
            return get_args(FailureKind)
        case _:
            return None


def _values(chosen: ListFilter, requiring: Sequence[str]) -> dict[str, object]:
    return {
        "status": chosen.status,
        "lifecycle": chosen.lifecycle,
        "parent": chosen.parent,
        "top_level": chosen.top_level,
        "unfinished": chosen.unfinished,
        "component": chosen.component,
        "digest": chosen.digest_prefix,
        "outcome": chosen.outcome,
        "failure": chosen.failure,
        "label": chosen.label,
        "requiring": json.dumps(requiring),
        "tags": json.dumps(chosen.tags) if chosen.tags else None,
        "longest": LONGEST_RESULT,
        **_prefix(chosen.ffqn_prefix),
    }


def _prefix(prefix: str | None) -> dict[str, object]:
    return {"prefix": prefix, "prefix_end": None if prefix is None else prefix + _END}


def _span(connection: Connection, chosen: ListFilter) -> dict[str, object]:
    """Give the time in which the executions were created, and where in the list the page begins."""
    since, until = [int(chosen.since or 0)], [int(chosen.until or _LAST)]
    if chosen.generation is not None:
        row = connection.execute("generation_span", (chosen.generation,)).fetchone()
        if row is None:
            raise NotFoundError("generation_not_found", f"there is no generation {chosen.generation}")
        since.append(row["began"])
        until.append(_LAST if row["ended"] is None else row["ended"])
    start = min(Place(Instant(min(until)), ""), chosen.before or Place(Instant(_LAST), _END))
    return {"since": max(since), "at": start.created_at, "before": start.execution_id}
