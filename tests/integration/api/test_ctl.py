import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from obelisk_daemon.api.listeners import TcpListener
from obelisk_daemon.api.server import ApiServer
from obelisk_daemon.execution.events import Entry
from obelisk_daemon.ids import ExecutionId, parse_submitted_id
from tests.fakes.api import FIBO, FakeWorld, execution_id
from tests.fakes.serving import access, ctl, ctl_at, serving, until_followed, until_watched

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("http")]
ID = execution_id()
CALL = ("submit", "fibo-activity.fibo", "[3]", "--id", ID)


async def test_submit_makes_the_id_itself_and_prints_it(world: FakeWorld, path: Path) -> None:
    run = await ctl_at(path, "submit", "fibo-activity.fibo", "[3]")
    assert (run.code, run.err) == (0, "")
    assert parse_submitted_id(run.out.strip()) in world.logs


async def test_submit_prints_one_document_for_programs(path: Path) -> None:
    run = await ctl_at(path, "--json", *CALL)
    assert (run.code, json.loads(run.out), run.err) == (0, {"execution_id": ID}, "")


async def test_submit_again_finds_the_same_execution(world: FakeWorld, path: Path) -> None:
    assert (await ctl_at(path, *CALL)).code == 0
    assert (await ctl_at(path, *CALL)).code == 0
    assert world.submitted == 1


@pytest.mark.parametrize(("value", "code"), [({"ok": 2}, 0), ({"err": "no"}, 1)])
async def test_submit_with_wait_prints_the_result_and_tells_by_the_exit_code(
    world: FakeWorld, path: Path, value: dict[str, object], code: int
) -> None:
    running = asyncio.create_task(ctl_at(path, *CALL, "--wait"))
    await until_watched(world)
    world.finish(ID, value)
    run = await running
    assert (run.code, json.loads(run.out), run.err) == (code, value, f"{ID}\n")


async def test_submit_with_wait_and_json_prints_id_and_result_in_one_document(world: FakeWorld, path: Path) -> None:
    running = asyncio.create_task(ctl_at(path, *CALL, "--wait", "--json"))
    await until_watched(world)
    world.fail(ID, "boom")
    run = await running
    document = json.loads(run.out)
    assert run.code == 1
    assert document["execution_id"] == ID
    assert document["result"]["execution_failure"]["reason"] == "boom"


async def test_submit_with_follow_prints_events_while_they_happen(world: FakeWorld, path: Path) -> None:
    running = asyncio.create_task(ctl_at(path, *CALL, "--follow"))
    await until_followed(world)
    world.finish(ID, {"ok": 2})
    run = await running
    lines = run.out.splitlines()
    assert run.code == 0
    assert "created" in lines[0]
    assert "finished" in lines[1]
    assert lines[2:] == ['{"ok": 2}']


async def test_a_log_that_comes_in_short_pages_is_printed_whole(
    world: FakeWorld, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ctl_at(path, *CALL)
    world.finish(ID, {"ok": 2})

    async def entries(execution_id: ExecutionId, from_version: int, limit: int) -> list[Entry]:
        return world.logs[execution_id][from_version : from_version + 1]

    monkeypatch.setattr(world, "entries", entries)
    document = json.loads((await ctl_at(path, "events", ID, "--json")).out)
    assert [event["type"] for event in document["events"]] == ["created", "finished"]


async def test_waiting_goes_on_when_the_daemon_is_restarted(world: FakeWorld, tmp_path: Path) -> None:
    path = tmp_path / "restarted.sock"
    async with serving(world, path):
        running = asyncio.create_task(ctl_at(path, *CALL, "--wait"))
        await until_watched(world)
    again = FakeWorld()
    again.logs = world.logs
    async with serving(again, path):
        await until_watched(again)
        again.finish(ID, {"ok": 2})
        run = await running
    assert (run.code, json.loads(run.out)) == (0, {"ok": 2})


async def test_giving_up_waiting_tells_the_id_and_how_to_go_on(path: Path) -> None:
    run = await ctl_at(path, *CALL, "--wait", "--json", "--timeout", "50ms")
    document = json.loads(run.out)
    assert run.code == 75
    assert (document["execution_id"], document["error"]["code"]) == (ID, "timed_out")
    assert f"obelisk-ctl result {ID} --wait" in run.err


async def test_a_result_that_is_not_there_yet_exits_75(world: FakeWorld, path: Path) -> None:
    world.create(ID, FIBO, 3)
    run = await ctl_at(path, "result", ID)
    assert (run.code, run.out) == (75, "")
    assert "has not finished" in run.err
    running = asyncio.create_task(ctl_at(path, "result", ID, "--wait"))
    await until_watched(world)
    world.finish(ID, {"ok": 2})
    assert (await running).code == 0


async def test_parameters_are_read_from_a_file_and_from_stdin(world: FakeWorld, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "params.json"
    file.write_text("[3]")
    assert (await ctl_at(path, "submit", "fibo-activity.fibo", f"@{file}", "--id", ID)).code == 0
    assert (await ctl_at(path, "submit", "fibo-activity.fibo", "-", "--id", ID, stdin="[3]\n")).code == 0
    assert world.submitted == 1


async def test_large_integers_reach_the_daemon_and_come_back_exactly(world: FakeWorld, path: Path) -> None:
    params = f'[{{"order_id": {2**64 - 1}, "note": "ä"}}, []]'
    assert (await ctl_at(path, "submit", "shop:orders/orders.place", params, "--id", ID)).code == 0
    world.finish(ID, {"ok": 2**64 - 1})
    assert (await ctl_at(path, "result", ID)).out == '{"ok": 18446744073709551615}\n'


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("submit",), 64, "usage"),
        (("nothing",), 64, "usage"),
        (("list", "--limit", "0"), 64, "usage"),
        (("list", "--limit", "x"), 64, "usage"),
        (("list", "--nothing"), 64, "usage"),
        (("status", "--wait", "soon"), 64, "usage"),
        (("submit", "fibo-activity.fibo", "["), 65, "invalid_params"),
        (("submit", "fibo-activity.fibo", "{}"), 65, "invalid_params"),
        (("submit", "fibo-activity.fibo", "[NaN]"), 65, "invalid_params"),
        (("submit", "fibo-activity.fibo", "@/no/such/file"), 65, "invalid_params"),
        (("submit", "fibo-activity.fibo", "[256]"), 65, "type_check_failed"),
        (("submit", "fibo-activity.fibu", "[3]"), 65, "function_not_found"),
        (("submit", "orders.place", "[]"), 65, "ambiguous_function"),
        (("submit", "fibo-activity.fibo", "[3]", "--id", "E_1"), 65, "invalid_execution_id"),
        (("show", "nothing"), 65, "invalid_execution_id"),
        (("list", "--state", "odd"), 65, "invalid_request"),
        (("show", ID), 1, "execution_not_found"),
        (("cancel", ID), 1, "execution_not_found"),
        (("--url", "ftp://x", "status"), 64, "usage"),
        (("--url", "unix:/no/such/socket", "status"), 69, "daemon_unreachable"),
        (("--url", "unix:/no/such/socket", "status", "--wait", "1ms"), 75, "timed_out"),
    ],
)
async def test_errors_have_exit_codes_and_one_document_each(
    path: Path, arguments: tuple[str, ...], code: int, error: str
) -> None:
    given = arguments if "--url" in arguments else ("--url", f"unix:{path}", *arguments)
    run = await asyncio.to_thread(ctl, *given, "--json")
    assert run.code == code
    assert json.loads(run.out)["error"]["code"] == error
    assert run.err.startswith("obelisk-ctl: ")


