import asyncio
import contextlib
import socket
from pathlib import Path

import httpx
import pytest

from obelisk_daemon.api.listeners import TcpListener, UnixListener
from obelisk_daemon.api.server import ApiServer
from obelisk_daemon.api.watch import Watcher
from obelisk_daemon.errors import OperatorError
from tests.fakes.api import FIBO, FakeWorld, execution_id
from tests.fakes.serving import access, serving, talking, until_watched

pytestmark = pytest.mark.anyio
ID = execution_id()


async def test_one_server_listens_on_a_socket_and_on_tcp_with_the_port_it_got(world: FakeWorld, path: Path) -> None:
    server = ApiServer(world.services(), [UnixListener(path), TcpListener("127.0.0.1", 0)], access())
    await server.start()
    unix, tcp = server.addresses
    assert unix == f"unix:{path}"
    async with httpx.AsyncClient(base_url=f"http://{tcp}") as client:
        assert (await client.get("/v1/healthz")).status_code == 200
        assert (await client.get("/v1/healthz", headers={"host": "evil.example"})).status_code == 403
        assert (await client.get("/v1/healthz", headers={"origin": "http://evil.example"})).status_code == 403
    async with talking(path) as client:
        assert (await client.get("/v1/healthz")).status_code == 200
    await server.stop()
    assert not path.exists()
    assert server.addresses == ()


async def test_the_body_of_an_answer_does_not_wait_for_its_header_to_be_acknowledged(world: FakeWorld) -> None:
    server = ApiServer(world.services(), [TcpListener("127.0.0.1", 0)], access())
    await server.start()
    async with httpx.AsyncClient(base_url=f"http://{server.addresses[0]}") as client:
        await client.get("/v1/healthz")
        (connection,) = server._server.server_state.connections
        assert connection.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await server.stop()


async def test_stopping_ends_long_polls_at_once(world: FakeWorld, path: Path) -> None:
    world.create(ID, FIBO, 3)
    async with talking(path) as client:
        async with serving(world, path):
            waiting = asyncio.create_task(client.get(f"/v1/executions/{ID}/result?wait=60"))
            await until_watched(world)
        response = await waiting
    assert response.status_code == 202
    assert world.watcher.waiting == 0


async def test_a_server_that_can_not_have_one_address_takes_none(world: FakeWorld, path: Path) -> None:
    taken = path.with_name("taken")
    taken.write_text("")
    server = ApiServer(world.services(), [UnixListener(path), UnixListener(taken)], access())
    with pytest.raises(OperatorError):
        await server.start()
    assert not path.exists()


async def test_a_second_server_does_not_take_the_socket_of_the_first(world: FakeWorld, path: Path) -> None:
    async with serving(world, path), talking(path) as client:
        with pytest.raises(OperatorError, match="another daemon"):
            await ApiServer(FakeWorld().services(), [UnixListener(path)], access()).start()
        assert (await client.get("/v1/healthz")).status_code == 200


async def test_a_request_that_came_before_the_start_is_answered_on_the_passed_socket(
    world: FakeWorld, path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as held, held.dup() as passed:
        held.bind(str(path))
        held.listen()
        async with talking(path) as client:
            asked = asyncio.create_task(client.get("/v1/healthz"))
            server = ApiServer(world.services(), [UnixListener(path)], access(), passed=[passed])
            await server.start()
            assert (await asked).status_code == 200
            await server.stop()
        # systemd still holds it, so whoever comes now is served by the next daemon
        assert passed.fileno() == -1
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client_after:
            client_after.connect(str(path))
    assert path.is_socket()


async def test_stopping_a_server_that_never_started_does_nothing(world: FakeWorld) -> None:
    await ApiServer(world.services(), [], access()).stop()


async def test_more_long_polls_than_the_bound_are_refused_with_503(path: Path) -> None:
    world = FakeWorld(Watcher(max_watches=1))
    world.create(ID, FIBO, 3)
    async with serving(world, path), talking(path) as client:
        waiting = asyncio.create_task(client.get(f"/v1/executions/{ID}/result?wait=60"))
        await until_watched(world)
        refused = await client.get(f"/v1/executions/{ID}/result?wait=60")
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_waiting")
        world.finish(ID, {"ok": 1})
        assert (await waiting).status_code == 200


async def test_headers_without_end_are_refused(world: FakeWorld, path: Path) -> None:
    async with serving(world, path):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET /v1/healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000)
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 400")


async def test_a_request_that_is_still_sent_does_not_hold_up_the_stop(world: FakeWorld, path: Path) -> None:
    async with serving(world, path) as server:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET /v1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200")
        writer.write(b"GET /v1/healthz HTTP/1.1\r\nHost: loc")
        await server.stop()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
