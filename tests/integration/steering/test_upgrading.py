"""Moving workflows of a real daemon to other code: what `why` says before, and what comes of it."""

import json
from pathlib import Path

import pytest

from obelisk_config import Surroundings
from obelisk_daemon.api.engine import catalog_of
from obelisk_daemon.deployment.checking import check
from obelisk_daemon.deployment.planning import Retained, plan_generation
from obelisk_daemon.errors import ConflictError
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.wasm.compile import Compiler
from tests import guests
from tests.fakes.api import execution_id
from tests.fakes.serving import ctl_at
from tests.integration.steering.conftest import Start
from tests.integration.steering.daemon import Daemon
from tests.integration.steering.manifests import interpreter

pytestmark = pytest.mark.anyio
ID = execution_id()
NAP = "testing:sleeper/sleeper.nap"
FIBOA = "testing:fibo/workflow.fiboa"


def manifest(workflow: str, *, labels: tuple[str, ...] = ("gpu",), **settings: object) -> str:
    """The workflow of the name `fibo-workflow` on some code, and its activity, which no executor may run."""
    entry = guests.manifest_entry(workflow, name="fibo-workflow", **settings)
    return guests.manifest_entry("fibo-activity", labels=labels) + entry


async def blocked(start: Start, **settings: object) -> None:
    """Have a workflow wait for its first call, in a life of the daemon that ends then."""
    async with start(manifest("fibo-workflow", **settings)) as daemon:
        await daemon.submit(ID, FIBOA, 10, 3)
        await daemon.until_blocked(ID)


async def upgraded(daemon: Daemon, *arguments: str) -> tuple[int, str]:
    run = await ctl_at(daemon.socket, "upgrade", ID, *arguments)
    return run.code, run.out or run.err


async def test_a_workflow_is_moved_to_code_that_goes_on_with_its_log(start: Start) -> None:
    await blocked(start, on_upgrade="pin")
    changed = guests.digest("fiboa-changed")
    async with start(manifest("fiboa-changed", on_upgrade="pin")) as daemon:
        reasons = await daemon.why(ID)
        stays = next(reason for reason in reasons if reason["code"] == "outdated_code")
        assert guests.digest("fibo-workflow")[:19] in stays["text"]
        assert '`on_upgrade` of component "fibo-workflow" is "pin"' in stays["text"]
        assert stays["commands"][0] == f"obelisk-ctl upgrade {ID}"
        code, told = await upgraded(daemon)
        assert (code, told) == (
            0,
            f"{ID} goes on with {changed}: {told.partition(': blocked')[2].join(['blocked', ''])}",
        )
        assert [reason["code"] for reason in await daemon.why(ID)] == ["waits_for_child", "no_executor_offers"]
        assert await upgraded(daemon) == (0, f"{ID} is on the current code already\n")
    async with start(manifest("fiboa-changed", on_upgrade="pin", labels=())) as daemon:
        assert "ok" in await daemon.result(ID)
        assert (await daemon.show(ID))["component_digest"] == changed
        events = await daemon.events(ID)
        assert [e["type"] for e in events if e["type"] != "history_event"].count("component_upgraded") == 1


async def test_code_that_diverges_is_refused_and_force_leads_to_a_pause_that_why_explains(start: Start) -> None:
    await blocked(start, on_upgrade="pin")
    reordered = guests.digest("fiboa-reordered")
    async with start(manifest("fiboa-reordered", on_upgrade="pin")) as daemon:
        before = await daemon.events(ID)
        status, refused = await daemon.post(f"executions/{ID}/upgrade")
        assert (status, refused["code"]) == (409, "diverges")
        assert "diverges at version 3: expected " in refused["detail"]
        assert ", got " in refused["detail"]
        assert await daemon.events(ID) == before
        assert await upgraded(daemon, "--force") == (0, f"{ID} goes on with {reordered}\n")
        assert (await daemon.events(ID))[-1]["forced"] is True
    async with start(manifest("fiboa-reordered", on_upgrade="pin", labels=())) as daemon:
        await daemon.until(ID, lambda found: bool(found["lifecycle"] == "paused"))
        (reason,) = await daemon.why(ID)
        assert reason["code"] == "paused_automatically"
        assert f"the code {reordered[:19]} does not go on with its log: at version 3: expected " in reason["text"]
        assert reason["commands"][0] == f"obelisk-ctl replay {ID} --component FILE"
    async with start(manifest("fibo-workflow", on_upgrade="pin", labels=())) as daemon:
        reasons = await daemon.why(ID)
        assert reasons[0]["commands"][0] == f"obelisk-ctl upgrade {ID}"
        assert (await upgraded(daemon))[0] == 0
        assert await daemon.result(ID) == {"ok": 55}


