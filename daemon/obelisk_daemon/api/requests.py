"""What requests carry besides their path and body: who serves them, and their query parameters."""

from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from litestar import Request
from litestar.di import NamedDependency
from litestar.params import FromQuery, PathParameter, QueryParameter

from obelisk_daemon.api.polling import MAX_WAIT
from obelisk_daemon.api.services import Services
from obelisk_daemon.execution.state import Status
from obelisk_daemon.ids import ExecutionId, parse_execution_id
from obelisk_daemon.storage.records import ListFilter

MAX_PAGE: Final = 500
MAX_POSITION: Final = 2**53
MAX_NAME: Final = 1_000

ApiRequest: TypeAlias = Request[Any, Any, Any]
Limit: TypeAlias = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="The longest page wanted.")]
Wait: TypeAlias = Annotated[
    float, QueryParameter(ge=0, le=MAX_WAIT, description="Seconds to wait for something new, when there is nothing.")
]
Position: TypeAlias = Annotated[int, QueryParameter(ge=0, le=MAX_POSITION)]
From: TypeAlias = Annotated[
    int, QueryParameter(name="from", ge=0, le=MAX_POSITION, description="The first version (or seq) wanted.")
]
Id: TypeAlias = Annotated[str, PathParameter(max_length=MAX_NAME)]
FunctionName: TypeAlias = Annotated[
    str | None, QueryParameter(max_length=MAX_NAME, description="Only this function, by its full or a unique name.")
]


class Page(msgspec.Struct, frozen=True):
    """Which part of a list is wanted: `cursor` is the `next` of the page before."""

    limit: int
    cursor: ExecutionId | None


class Reading(msgspec.Struct, frozen=True):
    """How much of a log is wanted, and for how many seconds to wait for more."""

    limit: int
    wait: float


def services_of(request: ApiRequest) -> Services:
    """Give what the application was made with."""
    return cast(Services, request.app.state.services)


def page(limit: Limit = 50, cursor: Annotated[str | None, QueryParameter(max_length=MAX_NAME)] = None) -> Page:
    """Read the paging parameters."""
    return Page(limit, None if cursor is None else parse_execution_id(cursor))


def reading(limit: Limit = 100, wait: Wait = 0.0) -> Reading:
    """Read the parameters of following a log."""
    return Reading(limit, wait)


def list_filter(
    page: NamedDependency[Page],
    ffqn: Annotated[
        str | None, QueryParameter(max_length=MAX_NAME, description="The start of a function's name.")
    ] = None,
    status: Annotated[Status | None, QueryParameter(name="state")] = None,
    parent: Annotated[str | None, QueryParameter(max_length=MAX_NAME)] = None,
    top_level: FromQuery[bool] = False,
) -> ListFilter:
    """Read which executions are wanted."""
    return ListFilter(
        limit=page.limit,
        ffqn_prefix=ffqn,
        status=status,
        before=page.cursor,
        parent=None if parent is None else parse_execution_id(parent),
        top_level=top_level,
    )
