"""Lines of a workflow's run are handed over with the request that follows them, so that a replay repeats none."""

from obelisk_daemon.clock import Instant
from obelisk_daemon.executor.logs import LogBuffer, in_pieces
from obelisk_daemon.storage.records import LogLine
from tests.fakes.clock import ManualClock


class Guest:
    """Counts what it has asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.replays = False
        self.logs = LogBuffer(ManualClock(), 1_000, is_muted=lambda: self.replays, asked=lambda: self.asked)

    def says(self, message: str) -> None:
        self.logs.line("info", message)

    def recorded(self) -> list[str]:
        return [line.message for line in self.logs.take_recorded()]


def test_lines_are_kept_until_a_request_follows_them() -> None:
    guest = Guest()
    guest.says("one")
    guest.asked += 1
    guest.says("two")
    assert guest.recorded() == ["one"]
    assert guest.recorded() == []
    guest.asked += 1
    guest.says("three")
    assert guest.recorded() == ["two"]
    assert [line.message for line in guest.logs.take()] == ["three"]


def test_what_was_written_to_a_stream_waits_for_a_request_too() -> None:
    guest = Guest()
    guest.logs.output("stdout", b"begun")
    guest.asked += 1
    guest.logs.output("stdout", b" and ended\nnext")
    assert guest.recorded() == []
    guest.asked += 1
    assert guest.recorded() == ["begun and ended"]
    assert [line.message for line in guest.logs.take(flush=True)] == ["next"]


def test_the_end_of_stderr_shows_what_waits_for_a_request() -> None:
    guest = Guest()
    guest.logs.output("stderr", b"one\ntwo\nthr")
    assert guest.logs.tail("stderr", 2) == "two\nthr"


def test_a_replay_adds_no_lines() -> None:
    guest = Guest()
    guest.replays = True
    guest.says("again")
    guest.asked += 1
    assert guest.recorded() == []


def test_text_counts_by_its_bytes_and_what_is_beyond_the_limit_is_told_once() -> None:
    guest = Guest()
    for _ in range(3):
        guest.says("ü" * 100)  # 200 bytes, and 256 for the line
    guest.says("more")
    assert [line.message for line in guest.logs.take()] == [
        "ü" * 100,
        "ü" * 100,
        "the limit of 1000 bytes of logs is reached: the rest is dropped",
    ]


def test_empty_lines_count_too() -> None:
    guest = Guest()
    guest.logs.output("stdout", b"\n" * 4_000)
    guest.logs.output("stdout", b"\n" * 4_000)
    assert len(guest.logs.take(flush=True)) == 4


def lines(count: int, length: int = 1) -> tuple[LogLine, ...]:
    return tuple(LogLine(Instant(number), "info", "x" * length) for number in range(count))


def test_lines_are_divided_in_order_and_none_is_left_out() -> None:
    many = lines(600)
    pieces = in_pieces(many)
    assert [len(piece) for piece in pieces] == [250, 250, 100]
    assert tuple(line for piece in pieces for line in piece) == many


def test_long_lines_are_fewer_in_a_piece() -> None:
    assert [len(piece) for piece in in_pieces(lines(12, 16_384))] == [5, 5, 2]


def test_a_few_lines_are_one_piece_and_so_is_none() -> None:
    assert in_pieces(()) == [()]
    assert in_pieces(lines(250)) == [lines(250)]
