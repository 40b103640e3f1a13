"""A value that nothing shows, and which values may be one."""

import copy
import json
import pickle
from dataclasses import asdict, dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obelisk_daemon.wasm.wasi.http_fields import HeaderError, check_value
from obelisk_daemon.wasm.wasi.secret import MAX_BYTES, BadSecretError, Secret, without_line_end

VALUE = "s3cr3t-value-0001"


class Plan(msgspec.Struct):
    secrets: tuple[Secret, ...]


@dataclass
class Held:
    secret: Secret


@pytest.fixture
def secret() -> Secret:
    return Secret("api-key", "API_KEY", VALUE.encode())


def test_its_text_in_every_form_has_the_name_only(secret):
    held = [secret, (secret,), {"a": secret}, Plan((secret,)), Held(secret)]
    texts = [*map(repr, held), *map(str, held), f"{secret}"]
    assert all(VALUE not in text and "Secret('api-key')" in text for text in texts)


@pytest.mark.parametrize("write", [msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins, json.dumps])
def test_no_encoder_writes_it(secret, write):
    for one in (secret, [secret], {"a": secret}, Plan((secret,))):
        with pytest.raises(TypeError) as refused:
            write(one)
        assert VALUE not in str(refused.value)


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy, lambda one: asdict(Held(one)), vars])
def test_it_is_not_copied_or_taken_apart(secret, take):
    with pytest.raises(TypeError):
        take(secret)


def test_an_error_that_carries_it_shows_nothing(secret):
    assert VALUE not in repr(ValueError("bad", secret))


def test_it_is_revealed_to_who_asks(secret):
    assert secret.reveal() == VALUE.encode()


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (b"", "is empty"),
        (b"x" * (MAX_BYTES + 1), "has more than 8 KiB"),
        (b"zzz\nzzz", "has several lines"),
        (b"zzz\r", "has several lines"),
        (b"zzz\0zzz", "has several lines, or another control character"),
        (b"zzz\x7f", "control character"),
        (b" zzz", "begins or ends with a space"),
        (b"zzz\t", "begins or ends with a space"),
    ],
)
def test_a_value_that_no_header_may_have_is_refused_and_not_shown(value, complaint):
    with pytest.raises(BadSecretError, match=complaint) as refused:
        Secret("api-key", "API_KEY", value)
    assert "z" not in str(refused.value)


@pytest.mark.parametrize("value", [b"x", b"x" * MAX_BYTES, b"two words\tthree", "größe".encode(), b"\xff\x80"])
def test_a_value_may_be_any_line_of_1_byte_to_8_kib(value):
    assert Secret("api-key", "API_KEY", value).reveal() == value


@given(st.binary(max_size=40))
def test_a_value_is_what_a_header_may_have_and_not_empty(value):
    def accepts(check, error):
        try:
            check()
        except error:
            return False
        return True

    is_secret = accepts(lambda: Secret("n", "N", value), BadSecretError)
    assert is_secret == (bool(value) and accepts(lambda: check_value(value), HeaderError))


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"a\n", b"a"), (b"a\r\n", b"a"), (b"a\n\n", b"a\n"), (b"a", b"a"), (b"\n", b""), (b"a\r", b"a\r"), (b"", b"")],
)
def test_one_line_end_is_taken_off(data, value):
    assert without_line_end(data) == value
