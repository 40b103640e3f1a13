"""Streams, without a network."""

import asyncio

import pytest

from obelisk_daemon.wasm.resources import GuestStopped
from obelisk_daemon.wasm.wasi.error_codes import HttpFailure
from obelisk_daemon.wasm.wasi.streams import CHUNK, InputStream, OutputStream, StreamEndedError
from obelisk_daemon.wasm.wasi.tasks import Notice, TaskOwner

pytestmark = pytest.mark.anyio

IN = "io/streams.[method]input-stream."
OUT = "io/streams.[method]output-stream."


class Pipe(InputStream, OutputStream):
    """A stream whose two ends are both in the test."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.end: Exception | None = None
        self.space = CHUNK
        self.changed = Notice()

    def ready(self) -> bool:
        return bool(self.data) or self.end is not None

    async def wait(self) -> None:
        while not self.ready():
            await self.changed.wait()

    def read(self, length: int) -> bytes:
        if not self.data and self.end is not None:
            raise self.end
        given, self.data = self.data[:length], self.data[length:]
        return given

    def room(self) -> int:
        return self.space

    def write(self, data: bytes) -> None:
        self.data += data
        self.changed.wake()


def test_what_a_guest_prints_goes_to_the_sink(guest):
    stdout, stderr = guest.call("cli/stdout.get-stdout"), guest.call("cli/stderr.get-stderr")
    assert guest.call(OUT + "check-write", stdout) == {"ok": CHUNK}
    assert guest.call(OUT + "write", stdout, b"hello") == {"ok": None}
    assert guest.call(OUT + "blocking-write-and-flush", stderr, b"oh") == {"ok": None}
    assert guest.call(OUT + "blocking-flush", stderr) == {"ok": None}
    assert guest.call(OUT + "write-zeroes", stdout, 2) == {"ok": None}
    assert guest.printed == [("stdout", b"hello"), ("stderr", b"oh"), ("stdout", b"\0\0")]


def test_a_huge_run_of_zeroes_stops_the_guest(guest):
    stdout = guest.call("cli/stdout.get-stdout")
    with pytest.raises(GuestStopped, match="zeroes"):
        guest.call(OUT + "write-zeroes", stdout, 1 << 40)


def test_the_standard_input_is_at_its_end(guest):
    stdin = guest.call("cli/stdin.get-stdin")
    for name in ("read", "blocking-read", "skip", "blocking-skip"):
        assert guest.call(IN + name, stdin, 10) == {"err": "closed"}
    assert guest.call("io/poll.[method]pollable.ready", guest.call(IN + "subscribe", stdin)) is True


def test_a_read_gives_what_is_there_and_at_most_one_chunk(guest):
    stream = guest.table.new(Pipe(b"x" * (CHUNK + 5)))
    assert guest.call(IN + "read", stream, 3) == {"ok": b"xxx"}
    assert len(guest.call(IN + "read", stream, 1 << 62)["ok"]) == CHUNK
    assert guest.call(IN + "skip", stream, 9) == {"ok": 2}
    assert guest.call(IN + "read", stream, 9) == {"ok": b""}


async def test_a_blocking_read_waits_for_bytes(guest):
    pipe = Pipe()
    reading = asyncio.create_task(guest.call(IN + "blocking-read", guest.table.new(pipe), 10))
    await asyncio.sleep(0)
    assert not reading.done()
    pipe.write(b"late")
    assert await reading == {"ok": b"late"}


async def test_of_two_streams_a_poll_gives_the_one_that_is_ready(guest):
    silent, loud = Pipe(), Pipe()
    pollables = [guest.call(IN + "subscribe", guest.table.new(pipe)) for pipe in (silent, loud)]
    polling = asyncio.create_task(guest.call("io/poll.poll", pollables))
    await asyncio.sleep(0)
    loud.write(b"x")
    assert await polling == [1]


async def test_a_cancelled_poll_leaves_no_task_behind(guest):
    others = asyncio.all_tasks()
    pollables = [guest.call(IN + "subscribe", guest.table.new(Pipe())) for _ in range(2)]
    polling = asyncio.create_task(guest.call("io/poll.poll", pollables))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks() - others) == 3
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling
    assert asyncio.all_tasks() == others


async def test_a_fault_while_polling_is_raised(guest):
    class Broken(Pipe):
        async def wait(self) -> None:
            raise ZeroDivisionError

    pollables = [guest.call(IN + "subscribe", guest.table.new(pipe)) for pipe in (Broken(), Pipe())]
    with pytest.raises(ZeroDivisionError):
        await guest.wait("io/poll.poll", pollables)


def test_dropping_a_pollable_leaves_its_stream_alone(guest):
    class Droppable(Pipe):
        dropped = False

        def drop(self) -> None:
            self.dropped = True

    pipe = Droppable()
    guest.table.drop(guest.call(IN + "subscribe", guest.table.new(pipe)))
    assert pipe.dropped is False


def test_a_stream_that_failed_says_why(guest):
    pipe = Pipe()
    pipe.end = HttpFailure("HTTP_response_incomplete", "cut off")
    answer = guest.call(IN + "read", guest.table.new(pipe), 10)
    error = answer["err"]["last_operation_failed"]
    assert guest.call("io/error.[method]error.to-debug-string", error) == "HTTP-response-incomplete: cut off"
    assert guest.call("http/types.http-error-code", error) == "HTTP_response_incomplete"


def test_splice_moves_no_more_than_there_is_room_for(guest):
    source, target = Pipe(b"abcdef"), Pipe()
    target.space = 4
    ends = guest.table.new(target), guest.table.new(source)
    assert guest.call(OUT + "splice", *ends, 100) == {"ok": 4}
    assert (source.data, target.data) == (b"ef", b"abcd")


async def test_a_blocking_splice_waits_for_the_source(guest):
    source, target = Pipe(), Pipe(b"ready")
    ends = guest.table.new(target), guest.table.new(source)
    moving = asyncio.create_task(guest.call(OUT + "blocking-splice", *ends, 100))
    await asyncio.sleep(0)
    source.write(b"abc")
    assert await moving == {"ok": 3}


def test_splice_from_a_stream_at_its_end_is_closed(guest):
    source = Pipe()
    source.end = StreamEndedError()
    assert guest.call(OUT + "splice", guest.table.new(Pipe()), guest.table.new(source), 1) == {"err": "closed"}


async def test_an_owner_cancels_and_awaits_its_tasks():
    owner, ended = TaskOwner(), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    owner.start(work(), "work")
    await asyncio.sleep(0)
    assert len(owner) == 1
    await owner.aclose()
    assert (len(owner), ended) == (0, [True])


async def test_an_owner_raises_the_fault_of_a_task():
    owner = TaskOwner()

    async def work() -> None:
        raise ZeroDivisionError

    owner.start(work(), "work")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(ZeroDivisionError):
        await owner.aclose()