async def test_the_full_disk_is_told_apart_from_bad_data(world: FakeWorld, path: Path) -> None:
    world.storage_full = True
    run = await ctl_at(path, *CALL)
    assert run.code == 69
    assert "no space is left" in run.err


async def test_another_call_under_the_same_id_fails(path: Path) -> None:
    await ctl_at(path, *CALL)
    run = await ctl_at(path, "submit", "fibo-activity.fibo", "[4]", "--id", ID)
    assert run.code == 1
    assert "with other parameters" in run.err


async def test_a_list_longer_than_a_page_is_read_in_pages(world: FakeWorld, path: Path) -> None:
    for number in range(1, 700):
        world.create(execution_id(number), FIBO, 3)
    run = await ctl_at(path, "list", "--limit", "600", "--json")
    document = json.loads(run.out)
    assert len({row["execution_id"] for row in document["executions"]}) == 600
    assert document["next"].endswith(f".{execution_id(100)}")


async def test_logs_are_followed_to_the_end(world: FakeWorld, path: Path) -> None:
    world.create(ID, FIBO, 3)
    world.log(ID, "one")
    running = asyncio.create_task(ctl_at(path, "logs", ID, "--follow"))
    await until_watched(world)
    world.log(ID, "two")
    world.finish(ID, {"ok": 2})
    run = await running
    assert [line.split()[-1] for line in run.out.splitlines()] == ["one", "two"]


async def test_status_waits_until_the_daemon_is_there_and_ready(world: FakeWorld, tmp_path: Path) -> None:
    path = tmp_path / "late.sock"
    running = asyncio.create_task(ctl_at(path, "status", "--wait", "60s", "--json"))
    world.not_ready = "starting"
    async with serving(world, path):
        reads = asyncio.Event()
        world.on_status = reads.set
        await asyncio.wait_for(reads.wait(), 30)
        assert not running.done()
        world.not_ready = None
        run = await running
    assert (run.code, json.loads(run.out)["ready"]) == (0, True)


async def test_options_may_stand_before_and_after_the_command(path: Path) -> None:
    url = f"unix:{path}"
    for arguments in (("--json", "--url", url, "status"), ("status", "--url", url, "--json")):
        run = await asyncio.to_thread(ctl, *arguments)
        assert (run.code, json.loads(run.out)["generation"]) == (0, 3)


async def run_process(*arguments: str, **environ: str) -> tuple[int | None, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-m",
        "obelisk_daemon.ctl",
        *arguments,
        env=os.environ | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out, err


async def test_the_program_takes_the_daemon_from_the_environment(path: Path) -> None:
    code, out, err = await run_process("status", "--json", OBELISK_URL=f"unix:{path}")
    assert (code, err) == (0, b"")
    assert json.loads(out)["executor_id"].startswith("Exr_")
    code, out, _ = await run_process("status", "--json", OBELISK_STATE_DIR=str(path.parent), OBELISK_URL="")
    assert code == 0


async def test_the_program_starts_without_what_it_does_not_need(path: Path) -> None:
    script = (
        "import sys\nfrom obelisk_daemon.ctl.main import main\n"
        "try:\n    main(['show', '--json', sys.argv[1]])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'pydantic', 'rich', 'httpx', 'msgspec', 'litestar', 'asyncio', 'secrets'} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, ID, env=os.environ | {"OBELISK_URL": f"unix:{path}"}, stdout=-1, stderr=-1
    )
    out, _ = await process.communicate()
    assert out.splitlines()[-1] == b"[]"


async def test_ctl_works_over_tcp(world: FakeWorld) -> None:
    server = ApiServer(world.services(), [TcpListener("127.0.0.1", 0)], access(dev=True))
    await server.start()
    run = await asyncio.to_thread(ctl, "--url", server.addresses[0], "status", "--json")
    await server.stop()
    assert run.code == 0
