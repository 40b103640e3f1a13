"""Placeholders become values where they may, and values placeholders again."""

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obelisk_daemon.wasm.wasi.http_fields import check_value
from obelisk_daemon.wasm.wasi.placeholders import NO_SECRETS, MisplacedSecretError, Placeholders
from obelisk_daemon.wasm.wasi.secret import Secret

KEY = Secret("api-key", "API_KEY", b"s3cr3t-value-0001")
OTHER = Secret("other", "OTHER", b"s3cr3t-value-0002")
PIN = Secret("pin", "PIN", b"1234567")


def placeholders(*secrets: Secret) -> Placeholders:
    return Placeholders(secrets or (KEY,), lambda size: b"\xab" * size)


def in_guest(one: Placeholders, secret: Secret = KEY) -> bytes:
    return one.environ[secret.variable].encode()


def filled(one: Placeholders, value: bytes, *, name: bytes = b"x", allowed=("api-key", "other", "pin")) -> bytes:
    ((_, sent),) = one.put_in([(name, value)], b"/", allowed).headers
    return sent


def basic(user: str, password: bytes) -> bytes:
    return b"Basic " + base64.b64encode(user.encode() + b":" + password)


def test_a_guest_finds_a_placeholder_of_fixed_form_under_the_name_of_the_secret():
    assert placeholders().environ == {"API_KEY": f"obelisk-secret-api-key-{'ab' * 16}"}


def test_each_attempt_has_placeholders_of_its_own():
    first, second = (Placeholders((KEY,), os.urandom) for _ in range(2))
    assert in_guest(first) != in_guest(second)
    assert filled(second, in_guest(first)) == in_guest(first)


def test_without_secrets_nothing_is_asked_of_the_random_source_and_nothing_is_changed():
    def refuse(_size: int) -> bytes:
        raise AssertionError

    for none in (NO_SECRETS, Placeholders((), refuse)):
        assert none.environ == {}
        carried = none.put_in([(b"x", b"y")], b"/", ())
        assert carried.headers == [(b"x", b"y")]
        assert carried.hide([(b"x", b"y")]) == [(b"x", b"y")]
        assert not carried.is_secret


def test_every_occurrence_in_a_value_is_replaced_whatever_the_header():
    one = placeholders(KEY, OTHER)
    key, other = in_guest(one), in_guest(one, OTHER)
    assert filled(one, b"Bearer " + key) == b"Bearer " + KEY.reveal()
    assert filled(one, key + key + b"," + other) == KEY.reveal() * 2 + b"," + OTHER.reveal()
    assert filled(one, b"a=" + key, name=b"cookie") == b"a=" + KEY.reveal()


def test_a_placeholder_that_ends_as_another_one_is_not_taken_for_that():
    inner = Secret("b", "B", b"inner")
    outer = Secret("a-obelisk-secret-b", "A", b"outer")
    for order in ((inner, outer), (outer, inner)):
        one = placeholders(*order)
        assert in_guest(one, outer).endswith(in_guest(one, inner))
        assert filled(one, in_guest(one, outer), allowed=("b", outer.name)) == b"outer"
        assert filled(one, in_guest(one, inner), allowed=("b", outer.name)) == b"inner"


def test_a_receiver_that_may_not_have_the_secret_gets_no_request():
    one = placeholders(KEY, OTHER)
    with pytest.raises(MisplacedSecretError) as refused:
        filled(one, b"Bearer " + in_guest(one), name=b"authorization", allowed=("other",))
    assert str(refused.value) == (
        'the placeholder of the secret "api-key" is in the header authorization, '
        "and no entry of allowed_hosts that matches the request names this secret"
    )
    assert filled(one, in_guest(one, OTHER), allowed=("other",)) == OTHER.reveal()


def test_a_url_with_a_placeholder_is_refused_also_where_the_secret_may_go():
    one = placeholders()
    with pytest.raises(MisplacedSecretError, match=r'"api-key" is in the URL, and secrets go into headers only'):
        one.put_in([], b"/?key=" + in_guest(one), ("api-key",))


@pytest.mark.parametrize("scheme", [b"Basic ", b"basic ", b"BASIC  "])
def test_basic_authentication_is_taken_apart_and_put_together_again(scheme):
    one = placeholders()
    sent = filled(one, scheme + base64.b64encode(b"me:" + in_guest(one)), name=b"Authorization")
    assert sent == scheme + base64.b64encode(b"me:" + KEY.reveal())


