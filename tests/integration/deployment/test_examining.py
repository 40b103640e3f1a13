"""What is examined without being made active: a plan."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from obelisk_config import Surroundings
from obelisk_daemon.deployment.checking import Refusal
from obelisk_daemon.deployment.deployer import Deployer
from obelisk_daemon.deployment.stored import Surrounds
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.storage.sqlite.store import open_store
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from tests.fakes.clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
async def deployer(tmp_path: Path) -> AsyncIterator[Deployer]:
    engines = Engines()
    surrounds = Surrounds(tmp_path / "obelisk.toml", Surroundings(), "here")
    async with open_store(tmp_path / "obelisk.db", pytest.fail) as store:
        compiler = Compiler(engines, tmp_path / "cache")
        yield Deployer(store, store.reads, compiler, ManualClock(), surrounds, metrics=Metrics())
    engines.close()


@pytest.mark.parametrize(
    ("name", "shown"), [("next.toml", "next.toml"), ("../there/next.toml", "next.toml"), ("", None), ("/", None)]
)
async def test_messages_call_the_file_as_is_asked_for_or_as_ours(
    deployer: Deployer, name: str, shown: str | None
) -> None:
    with pytest.raises(Refusal) as refused:
        await deployer.examine(b"[activity", name=name)
    (diagnostic,) = refused.value.diagnostics
    assert Path(diagnostic.span.file).name == (shown or "obelisk.toml")
