"""A lab with the interpreting guest, and logs as text in which nothing changes from run to run."""

import gc
import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from obelisk_daemon.clock import SystemClock
from obelisk_daemon.execution.events import Entry
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.wasm.engine import Engines
from tests.building import execution_id
from tests.integration.executor.engine import Daemon, Lab
from tests.integration.executor.uses import Linked
from tests.stores import Place

_CHANGING = re.compile(r"(Run|Exr|Err)_[0-9A-Z]{26}")
_TIMES = {"due_at", "created_at"}


@pytest.fixture(scope="package")
def linked(artifacts: Path) -> Iterator[Linked]:
    engines = Engines()
    linked = Linked(engines, artifacts)
    yield linked
    del linked
    gc.collect()
    engines.close()


@pytest.fixture
def lab(linked: Linked, place: Place) -> Lab:
    return Lab(linked, place, SystemClock())


async def told(daemon: Daemon, *executions: ExecutionId) -> str:
    """Write the logs and responses of executions, one line an event, without times and chance."""
    lines = []
    for number, execution in enumerate(executions):
        lines += ["", execution] if number else [execution]
        lines += [f"  {_line(entry)}" for entry in await daemon.log(execution)]
        lines += [
            f"  response {response.seq} in {response.join_set}: {_text(response.item)}"
            for response in await daemon.store.reads.responses(execution, 0, 1_000)
        ]
    return _CHANGING.sub(r"\1_", "\n".join(lines)).replace(execution_id(1), "E_")


def _line(entry: Entry) -> str:
    tag = str(entry.event.__struct_config__.tag)
    return f"{entry.version:3} {tag} {_text(entry.event)}"


def _text(event: object) -> str:
    kept = _timeless(msgspec.to_builtins(event))
    for dull in ("type", "seed", "terms", "digest", "timeout_us", "retry", "generation", "executor_id", "run_id"):
        kept.pop(dull, None)
    return json.dumps(kept)


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: _timeless(of) for key, of in value.items() if key not in _TIMES}
    return [_timeless(of) for of in value] if isinstance(value, list | tuple) else value
