"""What may be given to us by others, as functions of bytes: each raises only if there is a bug.

`test_targets` draws a few hundred inputs for each; `python -m tests.fuzz TARGET` looks for new paths for hours.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpcore
import msgspec

from obelisk_config import ManifestError, draft, render
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution import codec
from obelisk_daemon.execution.events import Entry
from obelisk_daemon.execution.saved_log import read_document
from obelisk_daemon.execution.state import InvariantError, begin, follow
from obelisk_daemon.execution.wit_json import from_json, same, to_json
from obelisk_daemon.execution.wit_parse import parse_document, parse_type
from obelisk_daemon.execution.wit_tokens import WitError
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FlagsType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)
from obelisk_daemon.wasm.wasi.addresses import Reach, address_refusal
from obelisk_daemon.wasm.wasi.client import ClientRequest, HttpClient, Timeouts
from obelisk_daemon.wasm.wasi.egress import Target, parse_target
from obelisk_daemon.wasm.wasi.error_codes import HttpFailure
from tests.building import created
from tests.fakes.clock import START
from tests.fuzz.draws import Draws
from tests.fuzz.replaying import replay

_PRIMITIVES: Final = (
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string",
)  # fmt: skip
_DEEPEST: Final = 5


def values(data: bytes) -> None:
    """Read JSON as a value of a drawn WIT type: it is refused, or comes back as the same."""
    draws = Draws(data)
    wit = _type(draws)
    try:
        given = json.loads(draws.rest())
    except (ValueError, RecursionError):
        return
    try:
        plain = from_json(wit, given, "value")
    except CallerError:
        return
    again = from_json(wit, json.loads(json.dumps(to_json(plain), allow_nan=False)), "value")
    assert same(again, plain)


def _type(draws: Draws, depth: int = 0) -> WitType:
    kind = draws.below(21)
    if kind < len(_PRIMITIVES) or depth == _DEEPEST:
        return Primitive(_PRIMITIVES[kind % len(_PRIMITIVES)])  # type: ignore[arg-type]
    inner = [_type(draws, depth + 1) for _ in range(1 + draws.below(2))]
    match kind:
        case 13:
            return ListType(inner[0])
        case 14:
            return OptionType(inner[0])
        case 15:
            return TupleType(tuple(inner))
        case 16:
            return RecordType(tuple((f"field-{n}", of) for n, of in enumerate(inner)))
        case 17:
            return VariantType((("none-of-them", None), *((f"case-{n}", of) for n, of in enumerate(inner))))
        case 18:
            return ResultType(inner[0], inner[-1])
        case 19:
            return EnumType(("red", "dark-green"))
        case _:
            return FlagsType(("read", "write-too"))


def toml(data: bytes) -> None:
    """Read a manifest: it is a draft, or an error with places that can be shown."""
    try:
        diagnostics = draft(data, Path("/etc/obelisk.toml")).diagnostics
    except ManifestError as error:
        diagnostics = tuple(error.diagnostics)
        assert diagnostics
    assert render(diagnostics)
    assert all(one.span.line >= 1 for one in diagnostics)


def events(data: bytes) -> None:
    """Read stored bytes: they are damaged, or come back as they were; an event that can't follow is refused."""
    damaged = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
    for decode in (codec.decode_event, codec.decode_response, codec.decode_outcome, codec.decode_evidence):
        with contextlib.suppress(*damaged):
            found = decode(data)
            assert codec.encode(decode(codec.encode(found))) == codec.encode(found)
    with contextlib.suppress(*damaged, InvariantError):
        event = codec.decode_event(data)
        follow(begin(Entry(0, START, created())), Entry(1, START, event))


def saved_logs(data: bytes) -> None:
    """Read an exported log: it is one, or refused."""
    with contextlib.suppress(CallerError):
        read_document(data)


def wit(data: bytes) -> None:
    """Read WIT: it has functions, or a place where it goes wrong."""
    text = data.decode(errors="replace")
    for parse in (parse_document, parse_type):
        with contextlib.suppress(WitError):
            parse(text)


def authorities(data: bytes) -> None:
    """Read where a request goes: one that is taken has one form, which leads to the same place."""
    text = data.decode(errors="replace")
    with contextlib.suppress(ValueError):
        target = parse_target("http", text)
        assert parse_target("http", target.authority) == target
        assert target.authority.isascii()
        assert not set(target.authority) & set("@/?#\\ \r\n\t%")
    assert address_refusal(text, Reach.PUBLIC) is not None or "." in text or ":" in text


def http(data: bytes) -> None:
    """Read a server's answer with the guests' client: it is one, or a failure that a guest is told of."""
    _LOOP.run_until_complete(_fetched(data))


async def _fetched(data: bytes) -> None:
    client = HttpClient(resolver=_nobody, ssl_context=_TRUST)
    for pool in client._pools.values():
        pool._network_backend = httpcore.AsyncMockBackend([data])
    times = Timeouts(5.0, 5.0, 5.0)
    request = ClientRequest("GET", Target("http", "a.test", 80), Reach.PUBLIC, "/", [], b"", times)
    with contextlib.suppress(HttpFailure):
        async with client.open(request) as response:
            assert 100 <= response.status <= 999
            while await response.read():
                pass
    await client.aclose()


async def _nobody(_host: str, _port: int) -> list[str]:
    return []


_TRUST: Final = ssl.create_default_context()
_LOOP: Final = asyncio.new_event_loop()
TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "values": values,
    "toml": toml,
    "events": events,
    "saved_logs": saved_logs,
    "replay": replay,
    "wit": wit,
    "authorities": authorities,
    "http": http,
}
