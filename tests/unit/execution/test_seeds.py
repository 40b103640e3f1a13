"""What a workflow sees as randomness is a function of its seed."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obelisk_daemon.execution.seeds import SeededBytes


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert SeededBytes(7, "wasi").take(1_000) == SeededBytes(7, "wasi").take(1_000)


def test_the_bytes_never_change_with_a_release() -> None:
    """Running workflows would see other values when they are replayed."""
    assert SeededBytes(7, "wasi").take(8).hex() == "8adc22add6338d73"
    assert SeededBytes(7, "host").take(8).hex() == "2702fad99427bcdf"
    source = SeededBytes(7, "wasi")
    assert source.take(200)[60:72].hex() == "6fd5336f1fe69f147d755bef"  # over the end of a block
    assert source.take(8).hex() == "99d845c41841a4fe"


def test_the_numbers_never_change_with_a_release() -> None:
    source = SeededBytes(7, "host")
    drawn = [source.below(bound) for bound in (1, 2, 3, 10, 256, 257, 1_000, 2**32, 2**63 + 1, 2**64)]
    assert drawn == [0, 0, 2, 8, 253, 56, 980, 1653314710, 8737984011580618020, 2561848285145723733]


@pytest.mark.parametrize("other", [SeededBytes(8, "wasi"), SeededBytes(7, "host"), SeededBytes(7 << 8, "wasi")])
def test_another_seed_or_stream_gives_other_bytes(other: SeededBytes) -> None:
    assert other.take(16) != SeededBytes(7, "wasi").take(16)


@given(st.lists(st.integers(0, 200), max_size=20))
def test_how_it_is_cut_makes_no_difference(sizes: list[int]) -> None:
    source = SeededBytes(2**64 - 1, "wasi")
    assert b"".join(source.take(size) for size in sizes) == SeededBytes(2**64 - 1, "wasi").take(sum(sizes))


@given(st.integers(1, 2**64), st.integers(0, 2**64 - 1))
def test_a_number_is_below_its_bound(bound: int, seed: int) -> None:
    assert 0 <= SeededBytes(seed, "host").below(bound) < bound


@pytest.mark.parametrize("bound", [1, 2, 3, 5, 6])
def test_every_number_below_the_bound_is_about_as_likely(bound: int) -> None:
    source = SeededBytes(1, "host")
    counts = Counter(source.below(bound) for _ in range(bound * 500))
    assert set(counts) == set(range(bound))
    assert max(counts.values()) < 1.3 * min(counts.values())
