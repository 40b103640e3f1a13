"""What is kept of a failing execution, and how it is told."""

import asyncio
import json

import pytest

from tests import guests
from tests.fakes.api import execution_id
from tests.fakes.serving import ctl_at
from tests.integration.steering.conftest import Start
from tests.integration.steering.manifests import interpreter

pytestmark = pytest.mark.anyio
ID = execution_id()


async def test_a_trap_keeps_the_backtrace_with_the_names_of_functions(start: Start) -> None:
    async with start(guests.manifest_entry("faults", max_retries=0)) as daemon:
        await daemon.submit(ID, "faults.trap")
        await daemon.result(ID)
        failure = (await daemon.show(ID))["failure"]
        assert failure["kind"] == "trap"
        assert "unreachable" in failure["message"]
        assert "testing:faults/faults#trap" in failure["backtrace"] or "!trap" in failure["backtrace"]


async def test_every_failed_attempt_names_what_was_recorded_of_it(start: Start) -> None:
    table = guests.manifest_entry("faults", max_retries=1, backoff={"initial": "1ms"})
    async with start(table) as daemon:
        await daemon.submit(ID, "faults.trap")
        await daemon.until(ID, lambda found: found["attempts"] == 1 and found["state"] == "pending_at")
        daemon.advance(seconds=1)
        await daemon.result(ID)
        events = await daemon.events(ID)
        first = next(event for event in events if event["type"] == "temporarily_failed")["failure_id"]
        last = events[-1]["result"]["execution_failure"]["failure_id"]
        for failure_id in (first, last):
            found = (await daemon.http.get(f"/v1/failures/{failure_id}")).json()
            assert (found["failure_id"], found["execution_id"]) == (failure_id, ID)
        assert first != last


async def test_the_chain_of_causes_leads_through_the_executions(start: Start) -> None:
    manifest = guests.manifest_entry("faulty-caller") + guests.manifest_entry("faults", max_retries=0)
    async with start(manifest) as daemon:
        await daemon.submit(ID, "testing:faulty-caller/caller.call-trap-no-result")
        failed = (await daemon.result(ID))["execution_failure"]
        assert failed["kind"] == "child_failed"
        found = (await daemon.http.get(f"/v1/failures/{failed['failure_id']}")).json()
        (cause,) = found["causes"]
        assert found["cause"] == cause["failure_id"]
        assert (cause["execution_id"], cause["kind"]) == (f"{ID}.o:1_1", "trap")
        run = await ctl_at(daemon.socket, "error", failed["failure_id"])
        assert run.code == 0
        assert run.out.index("child_failed") < run.out.index("caused by") < run.out.index(cause["failure_id"])


async def test_a_failure_that_is_not_there_is_not_found(start: Start) -> None:
    async with start(guests.manifest_entry("faults")) as daemon:
        answer = await daemon.http.get("/v1/failures/Err_x")
        assert (answer.status_code, answer.json()["code"]) == (404, "failure_not_found")


@pytest.mark.guests
async def test_a_workflow_that_traps_keeps_the_end_of_its_stderr(start: Start) -> None:
    async with start(interpreter()) as daemon:
        await daemon.submit(ID, "interpreter.run", json.dumps([{"op": "trap", "message": "enough"}]))
        await daemon.result(ID)
        failure = (await daemon.show(ID))["failure"]
        assert "RuntimeError: enough" in failure["stderr"]
        assert failure["backtrace"]


@pytest.mark.guests
async def test_an_error_of_an_activity_keeps_its_http_requests(start: Start) -> None:
    nobody = {"host": "http://127.0.0.1:1", "allow_private": True}
    table = guests.manifest_entry("http-python", max_retries=1, backoff={"initial": "1ms"}, allowed_hosts=[nobody])
    async with start(table) as daemon:
        await daemon.submit(ID, "client.get", "http://127.0.0.1:1/x")
        await daemon.until(ID, lambda found: found["attempts"] == 1 and found["state"] == "pending_at")
        daemon.advance(seconds=1)
        assert "err" in await daemon.result(ID)
        events = await daemon.events(ID)
        temporary = next(event for event in events if event["type"] == "temporarily_failed")
        for failure_id in (temporary["failure_id"], events[-1]["failure_id"]):
            found = (await daemon.http.get(f"/v1/failures/{failure_id}")).json()
            assert found["kind"] == "error"
            ((method, url, error),) = [(one["method"], one["url"], one["error"]) for one in found["http"]]
            assert (method, url, error) == ("GET", "http://127.0.0.1:1/x", "connection-refused")
        assert (await daemon.show(ID))["failure"]["failure_id"] == events[-1]["failure_id"]
        run = await ctl_at(daemon.socket, "error", events[-1]["failure_id"])
        assert "GET http://127.0.0.1:1/x -> connection-refused" in run.out


@pytest.mark.guests
async def test_a_timeout_keeps_the_http_request_that_got_no_answer(start: Start) -> None:
    gone = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    async with server:
        origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        silent = {"host": origin, "allow_private": True}
        # long enough for the guest to have asked by then, also on a busy machine
        table = guests.manifest_entry("http-python", timeout="2s", max_retries=0, allowed_hosts=[silent])
        async with start(table) as daemon:
            await daemon.submit(ID, "client.get", f"{origin}/x")
            failed = (await daemon.result(ID))["execution_failure"]
            assert failed["kind"] == "timed_out"
            found = (await daemon.http.get(f"/v1/failures/{failed['failure_id']}")).json()
            assert [(one["url"], one["error"]) for one in found["http"]] == [(f"{origin}/x", "dropped")]
        await gone.wait()
