"""Each target, with inputs that hypothesis draws: bytes of any kind, and good inputs with damage."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obelisk_config.example import example
from obelisk_daemon.execution import codec
from tests.fuzz.targets import TARGETS
from tests.unit.execution.test_codec import EXAMPLES
from tests.unit.execution.test_saved_log import saved, written

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
INTERFACE = b"interface c { record r { a-b: option<list<u8>> } f: func(p: r) -> result<string, u64>; }"
GOOD: dict[str, list[bytes]] = {
    "values": [
        b'\x0d\x00\x02[1, 2, 300, -1, 1.0, "a", null, NaN]',
        b'\x10\x01\x0c\x06{"field_0": "a", "field-1": 5}',
        b'\x11\x00\x08{"case_0": 18446744073709551616}',
        b'\x0e\x00\x0e\x00\x09{"some": 1e400}',
        b'\x12\x01\x00\x0b{"ok": true}',
    ],
    "toml": [example().encode(), b'[[activity]]\nname = "a"\npath = "a.wasm"\n', b'[secrets]\nkey = { env = "A" }\n'],
    "events": [codec.encode(event) for event in EXAMPLES],
    "saved_logs": [written(saved())],
    "replay": [
        bytes(range(120)),
        bytes([0, 1, 2, 0, 0, 0, *[6, 0, 1, 9, 0, 0] * 6]),
        bytes([3, 1, 2, 0, 0, 0, *[6, 0, 1, 7, 0, 2, 8, 0, 0, 10, 0, 0] * 4]),
    ],
    "wit": [b"package a:b@1.0.0;\n" + INTERFACE],
    "authorities": [b"example.com:8080", b"[::ffff:127.0.0.1]:80", b"xn--mnchen-3ya.example", "münchen.test.".encode()],
    "http": [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        CHUNKED,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 204 No\r\nx: y\r\n\r\n",
    ],
}
"""Inputs that the targets take."""


@st.composite
def changed(draw: st.DrawFn, target: str) -> bytes:
    """Draw bytes, or a good input with some of its bytes replaced."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200))
    good = draw(st.sampled_from(GOOD[target]))
    start, length = draw(st.integers(0, len(good))), draw(st.integers(0, 20))
    return good[:start] + draw(st.binary(max_size=8)) + good[start + length :]


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_is_given_is_taken_or_refused(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(changed(target)))


@pytest.mark.parametrize("target", TARGETS)
def test_a_good_input_is_taken(target: str) -> None:
    for good in GOOD[target]:
        TARGETS[target](good)


def test_a_target_fails_on_what_it_does_not_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it can find something at all."""
    monkeypatch.setattr("tests.fuzz.targets.draft", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        TARGETS["toml"](b"")
    with pytest.raises(msgspec.DecodeError):
        codec.decode_event(b"\xc1")
