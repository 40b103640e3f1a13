"""Random values: in their range, drawn again alike, and the same hot, unloaded and in both languages."""

import string

import pytest

from tests.integration.host_functions.conftest import Both
from tests.integration.host_functions.programs import SOON, Program, op

pytestmark = [pytest.mark.anyio, pytest.mark.guests]
INTERPRETERS = pytest.mark.parametrize("guest", ["interpreter-python", "interpreter-js"])
TOP = 2**64 - 1
RESTART = op("sleep", when=SOON, hide=True)
"""What makes an unloaded workflow replay all that was before."""
RANGES = [(0, TOP), (0, 1), (TOP - 1, TOP), (2**63 - 1, 2**63 + 1), (5, 6), (0, 2**32), (1, TOP)]


def drawn(run: object, asked: list[Program]) -> list[object]:
    """Give what a program drew, without what made it restart."""
    assert isinstance(run, list)
    return [gave for gave, one in zip(run, asked, strict=True) if one is not RESTART]


@INTERPRETERS
async def test_integers_of_all_ranges_are_in_them_and_recorded(both: Both, guest: str) -> None:
    asked: list[Program] = []
    for low, high in RANGES:
        asked += [op("random-u64", min=low, max=high), op("random-u64-inclusive", min=low, max=high), RESTART]
    run = await both(*asked, guest=guest)
    values = drawn(run.gave, asked)
    for (low, high), exclusive, inclusive in zip(RANGES, values[::2], values[1::2], strict=True):
        assert low <= exclusive < high
        assert low <= inclusive <= high
    recorded = [item for item in run.history if item["type"] == "persist"]
    assert [item["value"] for item in recorded] == values
    assert [item["args"] for item in recorded[:2]] == [[0, TOP - 1], [0, TOP]]


async def test_the_whole_range_is_drawn_from(both: Both) -> None:
    """Of 64 draws, one bit is never set with a chance of 2**-64, and the seed is always 0."""
    asked = [op("random-u64-inclusive", min=0, max=TOP)] * 64
    values = (await both(*asked, RESTART)).gave[:64]
    assert len(set(values)) == 64
    together = 0
    for value in values:
        together |= value
    assert together == TOP


@INTERPRETERS
async def test_strings_are_as_long_as_asked_of_letters_and_digits(both: Both, guest: str) -> None:
    lengths = [(0, 1), (1, 2), (8, 9), (0, 40), (2**16 - 2, 2**16 - 1)]
    asked = [op("random-string", min=low, max=high) for low, high in lengths]
    texts = drawn((await both(*asked, RESTART, *asked, guest=guest)).gave, [*asked, RESTART, *asked])
    for (low, high), text in zip(lengths * 2, texts, strict=True):
        assert low <= len(text) < high
        assert set(text) <= set(string.ascii_letters + string.digits)
    assert texts[2] != texts[7]


@INTERPRETERS
async def test_what_wasi_and_the_language_draw_is_the_same_in_every_replay(both: Both, guest: str) -> None:
    draws = [op("wasi-random", bytes=16), op("language-random")]
    asked = [*draws, RESTART, *draws, op("random-u64", min=0, max=TOP), RESTART, *draws]
    values = drawn((await both(*asked, guest=guest)).gave, asked)
    assert len({str(value) for value in values}) == len(values)


async def test_what_wasi_draws_does_not_shift_what_the_host_draws(both: Both, tmp_path) -> None:
    draw = op("random-u64", min=0, max=TOP)
    run = await both(op("wasi-random", bytes=1_000), draw)
    alone = [item["value"] for item in run.history if item["type"] == "persist"]
    for directory in ("hot", "unload"):
        (tmp_path / directory).rename(tmp_path / f"{directory}-before")
    assert (await both(draw)).gave == alone
