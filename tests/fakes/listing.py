"""What a list of executions has, said once more without a database: tests hold the store against it."""

from collections.abc import Iterable, Mapping, Sequence

from obelisk_daemon.storage.records import ListFilter, Place, Summary, SummaryPage


def listed(
    rows: Iterable[Summary], chosen: ListFilter, required: Mapping[str, Sequence[str]] | None = None
) -> SummaryPage:
    """Give a page; `required` are the labels of functions."""
    fitting = sorted(
        (row for row in rows if fits(row, chosen, (required or {}).get(row.ffqn, ()))), key=place_of, reverse=True
    )
    shown = fitting[: chosen.limit]
    return SummaryPage(shown, place_of(shown[-1]) if len(fitting) > len(shown) else None)


def place_of(row: Summary) -> Place:
    return Place(row.created_at, row.execution_id)


def fits(row: Summary, chosen: ListFilter, required: Sequence[str] = ()) -> bool:
    """Tell if a row is one of those that a filter wants; a generation is none of what a row knows."""
    outcome = row.ending if row.ending in ("ok", "err", None) else "failed"
    wanted = {
        "status": (chosen.status, row.status),
        "lifecycle": (chosen.lifecycle, row.lifecycle),
        "parent": (chosen.parent, row.parent_id),
        "component": (chosen.component, row.component),
        "outcome": (chosen.outcome, outcome),
        "failure": (chosen.failure, row.ending),
    }
    return (
        all(want is None or want == has for want, has in wanted.values())
        and row.ffqn.startswith(chosen.ffqn_prefix or "")
        and row.digest.startswith(chosen.digest_prefix or "")
        and (chosen.label is None or chosen.label in (*row.labels, *required))
        and all(key in row.tags and value in (None, row.tags[key]) for key, value in chosen.tags)
        and (chosen.before is None or place_of(row) < chosen.before)
        and (chosen.since is None or row.created_at >= chosen.since)
        and (chosen.until is None or row.created_at < chosen.until)
        and not (chosen.unfinished and row.status == "finished")
        and (not chosen.top_level or row.parent_id is None)
    )
