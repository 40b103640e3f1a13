"""Ids sort by the time they were made, never repeat, and are read strictly."""

import random
from datetime import timedelta

import pytest

from obelisk_daemon.errors import CallerError
from obelisk_daemon.ids import (
    ExecutionId,
    IdSource,
    child_id,
    delay_id,
    encode_ulid,
    owner_of,
    parse_delay_id,
    parse_execution_id,
    parse_submitted_id,
)
from tests.fakes.clock import ManualClock

ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
PARENT = ExecutionId(f"E_{ULID}")


def source(clock: ManualClock) -> IdSource:
    return IdSource(lambda: clock.now() // 1_000, random.Random(1).getrandbits)


def test_a_ulid_has_ten_characters_of_time_and_sixteen_of_randomness() -> None:
    assert encode_ulid(0, 0) == "0" * 26
    assert encode_ulid((1 << 48) - 1, (1 << 80) - 1) == "7" + "Z" * 25
    assert encode_ulid(1469918176385, 0)[:10] == "01ARYZ6S41"  # the example of the ULID specification


def test_ids_sort_by_the_time_they_were_made() -> None:
    clock = ManualClock()
    ids = source(clock)
    made = []
    for _ in range(50):
        made.append(ids.ulid())
        clock.advance(timedelta(milliseconds=1))
    assert made == sorted(made)


def test_ids_of_one_millisecond_still_increase() -> None:
    ids = source(ManualClock())
    made = [ids.ulid() for _ in range(1_000)]
    assert made == sorted(set(made))
    assert len({ulid[:10] for ulid in made}) == 1


def test_ids_of_one_millisecond_count_up_over_the_end_of_their_last_characters() -> None:
    ids = IdSource(lambda: 5, lambda _: 1_021)
    assert [ids.ulid() for _ in range(5)] == [encode_ulid(5, 1_021 + more) for more in range(5)]


def test_ids_increase_after_the_clock_went_back() -> None:
    clock = ManualClock()
    ids = source(clock)
    first = ids.ulid()
    clock.advance(timedelta(days=-1))
    second = ids.ulid()
    clock.advance(timedelta(days=2))
    assert first < second < ids.ulid()


def test_ids_of_one_millisecond_never_run_out_of_random_bits() -> None:
    ids = IdSource(lambda: 5, lambda bits: (1 << bits) - 1)
    made = [ids.ulid() for _ in range(3)]
    assert made == sorted(set(made))


def test_every_kind_of_id_has_its_prefix() -> None:
    ids = source(ManualClock())
    made = (ids.execution(), ids.executor(), ids.run(), ids.failure())
    assert [one.partition("_")[0] for one in made] == ["E", "Exr", "Run", "Err"]
    assert all(len(one.partition("_")[2]) == 26 for one in made)


def test_what_is_made_can_be_read() -> None:
    ids = source(ManualClock())
    top = ids.execution()
    assert parse_submitted_id(top) == top
    assert parse_execution_id(child_id(child_id(top, "o:1", 1), "n:a-b_c", 20)) == f"{top}.o:1_1.n:a-b_c_20"


def test_a_delay_is_named_after_its_execution() -> None:
    assert delay_id(PARENT, "o:3", 1) == f"Delay_{ULID}.o:3_1"


NO_IDS = [
    "", "E_", ULID, f"Run_{ULID}", f"e_{ULID}", f"E_{ULID.lower()}", f"E_{ULID}A", f"E_{ULID[1:]}", f"E_8{ULID[1:]}",
    f"E_{ULID[:-1]}U", f"E_{ULID}\n", f" E_{ULID}", f"E_{ULID}.", f"E_{ULID}/o:1_1", f"E_{ULID}" + ".o:1_1" * 500,
]  # fmt: skip


@pytest.mark.parametrize("text", [*NO_IDS, f"E_{ULID}.o:1", f"E_{ULID}.x:1_1", f"E_{ULID}.o:_", f"E_{ULID}.o:1_1\n"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(CallerError, match="is not an execution id") as refused:
        parse_execution_id(text)
    assert refused.value.code == "invalid_execution_id"


@pytest.mark.parametrize("text", [*NO_IDS, f"E_{ULID}.o:1_1"])
def test_only_a_top_level_id_can_be_submitted(text: str) -> None:
    with pytest.raises(CallerError, match="can't be submitted") as refused:
        parse_submitted_id(text)
    assert refused.value.code == "invalid_execution_id"


def test_a_refusal_shows_the_beginning_only() -> None:
    with pytest.raises(CallerError) as refused:
        parse_execution_id("x" * 10_000)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("owner", [f"E_{ULID}", f"E_{ULID}.g:1_2", f"E_{ULID}.n:a-b_1.o:12_3"])
def test_the_id_of_a_delay_names_its_owner(owner: str) -> None:
    delay = delay_id(ExecutionId(owner), "o:3-nap", 1)
    assert parse_delay_id(delay) == delay
    assert owner_of(delay) == owner


@pytest.mark.parametrize("text", [*NO_IDS, f"Delay_{ULID}", f"E_{ULID}.o:1_1", f"Delay_{ULID}.o:1_1\n"])
def test_what_is_no_delay_is_refused(text: str) -> None:
    with pytest.raises(CallerError, match="is no delay's id") as refused:
        parse_delay_id(text)
    assert refused.value.code == "invalid_delay_id"
    assert len(str(refused.value)) < 200
