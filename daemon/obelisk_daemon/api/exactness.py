"""Requests are read as they are written: what nobody knows is refused, and `"1"` is no number in a body.

A mistyped filter would otherwise be no filter at all, and litestar by itself takes texts for numbers in JSON, too.
"""

import difflib
from typing import Any, NamedTuple, get_args

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from obelisk_daemon.api.requests import ApiRequest
from obelisk_daemon.errors import CallerError


class Expected(NamedTuple):
    """What an operation reads: its query, of which some may be repeated, and its body, if that is JSON."""

    names: frozenset[str]
    repeated: frozenset[str]
    texts: frozenset[str]
    """Those that may be any text. Of others `null` would be read as if they were left out."""
    body: msgspec.json.Decoder[Any] | None


async def require_exact(request: ApiRequest) -> None:
    """Look at the names in the query, and at the types in the body.

    Raises:
        CallerError: `invalid_request`.
    """
    state = request.app.state
    if "expected" not in state:
        state.expected = _expected(request.app)
    expected: Expected = state.expected[str(request.route_handler)]
    if request.scope["query_string"]:
        given = list(request.query_params.multi_items())
        _require_known([name for name, _ in given], expected)
        for name, value in given:
            if value == "null" and name not in expected.texts:
                raise CallerError("invalid_request", f"the query parameter {name!r} can't be null; leave it out")
    if expected.body is not None and (body := await request.body()):
        _require_types(body, expected.body)


def _require_types(body: bytes, decoder: msgspec.json.Decoder[Any]) -> None:
    try:
        try:
            decoder.decode(body)
        except msgspec.ValidationError as error:
            try:
                msgspec.convert(_whole(msgspec.json.decode(body)), decoder.type)
            except msgspec.ValidationError:
                raise CallerError("invalid_request", f"the body: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CallerError("invalid_request", f"the body is not JSON: {error}") from None


def _whole(value: Any) -> Any:
    """Write 2.0 as 2, at the places where our own fields are: to JSON it is the same number."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _whole(item) if not isinstance(item, list) else item for name, item in value.items()}
    return value


def _require_known(given: list[str], expected: Expected) -> None:
    for name in given:
        if name not in expected.names:
            raise CallerError("invalid_request", f"there is no query parameter {name[:80]!r}{_hint(name, expected)}")
        if given.count(name) > 1 and name not in expected.repeated:
            raise CallerError("invalid_request", f"the query parameter {name!r} is given more than once")


def _hint(name: str, expected: Expected) -> str:
    near = difflib.get_close_matches(name[:80], expected.names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(sorted(expected.names))}" if expected.names else "; there are none here"


def _takes_text(annotation: object) -> bool:
    return annotation is str or any(map(_takes_text, get_args(annotation)))


def _annotations(handler: HTTPRouteHandler) -> dict[str, object]:
    """Give the types of what the function and its dependencies take, by name."""
    signatures = [given.parsed_fn_signature for given in handler.resolve_dependencies().values()]
    return {
        name: field.annotation
        for signature in (*signatures, handler.parsed_fn_signature)
        for name, field in signature.parameters.items()
    }


def _expected(app: Litestar) -> dict[str, Expected]:
    return {
        str(handler): Expected(
            frozenset(parameter.field_alias for parameter in model.expected_query_params),
            frozenset(model.sequence_query_parameter_names),
            frozenset(
                parameter.field_alias
                for parameter in model.expected_query_params
                if _takes_text(_annotations(handler).get(parameter.field_name))
            ),
            None if handler.parsed_data_field is None else msgspec.json.Decoder(handler.parsed_data_field.annotation),
        )
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler, model in route.route_handler_map.values()
    }
