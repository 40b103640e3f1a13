import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obelisk_config import check_listeners, draft, load
from obelisk_config.tokens import RANDOM_BYTES, is_token, new_token, sha256_of

FILE = Path("/etc/obelisk/obelisk.toml")
HASH = "0" * 64


def table(name: str = "ci", more: str = "", sha256: str = HASH) -> str:
    return f"[[token]]\nname = '{name}'\nrole = 'read'\nsha256 = '{sha256}'\n{more}\n"


def codes(text: str) -> list[str]:
    return [one.code for one in draft(text.encode(), FILE).diagnostics]


@given(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_every_token_that_can_be_made_has_the_form_and_no_other_bytes(drawn: bytes) -> None:
    token = new_token(lambda _: drawn)
    assert is_token(token)
    assert len(token) == 44
    assert new_token(lambda _: drawn[::-1]) != token or drawn[::-1] == drawn


@given(st.integers(4, 43), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_token_with_another_character_is_none(place: int, character: str) -> None:
    token = new_token(os.urandom)
    changed = token[:place] + character + token[place + 1 :]
    assert is_token(changed) == (changed == token)


@pytest.mark.parametrize("text", ["", "obk_", "password", "obk_" + "a" * 40, "obk_" + "1" * 40, "obk_" + "\u00e9" * 40])
def test_what_is_no_token_is_told_from_one(text: str) -> None:
    assert not is_token(text)


def test_the_manifest_has_the_plain_sha256() -> None:
    assert sha256_of("obk_x") == hashlib.sha256(b"obk_x").hexdigest()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2027-01-31T00:00:00Z", "2027-01-31T00:00:00+00:00"),
        ("2027-01-31 01:00:00.5+01:00", "2027-01-31T01:00:00.500000+01:00"),
        ("'2027-01-31T00:00:00Z'", "2027-01-31T00:00:00+00:00"),
    ],
)
def test_a_token_expires_when_toml_or_a_text_says(written: str, read: str) -> None:
    (token,) = load(table(more=f"expires = {written}").encode(), FILE).tokens
    assert token.expires is not None
    assert token.expires.isoformat() == read


@pytest.mark.parametrize("written", ["2027-01-31T00:00:00", "'tomorrow'", "'2027-01-31'", "''"])
def test_a_time_without_its_offset_is_refused(written: str) -> None:
    assert codes(table(more=f"expires = {written}")) == ["bad_time"]


def test_two_tokens_may_share_neither_a_name_nor_a_hash() -> None:
    assert codes(table() + table(sha256="1" * 64)) == ["duplicate_name"]
    assert codes(table() + table("other")) == ["duplicate_token"]


def test_what_may_be_a_token_is_not_repeated_in_an_error() -> None:
    token = new_token(os.urandom)
    for text in (table(sha256=token), table(more=f"token = '{token}'"), table(more=f"sha512 = '{token}'")):
        found = draft(text.encode(), FILE).diagnostics
        assert found
        assert all(token not in one.render() for one in found)


TCP = "[daemon]\nlisten = ['unix:a', '127.0.0.1:1']\n"


def test_a_tcp_listener_needs_a_token_except_on_the_loopback_with_dev() -> None:
    without, with_one = (load(text.encode(), FILE) for text in (TCP, TCP + table()))
    (found,) = check_listeners(without)
    assert (found.code, found.span.line, found.span.column) == ("listen_without_token", 2, 21)
    assert "obelisk-ctl token new" in found.hint
    (warning,) = check_listeners(without, dev=True)
    assert (warning.code, warning.severity) == ("open_listener", "warning")
    assert check_listeners(with_one, dev=True) == ()
    assert check_listeners(with_one) == ()
    assert check_listeners(load(b"", FILE)) == ()
    (given,) = check_listeners(without, given=True)
    assert given.span.line == 1
