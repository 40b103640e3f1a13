"""Which executions a list or a bulk action is about: the same filters by the same names in both."""

import re
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter

from obelisk_daemon.api.documents import Outcome
from obelisk_daemon.api.requests import MAX_NAME, Page, page
from obelisk_daemon.api.tags import tag_wanted
from obelisk_daemon.clock import Instant, from_rfc3339
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.outcome import FailureKind
from obelisk_daemon.execution.state import Lifecycle, Status
from obelisk_daemon.ids import parse_execution_id
from obelisk_daemon.storage.records import ListFilter, Place

MOST_TAGS: Final = 16
_DIGEST: Final = re.compile(r"(sha256:)?[0-9a-f]{0,64}")
_Text: TypeAlias = Annotated[str | None, QueryParameter(max_length=MAX_NAME)]
_Number: TypeAlias = Annotated[int | None, QueryParameter(ge=1, le=2**53)]
_Tags: TypeAlias = Annotated[
    list[str] | None,
    QueryParameter(description="`key=value`, or a `key` whatever its value; several must all be there."),
]


class ExecutionFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What executions must be like, all of it."""

    state: Status | None = None
    lifecycle: Lifecycle | None = None
    outcome: Outcome | None = None
    failure: FailureKind | None = None
    ffqn: str | None = None
    """The start of the function's full name."""
    component: str | None = None
    digest: str | None = None
    """Of the component, or its start."""
    label: str | None = None
    """One that the function, or the submitter, requires of the executor."""
    tag: list[str] = []
    """`key=value`, or a `key` whatever its value."""
    parent: str | None = None
    top_level: bool = False
    generation: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    """The generation that was active when they were created."""
    created_after: str | None = None
    """As in RFC 3339; this instant included."""
    created_before: str | None = None
    """As in RFC 3339; this instant not included."""


def list_filter(wanted: ExecutionFilter, limit: int, before: Place | None) -> ListFilter:
    """Read which executions are wanted.

    Raises:
        CallerError: `invalid_filter`, `invalid_execution_id`.
    """
    if len(wanted.tag) > MOST_TAGS:
        raise CallerError("invalid_filter", f"{len(wanted.tag)} tags; an execution has at most {MOST_TAGS}")
    return ListFilter(
        limit=limit,
        before=before,
        status=wanted.state,
        lifecycle=wanted.lifecycle,
        outcome=wanted.outcome,
        failure=wanted.failure,
        ffqn_prefix=wanted.ffqn,
        component=wanted.component,
        digest_prefix=None if wanted.digest is None else _digest(wanted.digest),
        label=wanted.label,
        tags=tuple(tag_wanted(text) for text in wanted.tag),
        parent=None if wanted.parent is None else parse_execution_id(wanted.parent),
        top_level=wanted.top_level,
        generation=wanted.generation,
        since=_instant("created_after", wanted.created_after),
        until=_instant("created_before", wanted.created_before),
    )


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise CallerError("invalid_filter", f"digest: {text[:80]!r} is not the start of one, such as sha256:1f3c")
    return "sha256:" + text.removeprefix("sha256:")


def _instant(name: str, text: str | None) -> Instant | None:
    try:
        return None if text is None else from_rfc3339(text)
    except ValueError as error:
        raise CallerError("invalid_filter", f"{name}: {error}") from None


def _standing(
    status: Annotated[Status | None, QueryParameter(name="state")] = None,
    lifecycle: FromQuery[Lifecycle | None] = None,
    outcome: FromQuery[Outcome | None] = None,
    failure: FromQuery[FailureKind | None] = None,
) -> dict[str, Any]:
    return {"state": status, "lifecycle": lifecycle, "outcome": outcome, "failure": failure}


def _subject(
    ffqn: Annotated[
        str | None, QueryParameter(max_length=MAX_NAME, description="The start of a function's name.")
    ] = None,
    component: _Text = None,
    digest: _Text = None,
    label: _Text = None,
    tag: _Tags = None,
) -> dict[str, Any]:
    return {"ffqn": ffqn, "component": component, "digest": digest, "label": label, "tag": tag or []}


def _origin(
    parent: _Text = None,
    top_level: FromQuery[bool] = False,
    generation: _Number = None,
    created_after: _Text = None,
    created_before: _Text = None,
) -> dict[str, Any]:
    return {
        "parent": parent,
        "top_level": top_level,
        "generation": generation,
        "created_after": created_after,
        "created_before": created_before,
    }


def _chosen(
    page: NamedDependency[Page],
    standing: NamedDependency[dict[str, Any]],
    subject: NamedDependency[dict[str, Any]],
    origin: NamedDependency[dict[str, Any]],
) -> ListFilter:
    return list_filter(ExecutionFilter(**standing, **subject, **origin), page.limit, page.cursor)


CHOSEN: Final = {
    "page": Provide(page, sync_to_thread=False),
    "standing": Provide(_standing, sync_to_thread=False),
    "subject": Provide(_subject, sync_to_thread=False),
    "origin": Provide(_origin, sync_to_thread=False),
    "chosen": Provide(_chosen, sync_to_thread=False),
}
"""What a route needs for a parameter `chosen` that is read from the query."""
