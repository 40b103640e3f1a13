"""Errors as `application/problem+json` (RFC 9457), each with its stable code."""

import logging
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from obelisk_daemon.api.watch import OverloadedError
from obelisk_daemon.errors import (
    CallerError,
    ComponentError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ObeliskError,
    OperatorError,
    QueueFullError,
    StorageUnavailableError,
    UnauthenticatedError,
)
from obelisk_daemon.wasm.guest import HostExhaustedError

MEDIA_TYPE: Final = "application/problem+json"
_RETRY_AFTER: Final = "2"
"""Seconds."""
_LOG: Final = logging.getLogger(__name__)
_BY_MEANING: Final = ("invalid_due", "invalid_tag", "invalid_filter", "invalid_cursor")
"""What is wrong there depends on other fields or on ranges, so that no description of the form can tell it."""
_HTTP_CODES: Final = {404: "no_such_route", 405: "method_not_allowed", 413: "body_too_large"}


class Problem(msgspec.Struct, frozen=True):
    """What went wrong, for people (`title`, `detail`) and for programs (`status`, `code`)."""

    type: str
    title: str
    status: int
    detail: str
    code: str


PROBLEMS: Final = {
    status: ResponseSpec(Problem, media_type=MEDIA_TYPE, description=HTTPStatus(status).phrase, generate_examples=False)
    for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 507)
}
"""What OpenAPI says of every route's refusals."""


def problem(status: int, code: str, detail: str) -> Problem:
    """Describe an error; the title is the status's own phrase."""
    return Problem(f"urn:obelisk:problem:{code}", HTTPStatus(status).phrase, status, detail, code)


def status_of(error: ObeliskError) -> int:
    """Choose the HTTP status: 400 for a request of the wrong form, 422 for one that can't be carried out."""
    match error:
        case UnauthenticatedError():
            return 401
        case ForbiddenError():
            return 403
        case NotFoundError():
            return 404
        case ConflictError():
            return 409
        case QueueFullError():
            return 429
        case CallerError():
            return 400 if error.code.startswith("invalid_") and error.code not in _BY_MEANING else 422
        case ComponentError():  # of one that the request brought
            return 422
        case OverloadedError() | HostExhaustedError():
            return 503
        case StorageUnavailableError():
            return 507
        case OperatorError() if error.code.startswith("manifest_"):
            return 422
        case _:
            return 500


def answer(told: Problem) -> Response[Problem]:
    """Make the response of a problem."""
    challenge = {"www-authenticate": "Bearer"} if told.status == 401 else None
    return Response(told, status_code=told.status, media_type=MEDIA_TYPE, headers=challenge)


def on_obelisk_error(_: Request[Any, Any, Any] | None, error: ObeliskError) -> Response[Problem]:
    """Answer one of our own errors; what the daemon itself must answer for is logged, too."""
    status = status_of(error)
    if status == 500:
        _LOG.error("a request failed: %s: %s", error.code, error)
    answered = answer(problem(status, error.code, str(error)))
    if status == 503:
        answered.headers["Retry-After"] = _RETRY_AFTER
    return answered


def on_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """Answer what the framework refused: unknown routes, wrong query parameters, bodies that aren't JSON."""
    if isinstance(error, ValidationException):
        return answer(problem(400, "invalid_request", _explained(error)))
    code = _HTTP_CODES.get(error.status_code, "invalid_request" if error.status_code < 500 else "internal")
    return answer(problem(error.status_code, code, error.detail))


def on_too_deep(_: Request[Any, Any, Any] | None, __: RecursionError) -> Response[Problem]:
    """Answer JSON that is nested too deeply to be read."""
    return answer(problem(400, "invalid_request", "the values are nested too deeply"))


def answer_of(error: Exception) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Write the answer to what came of a request that the framework does not see: status, headers, body."""
    match error:
        case ObeliskError():
            made = on_obelisk_error(None, error)
        case RecursionError():
            made = on_too_deep(None, error)
        case _:
            made = on_bug(None, error)
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in made.headers.items()]
    return made.content.status, headers, msgspec.json.encode(made.content)


def on_bug(_: Request[Any, Any, Any] | None, error: Exception) -> Response[Problem]:
    """Answer a bug of ours: this is the service's edge, so the log gets the whole of it and the client nothing."""
    _LOG.error("a request failed", exc_info=error)
    return answer(problem(500, "internal", "the daemon failed to answer; its log says why"))


def _explained(error: ValidationException) -> str:
    extra = error.extra if isinstance(error.extra, list) else []
    parts = [f"{item.get('key', item.get('source', 'body'))}: {item.get('message')}" for item in extra]
    return "; ".join(parts) or error.detail
