"""Replacing what must not be seen, whole and in parts."""

from hypothesis import given
from hypothesis import strategies as st

from obelisk_daemon.wasm.wasi.replacing import Masking, masked, occurrences, replaced

# Few different bytes, so that strings overlap, contain each other and begin alike.
words = st.binary(min_size=1, max_size=6).map(lambda data: bytes(97 + byte % 2 for byte in data))
wanted = st.sets(words, min_size=1, max_size=4)
parts = st.lists(st.binary(max_size=8).map(lambda data: bytes(97 + byte % 2 for byte in data)), max_size=8)


def test_the_longest_of_those_that_begin_at_one_place_counts():
    assert replaced(b"abcd abx", {b"ab": b"1", b"abc": b"2"}) == b"2d 1x"


def test_what_is_put_in_is_not_looked_at_again():
    assert replaced(b"ab", {b"a": b"b", b"b": b"a"}) == b"ba"


def test_nothing_to_replace_leaves_the_data_as_it_is():
    assert replaced(b"abc", {}) == b"abc"
    assert list(occurrences(b"abc", ())) == []
    assert (Masking().feed(b"abc"), Masking().finish()) == (b"abc", b"")


@given(words, wanted)
def test_occurrences_are_those_that_a_search_from_left_to_right_finds(data, wanted):
    expected, at = [], 0
    while at < len(data):
        fitting = [one for one in wanted if data.startswith(one, at)]
        if fitting:
            expected.append((at, max(fitting, key=len)))
        at += len(expected[-1][1]) if fitting else 1
    assert list(occurrences(data, wanted)) == expected


@given(parts, wanted)
def test_a_body_is_masked_in_parts_as_it_is_as_a_whole(parts, wanted):
    masking = Masking(wanted)
    shown = [masking.feed(part) for part in parts]
    whole = b"".join(parts)
    assert b"".join([*shown, masking.finish()]) == masked(whole, wanted)


@given(parts, wanted)
def test_a_masked_body_has_its_length_and_nothing_that_is_hidden(parts, wanted):
    masking = Masking(wanted)
    shown = b"".join([*map(masking.feed, parts), masking.finish()])
    assert len(shown) == len(b"".join(parts))
    assert not any(one in shown for one in wanted)


@given(parts, wanted)
def test_no_more_is_held_back_than_may_be_the_beginning_of_something_hidden(parts, wanted):
    masking = Masking(wanted)
    given = b"".join(parts)
    held = len(given) - len(b"".join(map(masking.feed, parts)))
    end = given[len(given) - held :]
    assert not held or any(one.startswith(end) and one != end for one in wanted)


def test_a_value_that_comes_byte_by_byte_is_hidden():
    masking = Masking((b"secret",))
    shown = [masking.feed(bytes([byte])) for byte in b"a secret!"]
    assert shown == [b"a", b" ", b"", b"", b"", b"", b"", b"******", b"!"]
