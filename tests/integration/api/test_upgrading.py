"""Moving a workflow to the current code, as a request and an answer."""

from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from obelisk_daemon.api.catalog import FunctionCatalog
from obelisk_daemon.execution.events import ComponentUpgraded, Created, Paused, Unlocked, Unpaused
from obelisk_daemon.executor.replaying import Verdict
from tests.fakes.api import APPROVE, DIGEST, FIBO, FIBOA, FakeWorld, execution_id
from tests.fakes.serving import ctl_at
from tests.integration.api.test_executions import LOCKED, problem

pytestmark = pytest.mark.anyio
ID = execution_id()
URL = f"/v1/executions/{ID}/upgrade"
OLD = "sha256:" + "cd" * 32
DIVERGES = Verdict("diverges", 12, "a call of one", "a delay")


@pytest.fixture
def outdated(world: FakeWorld) -> FakeWorld:
    """A workflow that was started on other code, and is between two runs."""
    world.create(ID, FIBOA, 10, 1)
    world.add(ID, replace(LOCKED, digest=OLD), Unlocked("stopping", world.logs[ID][0].created_at))
    return world


def types(world: FakeWorld) -> list[type]:
    return [type(entry.event) for entry in world.logs[ID]]


async def test_a_workflow_whose_log_replays_on_the_current_code_moves_there(
    http: httpx.AsyncClient, outdated: FakeWorld
) -> None:
    answer = await http.post(URL)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "execution_id": ID,
            "changed": True,
            "component_digest": DIGEST,
            "state": "pending_at",
            "lifecycle": "active",
            "rehearsal": 'finished equal: {"ok":55}',
        },
    )
    assert outdated.logs[ID][-1].event == ComponentUpgraded(ok=True, digest=DIGEST, abi=1)
    assert (await http.get(f"/v1/executions/{ID}")).json()["component_digest"] == DIGEST


async def test_a_divergence_is_a_conflict_that_names_the_version_and_both_sides(
    http: httpx.AsyncClient, outdated: FakeWorld
) -> None:
    outdated.verdict = DIVERGES
    refused = await http.post(URL)
    assert problem(refused) == (409, "diverges")
    assert "diverges at version 12: expected a call of one, got a delay" in refused.json()["detail"]
    assert DIGEST in refused.json()["detail"]
    assert types(outdated)[-1] is Unlocked


async def test_force_moves_it_without_a_replay(http: httpx.AsyncClient, outdated: FakeWorld) -> None:
    outdated.verdict = DIVERGES
    done = (await http.post(URL, json={"force": True})).json()
    assert (done["changed"], "rehearsal" in done) == (True, False)
    assert outdated.logs[ID][-1].event == ComponentUpgraded(ok=True, digest=DIGEST, abi=1, forced=True)


async def test_moving_it_again_changes_nothing(http: httpx.AsyncClient, outdated: FakeWorld) -> None:
    assert (await http.post(URL)).json()["changed"] is True
    before = len(outdated.logs[ID])
    for body in (None, {"force": False}, {"force": True}):
        again = (await http.post(URL, json=body)).json()
        assert (again["changed"], again["component_digest"]) == (False, DIGEST)
    assert len(outdated.logs[ID]) == before


async def test_what_was_never_started_has_nothing_to_move(http: httpx.AsyncClient, world: FakeWorld) -> None:
    world.create(ID, replace(FIBOA, digest=OLD), 10, 1)
    assert (await http.post(URL)).json()["changed"] is False
    assert types(world) == [Created]


async def test_a_workflow_that_failed_on_the_current_code_is_tried_there_again(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    world.create(ID, FIBOA, 10, 1)
    world.add(ID, LOCKED, Paused("trap", None, DIGEST, "unreachable"))
    world.failed_digests[ID, DIGEST] = (None, "unreachable")
    done = (await http.post(URL)).json()
    assert (done["changed"], done["lifecycle"]) == (True, "active")
    assert types(world)[-2:] == [ComponentUpgraded, Unpaused]


@pytest.mark.parametrize("info", [FIBO, APPROVE])
async def test_only_a_workflow_is_moved(http: httpx.AsyncClient, world: FakeWorld, info: object) -> None:
    world.create(ID, info, 3)
    assert problem(await http.post(URL)) == (409, "not_a_workflow")


async def test_what_has_finished_or_is_gone_is_refused(http: httpx.AsyncClient, outdated: FakeWorld) -> None:
    catalog, outdated.catalog = outdated.catalog, FunctionCatalog(4, (), ())
    assert problem(await http.post(URL)) == (422, "function_not_found")
    outdated.catalog = catalog
    outdated.finish(ID, {"ok": 55})
    assert problem(await http.post(URL)) == (409, "already_finished")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"force": "perhaps"}', b'{"froce": true}'])
async def test_a_wrong_wish_is_refused(http: httpx.AsyncClient, outdated: FakeWorld, body: bytes) -> None:
    assert problem(await http.post(URL, content=body)) == (400, "invalid_request")
    assert types(outdated)[-1] is Unlocked


async def test_ids_are_checked_and_looked_up(http: httpx.AsyncClient) -> None:
    assert problem(await http.post("/v1/executions/nothing/upgrade")) == (400, "invalid_execution_id")
    assert problem(await http.post(URL)) == (404, "execution_not_found")


async def test_ctl_says_what_it_goes_on_with_or_why_it_does_not(outdated: FakeWorld, http: object, path: Path) -> None:
    outdated.verdict = DIVERGES
    refused = await ctl_at(path, "upgrade", ID)
    assert (refused.code, refused.out) == (1, "")
    assert f"on {DIGEST} it diverges at version 12" in refused.err
    done = await ctl_at(path, "upgrade", ID, "--force")
    assert (done.code, done.out) == (0, f"{ID} goes on with {DIGEST}\n")
    again = await ctl_at(path, "upgrade", ID)
    assert (again.code, again.out) == (0, f"{ID} is on the current code already\n")


async def test_ctl_says_what_the_replay_found(outdated: FakeWorld, http: object, path: Path) -> None:
    run = await ctl_at(path, "upgrade", ID)
    assert run.out == f'{ID} goes on with {DIGEST}: finished equal: {{"ok":55}}\n'


async def test_labels_and_priority_are_shown_where_they_were_submitted(
    http: httpx.AsyncClient, world: FakeWorld
) -> None:
    world.add(ID, replace(world._created(FIBO, [3]), labels=("gpu",), priority=0))
    shown = (await http.get(f"/v1/executions/{ID}")).json()
    assert (shown["labels"], shown["submitted_labels"], shown["priority"]) == (["cpu"], ["gpu"], 0)
    world.create(execution_id(2), FIBO, 3)
    other = (await http.get(f"/v1/executions/{execution_id(2)}")).json()
    assert "submitted_labels" not in other
    assert "priority" not in other
