"""What requests carry besides their path and body: who serves them, and their query parameters."""

import re
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
from litestar import Request
from litestar.params import PathParameter, QueryParameter

from obelisk_daemon.api.polling import MAX_WAIT
from obelisk_daemon.api.services import Services
from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import CallerError
from obelisk_daemon.storage.records import Place

MAX_PAGE: Final = 500
MAX_POSITION: Final = 2**53
MAX_NAME: Final = 1_000
_DIGITS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)

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
    cursor: Place | None


class Reading(msgspec.Struct, frozen=True):
    """How much of a log is wanted, and for how many seconds to wait for more."""

    limit: int
    wait: float


def services_of(request: ApiRequest) -> Services:
    """Give what the application was made with."""
    return cast(Services, request.app.state.services)


def page(limit: Limit = 50, cursor: Annotated[str | None, QueryParameter(max_length=MAX_NAME)] = None) -> Page:
    """Read the paging parameters."""
    return Page(limit, None if cursor is None else place_of(cursor))


def cursor_of(place: Place | None) -> str | None:
    """Write a place in a list of executions as a cursor."""
    return None if place is None else f"{place.created_at}.{place.execution_id}"


def place_of(cursor: str) -> Place:
    """Read a cursor.

    Raises:
        CallerError: `invalid_cursor`.
    """
    at, _, execution_id = cursor.partition(".")
    if not (_DIGITS.fullmatch(at) and execution_id):
        raise CallerError(
            "invalid_cursor", f"{cursor[:80]!r} is no cursor; give the `next` of the page before as it is"
        )
    return Place(Instant(int(at)), execution_id)


def reading(limit: Limit = 100, wait: Wait = 0.0) -> Reading:
    """Read the parameters of following a log."""
    return Reading(limit, wait)
