"""Several daemons on one store: each runs what the active generation lets it, and they share the rest."""

import asyncio
from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from obelisk_daemon.execution.events import Locked
from obelisk_daemon.ids import ExecutionId
from tests.building import OK
from tests.conftest import places  # noqa: F401 - on both kinds of databases
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.uses import FIBO, Use

pytestmark = pytest.mark.anyio
FIBONACCI = "testing:fibo/fibo.fibo"
NEWER_CODE = msgspec.structs.replace(FIBO, name="fibo-activity+1", component="fibo-activity")
OTHER_SETTINGS = msgspec.structs.replace(FIBO, timeout=timedelta(seconds=7))


async def shares(daemon: Daemon, ids: list[ExecutionId]) -> Counter[str]:
    """Wait for results, and count the runs of each executor."""
    runs: Counter[str] = Counter()
    for execution in ids:
        assert await daemon.result(execution) == OK
        runs.update(e.event.executor_id for e in await daemon.log(execution) if isinstance(e.event, Locked))
    return runs


async def submitted(daemon: Daemon, first: int, labels: tuple[str, ...] = ()) -> list[ExecutionId]:
    """Submit them all at once: more than one daemon has slots for."""
    numbers = range(first, first + 1_000)
    return await asyncio.gather(*[daemon.submit(FIBONACCI, 10, number=n, labels=labels) for n in numbers])


@pytest.mark.parametrize("changed", [NEWER_CODE, OTHER_SETTINGS], ids=["code", "settings"])
async def test_of_two_daemons_the_outdated_one_runs_nothing_that_changed_until_it_follows(
    lab: Lab, changed: Use
) -> None:
    async with lab.daemon(FIBO, max_running=10) as newer, lab.daemon(beside=newer, max_running=10) as outdated:
        (mine,), (its,) = ([one.services.executor_id for one in daemon.members] for daemon in (newer, outdated))
        await newer.adopt(changed)
        assert await shares(newer, await submitted(outdated, 1)) == {mine: 1_000}
        outdated.follow(newer)
        both = await shares(newer, await submitted(newer, 1_001))
        assert both.total() == 1_000
        assert min(both[mine], both[its]) >= 200


async def test_what_did_not_change_is_shared_also_by_an_outdated_daemon(lab: Lab) -> None:
    sleeper = Use("sleeper")
    async with lab.daemon(FIBO, sleeper, max_running=10) as newer, lab.daemon(beside=newer, max_running=10) as outdated:
        await newer.adopt(FIBO, msgspec.structs.replace(sleeper, timeout=timedelta(seconds=7)))
        both = await shares(newer, await submitted(newer, 1))
        assert min(both[daemon.members[0].services.executor_id] for daemon in (newer, outdated)) >= 200
        assert outdated.services.plan.generation == 1


async def test_labels_bring_work_to_the_daemon_that_offers_them(lab: Lab) -> None:
    slots = {"default": (("gpu",), 10)}
    async with lab.daemon(FIBO, max_running=10) as plain, lab.daemon(beside=plain, slots=slots) as gpu:
        (its,) = [one.services.executor_id for one in gpu.members]
        assert await shares(plain, await submitted(plain, 1, ("gpu",))) == {its: 1_000}
