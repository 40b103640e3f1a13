from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from obelisk_config import Token
from obelisk_daemon.api.listeners import TcpListener
from obelisk_daemon.api.server import ApiServer
from tests.fakes.api import FIBO, FakeWorld, execution_id
from tests.fakes.clock import ManualClock
from tests.fakes.serving import access
from tests.fakes.streaming import stream
from tests.fakes.tokens import holder

pytestmark = pytest.mark.anyio
ID = execution_id()
FOLLOW = f"/v1/executions/{ID}/follow"
MINE, MINE_HOLDER = holder("mine", "read", datetime(2026, 1, 3, tzinfo=UTC))
OTHER, OTHER_HOLDER = holder("other", "read")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens() -> list[Token]:
    return [MINE_HOLDER, OTHER_HOLDER]


@pytest.fixture
async def tcp(world: FakeWorld, clock: ManualClock, tokens: list[Token]) -> AsyncIterator[httpx.AsyncClient]:
    world.create(ID, FIBO, 3)
    known = msgspec.structs.replace(access(clock=clock), tokens=lambda: tokens)
    server = ApiServer(world.services(), [TcpListener("127.0.0.1", 0)], known)
    await server.start()
    async with httpx.AsyncClient(base_url=f"http://{server.addresses[0]}", timeout=30) as client:
        yield client
    await server.stop()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_stream_ends_when_its_token_is_taken_out_and_others_go_on(
    world: FakeWorld, tcp: httpx.AsyncClient, tokens: list[Token]
) -> None:
    async with (
        stream(tcp, FOLLOW, headers=bearer(MINE)) as mine,
        stream(tcp, FOLLOW, headers=bearer(OTHER)) as other,
    ):
        await mine.until("state")
        await other.until("state")
        tokens.remove(MINE_HOLDER)
        world.live.streams.review()
        assert await mine.rest() == []
        world.finish(ID, {"ok": 1})
        assert (await other.rest())[-1].event == "finished"
    assert (await tcp.get(FOLLOW, headers=bearer(MINE))).status_code == 401


async def test_a_stream_ends_when_its_token_has_expired(
    world: FakeWorld, tcp: httpx.AsyncClient, clock: ManualClock
) -> None:
    async with stream(tcp, FOLLOW, headers=bearer(MINE)) as mine:
        await mine.until("state")
        clock.advance(timedelta(days=2))
        world.finish(ID, {"ok": 1})
        assert await mine.rest() == []


async def test_a_stream_needs_a_token_like_any_other_request(tcp: httpx.AsyncClient) -> None:
    assert (await tcp.get(FOLLOW)).status_code == 401
