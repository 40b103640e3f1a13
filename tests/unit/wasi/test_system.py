"""Environment, clocks, random numbers, and what is refused."""

import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.wasm.resources import GuestStopped
from obelisk_daemon.wasm.wasi import resolve
from obelisk_daemon.wasm.wasi.clocks import ActivityClock

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("version", ["0.2.0", "0.2.3", "0.2.12"])
def test_any_patch_of_wasi_0_2_is_served(version):
    assert resolve(f"wasi:clocks/wall-clock@{version}", "now") is not None


@pytest.mark.parametrize(
    "interface",
    [
        "wasi:clocks/wall-clock@0.3.0",
        "wasi:clocks/wall-clock",
        "wasi:clocks/wall-clock@0.2",
        "other:clocks/wall-clock@0.2.0",
    ],
)
def test_other_versions_and_other_packages_are_not_served(interface):
    assert resolve(interface, "now") is None


def test_a_guest_sees_its_environment_and_arguments(guest):
    guest.wasi.environ = {"REGION": "eu", "EMPTY": ""}
    guest.wasi.args = ("main", "x")
    assert guest.call("cli/environment.get-environment") == [["REGION", "eu"], ["EMPTY", ""]]
    assert guest.call("cli/environment.get-arguments") == ["main", "x"]
    assert guest.call("cli/environment.initial-cwd") is None


def test_there_is_no_terminal(guest):
    for name in ("stdin", "stdout", "stderr"):
        assert guest.call(f"cli/terminal-{name}.get-terminal-{name}") is None


def test_exit_stops_the_guest_and_says_how(guest):
    for name, argument, said in (
        ("exit", {"ok": None}, "success"),
        ("exit", {"err": None}, "failure"),
        ("exit-with-code", 3, "status 3"),
    ):
        with pytest.raises(GuestStopped, match=said) as stopped:
            guest.call(f"cli/exit.{name}", argument)
        assert stopped.value.kind == "exit"


def test_the_wall_clock_is_the_contexts(guest):
    assert guest.call("clocks/wall-clock.now") == {"seconds": 1_700_000_000, "nanoseconds": 123_456_789}
    assert guest.call("clocks/wall-clock.resolution") == {"seconds": 0, "nanoseconds": 1_000}


async def test_a_timer_of_an_activity_waits_for_the_clock(guest):
    timer = guest.call("clocks/monotonic-clock.subscribe-duration", 1_000)
    assert not guest.call("io/poll.[method]pollable.ready", timer)
    await guest.wait("io/poll.[method]pollable.block", timer)
    assert guest.clock.slept == [6_000]
    assert guest.call("io/poll.[method]pollable.ready", timer)


async def test_of_two_timers_the_earlier_one_wakes_the_guest(guest):
    late = guest.call("clocks/monotonic-clock.subscribe-instant", 9_000)
    past = guest.call("clocks/monotonic-clock.subscribe-instant", 1_000)
    assert await guest.wait("io/poll.poll", [late, past]) == [1]
    assert guest.clock.slept == []


def test_when_time_stands_still_a_timer_is_ready_at_once_and_moves_the_monotonic_clock(guest):
    guest.wasi.time_stands_still = True
    timer = guest.call("clocks/monotonic-clock.subscribe-duration", 1_000)
    assert guest.call("io/poll.[method]pollable.block", timer) is None
    assert guest.call("clocks/monotonic-clock.now") == 6_000
    assert guest.clock.slept == []


def test_when_time_stands_still_timers_come_in_their_order(guest):
    guest.wasi.time_stands_still = True
    late = guest.call("clocks/monotonic-clock.subscribe-duration", 2_000)
    early = guest.call("clocks/monotonic-clock.subscribe-duration", 1_000)
    assert guest.call("io/poll.poll", [late, early]) == [1]
    assert guest.call("io/poll.poll", [late]) == [0]
    assert guest.call("clocks/monotonic-clock.now") == 7_000


def test_when_time_stands_still_a_guest_that_asks_again_and_again_gets_its_timer(guest):
    guest.wasi.time_stands_still = True
    timer = guest.call("clocks/monotonic-clock.subscribe-duration", 10**12)
    assert guest.call("io/poll.[method]pollable.ready", timer) is True


def test_when_time_stands_still_a_wait_for_ever_ends_with_a_clock_that_fits_64_bits(guest):
    guest.wasi.time_stands_still = True
    for _ in range(3):
        timer = guest.call("clocks/monotonic-clock.subscribe-duration", (1 << 64) - 1)
        assert guest.call("io/poll.poll", [timer]) == [0]
    assert guest.call("clocks/monotonic-clock.now") < 1 << 64


def test_when_time_stands_still_the_wall_clock_stays_with_the_log(guest):
    guest.wasi.time_stands_still = True
    before = guest.call("clocks/wall-clock.now")
    guest.call("io/poll.poll", [guest.call("clocks/monotonic-clock.subscribe-duration", 10**10)])
    assert guest.call("clocks/wall-clock.now") == before


def test_polling_nothing_stops_the_guest(guest):
    with pytest.raises(GuestStopped, match="empty list"):
        guest.call("io/poll.poll", [])


async def test_the_clock_of_activities_sleeps_until_its_own_clock_says_so():
    class Clock:
        readings = iter([1.0, 1.0, 1.0009, 1.002, 1.002])

        def now(self) -> Instant:
            return Instant(7)

        def monotonic(self) -> float:
            return next(self.readings)

    clock = ActivityClock(Clock())
    assert clock.wall_ns() == 7_000
    assert clock.monotonic_ns() == 1_000_000_000
    await clock.sleep_until(1_001_000_000)
    assert next(Clock.readings) == 1.002


def test_all_random_numbers_come_from_the_one_source(guest):
    assert guest.call("random/random.get-random-bytes", 3) == b"\1\2\3"
    assert guest.call("random/insecure.get-insecure-random-bytes", 2) == b"\4\5"
    assert guest.call("random/random.get-random-u64") == int.from_bytes(bytes(range(6, 14)), "little")
    assert guest.call("random/insecure.get-insecure-random-u64") == int.from_bytes(bytes(range(14, 22)), "little")
    assert len(guest.call("random/insecure-seed.insecure-seed")) == 2


def test_too_many_random_bytes_at_once_stop_the_guest(guest):
    with pytest.raises(GuestStopped, match="is the limit"):
        guest.call("random/random.get-random-bytes", 1 << 40)


def test_there_are_no_files(guest):
    assert guest.call("filesystem/preopens.get-directories") == []
    assert guest.call("filesystem/types.filesystem-error-code", 1) is None


def test_sockets_are_refused(guest):
    network = guest.call("sockets/instance-network.instance-network")
    assert guest.call("sockets/tcp-create-socket.create-tcp-socket", "ipv4") == {"err": "access_denied"}
    assert guest.call("sockets/udp-create-socket.create-udp-socket", "ipv6") == {"err": "access_denied"}
    assert guest.call("sockets/ip-name-lookup.resolve-addresses", network, "a.test") == {"err": "access_denied"}
