"""The options that say which executions a command is about: the same for `list` and for `bulk`."""

import functools
import inspect
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeAlias

import typer

from obelisk_daemon.ctl.durations import parse_seconds
from obelisk_daemon.ctl.session import Session

Filters: TypeAlias = Mapping[str, Any]
"""The filters that were given, by the names that the API has for them."""
_DATE: Final = re.compile(r"[0-9]{4}-")
_KINDS: Final = (
    "timed_out, trap, out_of_fuel, out_of_memory, limit_exceeded, nondeterminism, cancelled, child_failed, ..."
)

_OPTIONS: Final[Mapping[str, object]] = {
    "ffqn": Annotated[str | None, typer.Option("--ffqn", metavar="PREFIX", help="The start of the function.")],
    "state": Annotated[
        str | None, typer.Option("--state", help="pending_at, locked, blocked or finished.", metavar="STATE")
    ],
    "lifecycle": Annotated[
        str | None, typer.Option("--lifecycle", metavar="NAME", help="active, paused or cancelling.")
    ],
    "outcome": Annotated[str | None, typer.Option("--outcome", metavar="NAME", help="ok, err or failed.")],
    "failure": Annotated[str | None, typer.Option("--failure", metavar="KIND", help=f"Why it failed: {_KINDS}")],
    "tag": Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="KEY=VALUE", help="A tag, or just its key; of several, all must be there."),
    ],
    "label": Annotated[
        str | None, typer.Option("--label", metavar="LABEL", help="What the executor must offer for it.")
    ],
    "component": Annotated[str | None, typer.Option("--component", metavar="NAME", help="The component's name.")],
    "digest": Annotated[str | None, typer.Option("--digest", metavar="PREFIX", help="The start of the code's digest.")],
    "generation": Annotated[
        int | None,
        typer.Option("--generation", min=1, metavar="NUMBER", help="Created while this generation was active."),
    ],
    "created_after": Annotated[
        str | None,
        typer.Option("--created-after", metavar="TIME", help="Such as 2026-01-31T12:00:00Z, or 2h for two hours ago."),
    ],
    "created_before": Annotated[str | None, typer.Option("--created-before", metavar="TIME", help="The same.")],
    "parent": Annotated[str | None, typer.Option("--parent", metavar="ID", help="The children of this one.")],
    "top_level": Annotated[bool, typer.Option("--top-level", help="Leave out the children of workflows.")],
}


def filtered(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of the filters; it gets those that were given after its session."""

    @functools.wraps(function)
    def run(session: Session, **given: Any) -> int:
        return function(session, _filters({name: given.pop(name) for name in _OPTIONS}), **given)

    first, _, *own = inspect.signature(function).parameters.values()
    options = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False if name == "top_level" else None, annotation=of
        )
        for name, of in _OPTIONS.items()
    ]
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    run.__signature__ = inspect.Signature([first, *options, *keywords])  # type: ignore[attr-defined]
    return run


def _filters(given: Mapping[str, Any]) -> Filters:
    filters = {name: value for name, value in given.items() if value}
    for name in ("created_after", "created_before"):
        if name in filters and not _DATE.match(filters[name]):
            ago = timedelta(seconds=parse_seconds(filters[name]))
            filters[name] = (datetime.fromtimestamp(time.time_ns() / 1e9, UTC) - ago).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return filters