def test_basic_authentication_may_have_a_secret_on_both_sides():
    one = placeholders(KEY, OTHER)
    sent = filled(one, basic(in_guest(one).decode(), in_guest(one, OTHER)), name=b"authorization")
    assert sent == basic(KEY.reveal().decode(), OTHER.reveal())


def test_basic_authentication_for_a_receiver_that_may_not_have_the_secret_is_refused():
    one = placeholders()
    with pytest.raises(MisplacedSecretError, match="in the header authorization"):
        filled(one, basic("me", in_guest(one)), name=b"authorization", allowed=())


@pytest.mark.parametrize(
    "value", [b"Basic me:secret", b"Basic YQ", b"Basic YQ==", b"Basic", b"Basic =", b"Bearer YQ=="]
)
def test_what_is_no_basic_authentication_with_a_placeholder_is_left_as_it_is(value):
    assert filled(placeholders(), value, name=b"authorization") == value


def test_base64_in_another_header_is_left_as_it_is():
    one = placeholders()
    value = basic("me", in_guest(one))
    assert filled(one, value, name=b"x-authorization") == value


def hidden(one: Placeholders, headers, *sent: tuple[bytes, bytes]):
    return one.put_in(list(sent), b"/", ("api-key", "other", "pin")).hide(headers)


def test_a_value_that_comes_back_in_a_header_is_a_placeholder_again():
    one = placeholders(KEY, OTHER)
    got = [(b"set-cookie", b"a=" + KEY.reveal() + b"; path=/"), (b"x", OTHER.reveal())]
    assert hidden(one, got) == [(b"set-cookie", b"a=" + in_guest(one) + b"; path=/"), (b"x", in_guest(one, OTHER))]


def test_basic_authentication_that_comes_back_is_what_the_guest_wrote():
    one = placeholders()
    given = basic("me", in_guest(one))
    carried = one.put_in([(b"authorization", given)], b"/", ("api-key",))
    assert carried.headers != [(b"authorization", given)]
    assert carried.hide([(b"x-echo", carried.headers[0][1])]) == [(b"x-echo", given)]
    masking = carried.masking()
    shown = masking.feed(b'{"authorization": "' + carried.headers[0][1] + b'"}') + masking.finish()
    assert shown == b'{"authorization": "Basic ' + b"*" * len(basic("me", KEY.reveal())[6:]) + b'"}'


def test_a_value_that_comes_back_in_a_body_is_masked_also_when_this_request_did_not_carry_it():
    one = placeholders()
    masking = one.put_in([], b"/", ()).masking()
    assert masking.feed(b"<" + KEY.reveal() + b">") + masking.finish() == b"<" + b"*" * 17 + b">"


def test_a_value_too_short_to_be_told_from_other_text_is_not_hidden():
    one = placeholders(PIN)
    carried = one.put_in([], b"/", ())
    assert carried.hide([(b"x", b"1234567890")]) == [(b"x", b"1234567890")]
    assert carried.masking().feed(b"1234567890") == b"1234567890"
    assert carried.is_secret


def is_value(data: bytes) -> bool:
    try:
        Secret("n", "N", data)
    except ValueError:
        return False
    return True


values = st.binary(min_size=1, max_size=30).filter(is_value)


@given(values, st.binary(max_size=20), st.binary(max_size=20))
def test_a_value_is_put_in_between_any_other_bytes_and_the_header_stays_one(value, before, after):
    before, after = (bytes(33 + byte % 90 for byte in text) for text in (before, after))
    secret = Secret("api-key", "API_KEY", value)
    one = placeholders(secret)
    sent = filled(one, before + in_guest(one, secret) + after)
    assert sent == before + value + after
    check_value(sent)


@given(values.filter(lambda value: len(value) >= 8), st.booleans())
def test_what_a_request_carries_is_in_nothing_that_is_shown_of_an_echo(value, in_basic):
    secret = Secret("api-key", "API_KEY", value)
    one = placeholders(secret)
    written = basic("me", in_guest(one, secret)) if in_basic else in_guest(one, secret)
    carried = one.put_in([(b"authorization", written)], b"/", ("api-key",))
    ((_, sent),) = carried.headers
    assert carried.hide(carried.headers) == [(b"authorization", written)]
    masking = carried.masking()
    body = b"".join([*(masking.feed(bytes([byte])) for byte in sent), masking.finish()])
    assert len(body) == len(sent)
    assert sent[6:] not in body
    assert value not in body
