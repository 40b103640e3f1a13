"""The error codes of wasi:http, and how the failures of a transport become them.

A code is a plain value of `wasi:http/types.error-code` (`execution.wit_types`): the case's name in snake_case, or one
entry `{case: payload}`.
"""

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import h11
import httpcore

ErrorCode: TypeAlias = str | dict[str, Any]
"""A plain value of `wasi:http/types.error-code`."""


class HttpFailure(Exception):  # noqa: N818 - mostly an outcome of the network, and a value for the guest
    """A request failed in a way that its guest is told of. `reason` is for people: the trace, never the guest."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason

    @property
    def name(self) -> str:
        """The case's WIT name, as `HTTP-request-denied`."""
        return name_of(self.code)


def name_of(code: ErrorCode) -> str:
    """Give the WIT name of a code's case."""
    case = code if isinstance(code, str) else next(iter(code))
    return case.replace("_", "-")


def internal(reason: str) -> HttpFailure:
    """Make the failure for what no other code describes; the guest sees the reason."""
    return HttpFailure({"internal_error": reason}, reason)


TRANSPORT_ERRORS: Final = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    httpcore.ConnectionNotAvailable,
    OSError,
)
"""What a transport raises for a reason that lies outside of this daemon. Anything else is a fault of ours."""

_UNROUTABLE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_TERMINATED: Final = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})
_RCODES: Final = {socket.EAI_NONAME: "NXDOMAIN", socket.EAI_AGAIN: "SERVFAIL", socket.EAI_FAIL: "REFUSED"}

_BY_TYPE: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (httpcore.ConnectTimeout, "connection_timeout"),
    (httpcore.PoolTimeout, "connection_limit_reached"),
    (httpcore.ReadTimeout, "connection_read_timeout"),
    (httpcore.WriteTimeout, "connection_write_timeout"),
    (httpcore.LocalProtocolError, "HTTP_protocol_error"),
    (httpcore.ReadError, "connection_terminated"),
    (httpcore.WriteError, "connection_terminated"),
    (httpcore.ConnectError, "destination_unavailable"),
    (httpcore.UnsupportedProtocol, "HTTP_request_URI_invalid"),
)


def without_quotes(failure: HttpFailure) -> HttpFailure:
    """Leave out what h11 quotes of a message that breaks its rules: where secrets are, it may be one."""
    quoting = next((cause for cause in _causes(failure) if isinstance(cause, h11.ProtocolError)), None)
    if quoting is None:
        return failure
    return HttpFailure(failure.code, f"{type(quoting).__name__}: what it is about may have a secret and isn't shown")


def before_response(error: BaseException) -> HttpFailure:
    """Translate what a transport raised before the response's head was complete."""
    reason = describe(error)
    for cause in _causes(error):
        code = _code_of_cause(cause)
        if code is not None:
            return HttpFailure(code, reason)
    if isinstance(error, httpcore.RemoteProtocolError):
        return HttpFailure(_code_of_bad_head(error), reason)
    for kind, name in _BY_TYPE:
        if isinstance(error, kind):
            return HttpFailure(name, reason)
    return internal(reason)


def within_body(error: BaseException) -> HttpFailure:
    """Translate what a transport raised while the response's body was read."""
    if isinstance(error, httpcore.ReadTimeout):
        return HttpFailure("connection_read_timeout", "the server sent nothing more of the body in time")
    return HttpFailure("HTTP_response_incomplete", f"the body was cut off: {describe(error)}")


def describe(error: BaseException) -> str:
    """Say in one line what an error and its deepest cause are."""
    causes = list(_causes(error))
    texts = [str(cause) for cause in causes if str(cause)]
    return f"{type(causes[-1]).__name__}: {texts[-1] if texts else 'no further detail'}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk an error and its causes, outermost first.

    httpcore raises its own errors with the original as the only argument, and clears `__cause__` on some paths.
    """
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        argument = current.args[0] if current.args else None
        following = argument if isinstance(argument, BaseException) else current.__cause__
        if isinstance(following, BaseExceptionGroup):
            following = following.exceptions[0]
        current = following


def _code_of_cause(cause: BaseException) -> ErrorCode | None:
    """Translate an error of the operating system or of TLS, or answer None."""
    if isinstance(cause, HttpFailure):
        return cause.code
    if isinstance(cause, socket.gaierror):
        rcode = _RCODES.get(cause.errno or 0, cause.strerror)
        return {"DNS_error": {"rcode": rcode, "info_code": None}}
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "TLS_certificate_error"
    if isinstance(cause, ssl.SSLError):
        return "TLS_protocol_error"
    if isinstance(cause, OSError):
        return _code_of_errno(cause)
    return None


def _code_of_errno(cause: OSError) -> ErrorCode | None:
    """Translate an errno, or answer None for one that says nothing better than the type of the error around it."""
    if cause.errno == errno.ECONNREFUSED:
        return "connection_refused"
    if cause.errno == errno.ETIMEDOUT:
        return "connection_timeout"
    if cause.errno in _UNROUTABLE:
        return "destination_IP_unroutable"
    return "connection_terminated" if cause.errno in _TERMINATED else None


def _code_of_bad_head(error: httpcore.RemoteProtocolError) -> ErrorCode:
    """Tell a server that closed without a word from one that sent too much and from one that sent nonsense."""
    argument = error.args[0] if error.args else None
    if not isinstance(argument, h11.RemoteProtocolError):
        return "connection_terminated"
    too_long = argument.error_status_hint == 431
    return {"HTTP_response_header_section_size": None} if too_long else "HTTP_protocol_error"
