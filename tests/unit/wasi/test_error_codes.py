"""How failures of a transport become the codes that a guest sees."""

import errno
import socket
import ssl

import h11
import httpcore
import pytest

from obelisk_daemon.wasm.wasi.error_codes import HttpFailure, before_response, describe, name_of, within_body


def caused(outer: Exception, cause: BaseException) -> Exception:
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (httpcore.ConnectError(ConnectionRefusedError(errno.ECONNREFUSED, "refused")), "connection-refused"),
        (
            httpcore.ConnectError(caused(OSError("All failed"), ConnectionRefusedError(errno.ECONNREFUSED, "no"))),
            "connection-refused",
        ),
        (
            httpcore.ConnectError(
                caused(OSError("x"), ExceptionGroup("m", [ConnectionRefusedError(errno.ECONNREFUSED, "no")]))
            ),
            "connection-refused",
        ),
        (httpcore.ConnectError(OSError(errno.EHOSTUNREACH, "no route")), "destination-IP-unroutable"),
        (httpcore.ConnectError(OSError(errno.ENETUNREACH, "no net")), "destination-IP-unroutable"),
        (httpcore.ConnectError(OSError(errno.ETIMEDOUT, "late")), "connection-timeout"),
        (httpcore.ConnectError(OSError("strange")), "destination-unavailable"),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "DNS-error"),
        (httpcore.ConnectError(ssl.SSLCertVerificationError(1, "bad cert")), "TLS-certificate-error"),
        (httpcore.ConnectError(ssl.SSLError(1, "bad record")), "TLS-protocol-error"),
        (httpcore.ConnectTimeout(TimeoutError()), "connection-timeout"),
        (httpcore.PoolTimeout(), "connection-limit-reached"),
        (httpcore.WriteTimeout(), "connection-write-timeout"),
        (httpcore.ReadError(ConnectionResetError(errno.ECONNRESET, "reset")), "connection-terminated"),
        (httpcore.RemoteProtocolError("Server disconnected without sending a response."), "connection-terminated"),
        (httpcore.RemoteProtocolError(h11.RemoteProtocolError("illegal status line")), "HTTP-protocol-error"),
        (
            httpcore.RemoteProtocolError(h11.RemoteProtocolError("too long", error_status_hint=431)),
            "HTTP-response-header-section-size",
        ),
        (httpcore.LocalProtocolError("x"), "HTTP-protocol-error"),
        (OSError("strange"), "internal-error"),
    ],
)
def test_a_failure_before_the_response_has_a_code(error, name):
    failure = before_response(error)
    assert failure.name == name
    assert failure.reason


def test_a_failure_of_the_network_that_already_has_a_code_keeps_it():
    inner = HttpFailure("destination_IP_prohibited", "10.0.0.1 is not public")
    assert before_response(httpcore.ConnectError(inner)).code == "destination_IP_prohibited"


def test_a_name_that_does_not_exist_has_its_rcode():
    failure = before_response(httpcore.ConnectError(socket.gaierror(socket.EAI_NONAME, "unknown")))
    assert failure.code == {"DNS_error": {"rcode": "NXDOMAIN", "info_code": None}}


def test_a_body_that_is_cut_off_is_an_incomplete_response():
    assert within_body(httpcore.RemoteProtocolError("peer closed")).code == "HTTP_response_incomplete"
    assert within_body(httpcore.ReadError(ConnectionResetError())).code == "HTTP_response_incomplete"


def test_a_body_that_stops_coming_is_a_read_timeout():
    assert within_body(httpcore.ReadTimeout()).code == "connection_read_timeout"


def test_a_code_is_written_as_wit_does():
    assert name_of({"DNS_error": {"rcode": None, "info_code": None}}) == "DNS-error"
    assert name_of("HTTP_request_denied") == "HTTP-request-denied"


def test_a_description_names_the_deepest_cause():
    error = httpcore.ConnectError(caused(OSError("All failed"), ConnectionRefusedError(111, "Connection refused")))
    assert describe(error) == "ConnectionRefusedError: [Errno 111] Connection refused"


def test_errors_that_cause_each_other_are_described_once():
    first, second = OSError("first"), OSError("second")
    first.__cause__, second.__cause__ = second, first
    assert describe(first) == "OSError: second"
