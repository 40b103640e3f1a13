"""What real guests import, against what is here."""

import inspect
import re

import pytest

from obelisk_daemon.execution.wit_types import ResultType, VariantType, snake
from obelisk_daemon.wasm import wasi
from tests import guests

pytestmark = [pytest.mark.anyio, pytest.mark.guests]

UNREACHABLE = re.compile(
    r"wasi:(sockets|filesystem)/.*\[method\](?!error)"
    r"|wasi:http/types@.*(incoming-request|response-outparam|outgoing-response)"
)
"""Functions of resources that nothing ever gives to a guest."""

CODES = [
    {"DNS_error": {"rcode": "NXDOMAIN", "info_code": None}},
    "DNS_timeout",
    "destination_unavailable",
    "destination_IP_prohibited",
    "destination_IP_unroutable",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "connection_read_timeout",
    "connection_write_timeout",
    "connection_limit_reached",
    "TLS_protocol_error",
    "TLS_certificate_error",
    "HTTP_request_denied",
    {"HTTP_request_body_size": 1},
    "HTTP_request_method_invalid",
    "HTTP_request_URI_invalid",
    "HTTP_request_URI_too_long",
    {"HTTP_request_header_section_size": 1},
    "HTTP_response_incomplete",
    {"HTTP_response_header_section_size": None},
    {"HTTP_response_body_size": 1},
    "HTTP_response_timeout",
    "HTTP_protocol_error",
    {"internal_error": "x"},
]
"""Every code that the daemon gives."""


@pytest.fixture(params=["http-python", "http-js", "fibo-python", "fibo-js", "demo-python"])
async def component(request, compiler):
    return await compiler.load(guests.path(request.param).read_bytes(), "activity")


async def test_every_wasi_function_that_a_guest_can_reach_is_here(component):
    missing = [
        str(wanted)
        for wanted in component.imports
        if wanted.interface.startswith("wasi:") and wasi.resolve(wanted.interface, wanted.function) is None
    ]
    assert [name for name in missing if not UNREACHABLE.search(name)] == []


async def test_every_handler_takes_what_its_function_gives(component):
    for wanted in component.imports:
        handler = wasi.resolve(wanted.interface, wanted.function)
        if handler is not None:
            inspect.signature(handler).bind("guest", *(name for name, _ in wanted.type.params))


async def test_every_error_code_is_one_of_wasi_http(compiler):
    component = await compiler.load(guests.path("http-python").read_bytes(), "activity")
    (handle,) = (wanted.type for wanted in component.imports if wanted.function == "handle")
    assert isinstance(handle.result, ResultType)
    assert isinstance(handle.result.err, VariantType)
    payloads = {snake(name): payload for name, payload in handle.result.err.cases}
    for code in CODES:
        case = code if isinstance(code, str) else next(iter(code))
        assert (payloads[case] is None) == isinstance(code, str), case
