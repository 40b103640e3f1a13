"""wasi:http/types on the way out: `outgoing-request`, `outgoing-body` and `request-options`."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from obelisk_daemon.wasm.resources import GuestStopped
from obelisk_daemon.wasm.wasi.context import HandlerTable, WasiGuest, borrowed, taken, wasi_of
from obelisk_daemon.wasm.wasi.error_codes import HttpFailure
from obelisk_daemon.wasm.wasi.hosts import parse_authority
from obelisk_daemon.wasm.wasi.http_body import RequestBody
from obelisk_daemon.wasm.wasi.http_fields import Fields

Outcome: TypeAlias = dict[str, Any]
NamedOrOther: TypeAlias = str | dict[str, str]
"""A plain value of `method` or of `scheme`."""

_OK: Final[Outcome] = {"ok": None}
_ERR: Final[Outcome] = {"err": None}
_METHOD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_SCHEME_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}")
_PATH: Final = re.compile(r"[\x21\x22\x24-\x7e]*")
"""Visible ASCII without `#`: no space or line end that could begin another request."""


class OutgoingRequest:
    """A request that is being built."""

    def __init__(self, headers: Fields) -> None:
        headers.immutable = True
        self.headers = headers
        self.method: NamedOrOther = "get"
        self.scheme: NamedOrOther | None = None
        self.authority: str | None = None
        self.path: str | None = None
        self.body: RequestBody | None = None


class OutgoingBody:
    """The handle that gives a body's stream, and finishes it."""

    def __init__(self, body: RequestBody) -> None:
        self.body = body
        self.given = False

    def drop(self) -> None:
        """Abort: a body must be finished, or the server can't know that it is whole."""
        self.body.abort()


class RequestOptions:
    """Times that a guest asks for, in nanoseconds."""

    def __init__(self) -> None:
        self.connect: int | None = None
        self.first_byte: int | None = None
        self.between_bytes: int | None = None


def _request(guest: WasiGuest, headers: int) -> int:
    return guest.table.new(OutgoingRequest(taken(guest, headers, Fields)))


def _get_method(guest: WasiGuest, request: int) -> NamedOrOther:
    return borrowed(guest, request, OutgoingRequest).method


def _set_method(guest: WasiGuest, request: int, method: NamedOrOther) -> Outcome:
    if isinstance(method, dict) and not _METHOD_NAME.fullmatch(method["other"]):
        return _ERR
    borrowed(guest, request, OutgoingRequest).method = method
    return _OK


def _get_path(guest: WasiGuest, request: int) -> str | None:
    return borrowed(guest, request, OutgoingRequest).path


def _set_path(guest: WasiGuest, request: int, path: str | None) -> Outcome:
    if path and not (_PATH.fullmatch(path) and (path[0] in "/?" or path == "*")):
        return _ERR
    borrowed(guest, request, OutgoingRequest).path = path
    return _OK


def _get_scheme(guest: WasiGuest, request: int) -> NamedOrOther | None:
    return borrowed(guest, request, OutgoingRequest).scheme


def _set_scheme(guest: WasiGuest, request: int, scheme: NamedOrOther | None) -> Outcome:
    if isinstance(scheme, dict) and not _SCHEME_NAME.fullmatch(scheme["other"]):
        return _ERR
    borrowed(guest, request, OutgoingRequest).scheme = scheme
    return _OK


def _get_authority(guest: WasiGuest, request: int) -> str | None:
    return borrowed(guest, request, OutgoingRequest).authority


def _set_authority(guest: WasiGuest, request: int, authority: str | None) -> Outcome:
    """Refuse what is no authority; one with user information too, since it would go unseen by the policy's author."""
    if authority is not None:
        try:
            parse_authority(authority, "https")
        except ValueError:
            return _ERR
    borrowed(guest, request, OutgoingRequest).authority = authority
    return _OK


def _get_headers(guest: WasiGuest, request: int) -> int:
    return guest.table.new(Fields(borrowed(guest, request, OutgoingRequest).headers.entries, immutable=True))


def _body(guest: WasiGuest, request: int) -> Outcome:
    outgoing = borrowed(guest, request, OutgoingRequest)
    if outgoing.body is not None:
        return _ERR
    declared = outgoing.headers.get("content-length")
    length = int(declared[0]) if declared and declared[0].isdigit() else None
    outgoing.body = RequestBody(wasi_of(guest).http_limits.request_body_bytes, length)
    return {"ok": guest.table.new(OutgoingBody(outgoing.body))}


def _body_write(guest: WasiGuest, body: int) -> Outcome:
    outgoing = borrowed(guest, body, OutgoingBody)
    if outgoing.given:
        return _ERR
    outgoing.given = True
    return {"ok": guest.table.new(outgoing.body)}


def _body_finish(guest: WasiGuest, body: int, trailers: int | None) -> Outcome:
    outgoing = taken(guest, body, OutgoingBody)
    if trailers is not None and taken(guest, trailers, Fields).entries:
        raise GuestStopped("trap", "the guest sent HTTP trailers, which this daemon doesn't support")
    try:
        outgoing.body.finish()
    except HttpFailure as failure:
        return {"err": failure.code}
    return _OK


def _options(guest: WasiGuest) -> int:
    return guest.table.new(RequestOptions())


def _option(
    name: str,
) -> tuple[Callable[[WasiGuest, int], int | None], Callable[[WasiGuest, int, int | None], Outcome]]:
    """Make the getter and the setter of one time."""

    def get(guest: WasiGuest, options: int) -> int | None:
        value: int | None = getattr(borrowed(guest, options, RequestOptions), name)
        return value

    def change(guest: WasiGuest, options: int, value: int | None) -> Outcome:
        setattr(borrowed(guest, options, RequestOptions), name, value)
        return _OK

    return get, change


_GET_CONNECT, _SET_CONNECT = _option("connect")
_GET_FIRST, _SET_FIRST = _option("first_byte")
_GET_BETWEEN, _SET_BETWEEN = _option("between_bytes")
_REQUEST: Final = "http/types.[method]outgoing-request."
_OPTIONS: Final = "http/types.[method]request-options."
HANDLERS: Final[HandlerTable] = {
    "http/types.[constructor]outgoing-request": _request,
    _REQUEST + "method": _get_method,
    _REQUEST + "set-method": _set_method,
    _REQUEST + "path-with-query": _get_path,
    _REQUEST + "set-path-with-query": _set_path,
    _REQUEST + "scheme": _get_scheme,
    _REQUEST + "set-scheme": _set_scheme,
    _REQUEST + "authority": _get_authority,
    _REQUEST + "set-authority": _set_authority,
    _REQUEST + "headers": _get_headers,
    _REQUEST + "body": _body,
    "http/types.[method]outgoing-body.write": _body_write,
    "http/types.[static]outgoing-body.finish": _body_finish,
    "http/types.[constructor]request-options": _options,
    _OPTIONS + "connect-timeout": _GET_CONNECT,
    _OPTIONS + "set-connect-timeout": _SET_CONNECT,
    _OPTIONS + "first-byte-timeout": _GET_FIRST,
    _OPTIONS + "set-first-byte-timeout": _SET_FIRST,
    _OPTIONS + "between-bytes-timeout": _GET_BETWEEN,
    _OPTIONS + "set-between-bytes-timeout": _SET_BETWEEN,
}
