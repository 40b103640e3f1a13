"""wasi:http/outgoing-handler: the one way out for a guest, and where it is judged."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final, TypeAlias, cast

from obelisk_daemon.clock import Instant
from obelisk_daemon.wasm.wasi.addresses import address_refusal
from obelisk_daemon.wasm.wasi.client import ClientRequest, HttpClient, Timeouts
from obelisk_daemon.wasm.wasi.context import HandlerTable, HttpTrace, WasiContext, WasiGuest, taken, wasi_of
from obelisk_daemon.wasm.wasi.egress import EgressDeniedError, Target, parse_target
from obelisk_daemon.wasm.wasi.error_codes import HttpFailure
from obelisk_daemon.wasm.wasi.hosts import Scheme, is_address
from obelisk_daemon.wasm.wasi.http_exchange import Exchange
from obelisk_daemon.wasm.wasi.http_fields import header_bytes
from obelisk_daemon.wasm.wasi.http_request import NamedOrOther, OutgoingRequest, RequestOptions
from obelisk_daemon.wasm.wasi.http_response import FutureResponse
from obelisk_daemon.wasm.wasi.placeholders import Carried, MisplacedSecretError

Outcome: TypeAlias = dict[str, Any]
_URL_SHOWN: Final = 2_000


async def _handle(guest: WasiGuest, request: int, options: int | None) -> Outcome:
    """Send a request, or say at once why not.

    A coroutine so that it runs on the thread's stack: the one of a guest's fiber is small.
    """
    wasi = wasi_of(guest)
    outgoing = taken(guest, request, OutgoingRequest)
    wanted = taken(guest, options, RequestOptions) if options is not None else RequestOptions()
    trace = HttpTrace(
        method=_method(outgoing.method), url=_url(outgoing), started_at=Instant(wasi.clock.wall_ns() // 1_000)
    )
    try:
        exchange = _start(wasi, outgoing, wanted, trace)
    except HttpFailure as failure:
        trace.error, trace.reason = failure.name, failure.reason
        if outgoing.body is not None:
            outgoing.body.close()
        return {"err": failure.code}
    return {"ok": guest.table.new(FutureResponse(exchange))}


def _start(wasi: WasiContext, outgoing: OutgoingRequest, wanted: RequestOptions, trace: HttpTrace) -> Exchange:
    if len(wasi.trace) > wasi.http_limits.requests:
        raise HttpFailure("HTTP_request_denied", _too_many(wasi))
    wasi.trace.append(trace)
    client = _check_budget(wasi)
    request, carried = _judge(wasi, outgoing, wanted, trace)
    exchange = Exchange(wasi, request, trace, outgoing.body, carried)
    exchange.start(client)
    return exchange


def _too_many(wasi: WasiContext) -> str:
    return f"an attempt may make {wasi.http_limits.requests} HTTP requests"


def _check_budget(wasi: WasiContext) -> HttpClient:
    """Refuse when this guest has no network, or has used up its share. The request is in the trace already."""
    if wasi.http is None:
        raise HttpFailure("HTTP_request_denied", "a workflow has no network: call an activity")
    if len(wasi.trace) > wasi.http_limits.requests:
        raise HttpFailure("HTTP_request_denied", _too_many(wasi))
    if len(wasi.tasks) >= wasi.http_limits.concurrent:
        limit = wasi.http_limits.concurrent
        raise HttpFailure("connection_limit_reached", f"a guest may have {limit} HTTP requests under way")
    return wasi.http


def _judge(
    wasi: WasiContext, outgoing: OutgoingRequest, wanted: RequestOptions, trace: HttpTrace
) -> tuple[ClientRequest, Carried]:
    """Turn what the guest built into a request that the policy allows, with the values of the secrets it allows."""
    method, target = _method(outgoing.method), _target(outgoing)
    if method == "CONNECT":
        raise HttpFailure("HTTP_request_method_invalid", "CONNECT would open a tunnel past all checks")
    try:
        reach = wasi.egress.check(method, target)
    except EgressDeniedError as error:
        raise HttpFailure("HTTP_request_denied", str(error)) from error
    trace.host = wasi.egress.entry_for(method, target)
    refusal = address_refusal(target.host, reach) if is_address(target.host) else None
    if refusal is not None:
        raise HttpFailure("destination_IP_prohibited", refusal)
    path = _path(outgoing.path)
    _check_head(wasi, outgoing, path)
    carried = _put_in_secrets(wasi, outgoing, path, wasi.egress.secrets_for(method, target))
    request = ClientRequest(method, target, reach, path, carried.headers, b"", _timeouts(wasi, wanted))
    return request, carried


def _put_in_secrets(wasi: WasiContext, outgoing: OutgoingRequest, path: str, allowed: Collection[str]) -> Carried:
    headers = [(name.encode("ascii"), value) for name, value in outgoing.headers.entries]
    try:
        carried = wasi.placeholders.put_in(headers, path.encode("ascii"), allowed)
    except MisplacedSecretError as error:
        raise HttpFailure("HTTP_request_denied", str(error)) from error
    limit = wasi.http_limits.header_bytes
    if header_bytes(carried.headers) > limit:  # by how much is not for the guest: it would tell the size of a value
        reason = f"with the secrets in them, the request's headers have more than {limit} bytes"
        raise HttpFailure({"HTTP_request_header_section_size": None}, reason)
    return carried


def _check_head(wasi: WasiContext, outgoing: OutgoingRequest, path: str) -> None:
    limit = wasi.http_limits.header_bytes
    size = header_bytes(outgoing.headers.entries)
    if size > limit:
        reason = f"the request's headers have {size} bytes; {limit} is the limit"
        raise HttpFailure({"HTTP_request_header_section_size": size}, reason)
    if len(path) > limit:
        raise HttpFailure("HTTP_request_URI_too_long", f"the path has {len(path)} bytes; {limit} is the limit")
    lengths = outgoing.headers.get("content-length")
    if lengths and not (len(lengths) == 1 and lengths[0].isdigit() and len(lengths[0]) <= 18):
        raise HttpFailure("HTTP_protocol_error", "content-length must be one number")
    if lengths and int(lengths[0]) and outgoing.body is None:
        raise HttpFailure({"HTTP_request_body_size": 0}, "a content-length was given, but no body")


def _method(method: NamedOrOther) -> str:
    """Write a method as HTTP does, always in upper case: no case may hide a method from the policy."""
    name = method["other"] if isinstance(method, dict) else method
    return name.upper()


def _target(outgoing: OutgoingRequest) -> Target:
    scheme = _scheme(outgoing.scheme)
    if scheme not in ("http", "https"):
        raise HttpFailure("HTTP_request_URI_invalid", f"scheme {scheme!r} is neither http nor https")
    if outgoing.authority is None:
        raise HttpFailure("HTTP_request_URI_invalid", "the request has no authority")
    try:
        return parse_target(cast("Scheme", scheme), outgoing.authority)
    except ValueError as error:
        raise HttpFailure("HTTP_request_URI_invalid", str(error)) from error


def _scheme(scheme: NamedOrOther | None) -> str:
    if scheme is None:
        return "https"
    return (scheme["other"] if isinstance(scheme, dict) else scheme).lower()


def _path(path: str | None) -> str:
    if not path:
        return "/"
    return path if path[0] != "?" else "/" + path


def _url(outgoing: OutgoingRequest) -> str:
    """Write the URL for people. An authority with user information was refused when it was set."""
    return f"{_scheme(outgoing.scheme)}://{outgoing.authority or ''}{_path(outgoing.path)}"[:_URL_SHOWN]


def _timeouts(wasi: WasiContext, wanted: RequestOptions) -> Timeouts:
    limits = wasi.http_limits
    return Timeouts(
        connect=_seconds(wanted.connect, limits.connect_timeout),
        first_byte=_seconds(wanted.first_byte, limits.first_byte_timeout),
        between_bytes=_seconds(wanted.between_bytes, limits.between_bytes_timeout),
    )


def _seconds(wanted_ns: int | None, limit: timedelta) -> float:
    """Take what the guest wants up to the limit; never 0, which httpcore would take for "already over"."""
    bound = limit.total_seconds()
    return bound if wanted_ns is None else max(0.001, min(wanted_ns / 1e9, bound))


HANDLERS: Final[HandlerTable] = {"http/outgoing-handler.handle": _handle}