async def test_a_workflow_in_memory_leaves_it_and_is_replayed(start: Start) -> None:
    async with start(guests.manifest_entry("sleeper")) as daemon:
        await daemon.submit(ID, NAP, 60_000)
        await daemon.until_blocked(ID)
        assert daemon.executor.hot == 1
        await daemon.engine.upgrade(ID, guests.digest("sleeper"), force=False)
        await daemon.until_blocked(ID)
        (event,) = [one for one in await daemon.events(ID) if one["type"] == "component_upgraded"]
        assert (event["ok"], event.get("forced")) == (True, False)
        assert [reason["code"] for reason in await daemon.why(ID)] == ["waits_for_delay"]
        daemon.advance(minutes=1)
        await daemon.result(ID)
        assert [event["type"] for event in await daemon.events(ID)].count("locked") >= 2


async def test_code_that_is_not_the_current_one_is_refused(start: Start) -> None:
    async with start(guests.manifest_entry("sleeper")) as daemon:
        await daemon.submit(ID, NAP, 60_000)
        await daemon.until_blocked(ID)
        with pytest.raises(ConflictError) as refused:
            await daemon.engine.upgrade(ID, "sha256:" + "00" * 32, force=True)
        assert refused.value.code == "outdated"
        daemon.advance(minutes=1)
        await daemon.result(ID)


async def test_the_catalog_tells_which_older_code_is_here_and_for_which_functions(
    tmp_path: Path, compiler: Compiler
) -> None:
    source = f'[daemon]\nstate_dir = "{tmp_path}"\n{manifest("fiboa-changed", on_upgrade="pin", max_running=3)}'
    candidate = await check(source.encode(), tmp_path / "obelisk.toml", Surroundings(), compiler)
    older = await compiler.load(guests.path("fibo-workflow").read_bytes(), "workflow")
    retained = [Retained("fibo-workflow", older, (Ffqn.parse(FIBOA),))]
    catalog = catalog_of(candidate, plan_generation(candidate, 2, None, retained))
    found = [catalog.find(name) for name in (FIBOA, "testing:fibo/fibo.fibo")]
    assert [(info.older, info.on_upgrade, info.max_running) for info in found] == [
        ((older.digest,), "pin", 3),
        ((), "latest", None),
    ]


@pytest.mark.guests
@pytest.mark.parametrize("paused_before", [False, True])
async def test_a_workflow_that_computes_is_moved_and_runs_on(start: Start, paused_before: bool) -> None:
    async with start(interpreter()) as daemon:
        await daemon.submit(ID, "interpreter.run", json.dumps([{"op": "spin", "iterations": 10**12}]))
        await daemon.until(ID, lambda found: bool(found["state"] == "locked"))
        if paused_before:
            await daemon.post(f"executions/{ID}/pause")
        await daemon.engine.upgrade(ID, guests.digest("interpreter-python"), force=True)
        types = await daemon.types(ID)
        if paused_before:
            assert types[-2:] == ["paused", "component_upgraded"]
            assert (await daemon.show(ID))["lifecycle"] == "paused"
        else:
            assert types[types.index("component_upgraded") - 1 :][:2] == ["unlocked", "component_upgraded"]
            await daemon.until(ID, lambda found: bool(found["state"] == "locked"))


async def test_a_workflow_that_moves_no_more_is_left_as_it_was(start: Start) -> None:
    async with start(guests.manifest_entry("sleeper", cancellable=True)) as daemon:
        await daemon.submit(ID, NAP, 60_000)
        await daemon.until_blocked(ID)
        await daemon.post(f"executions/{ID}/cancel")
        await daemon.result(ID)
        with pytest.raises(ConflictError) as refused:
            await daemon.engine.upgrade(ID, guests.digest("sleeper"), force=True)
        assert refused.value.code == "already_finished"
