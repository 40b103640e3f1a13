"""Random bytes by the page: each is given once."""

from obelisk_daemon.supervisor.making import RandomBytes


class Counting:
    """Gives 0, 1, 2, ... and notes how many were asked for."""

    def __init__(self) -> None:
        self.next = 0
        self.asked: list[int] = []

    def __call__(self, number: int) -> bytes:
        self.asked.append(number)
        given = bytes((self.next + i) % 256 for i in range(number))
        self.next += number
        return given


def test_small_draws_share_a_page_and_repeat_no_byte() -> None:
    source = Counting()
    drawn = RandomBytes(source, page=16)
    assert [drawn(5), drawn(5), drawn(5)] == [bytes(range(5)), bytes(range(5, 10)), bytes(range(10, 15))]
    assert source.asked == [16]


def test_a_draw_that_the_rest_of_the_page_is_too_short_for_gets_a_new_page() -> None:
    drawn = RandomBytes(Counting(), page=8)
    assert (drawn(6), drawn(6)) == (bytes(range(6)), bytes(range(8, 14)))


def test_a_draw_longer_than_a_page_comes_from_the_source() -> None:
    source = Counting()
    assert RandomBytes(source, page=4)(9) == bytes(range(9))
    assert source.asked == [9]
