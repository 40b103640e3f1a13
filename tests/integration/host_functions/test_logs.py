"""Lines of the log are stored exactly once, however often a workflow is replayed."""

import json
from datetime import timedelta

import pytest

from obelisk_daemon.errors import StorageUnavailableError
from obelisk_daemon.executor import executor as executor_module
from obelisk_daemon.storage.sql.store import SqlStore
from tests.integration.executor.engine import Lab
from tests.integration.executor.uses import FIBO, Use
from tests.integration.host_functions.conftest import Both
from tests.integration.host_functions.programs import CREATE, RUN, SOON, Program, op

pytestmark = [pytest.mark.anyio, pytest.mark.guests]
LEVELS = ("trace", "debug", "info", "warn", "error")


def say(message: str, level: str = "info") -> Program:
    return op("log", level=level, message=message)


@pytest.mark.parametrize("guest", ["interpreter-python", "interpreter-js"])
async def test_lines_between_all_kinds_of_requests_are_stored_once_and_in_order(both: Both, guest: str) -> None:
    requests = [
        op("sleep", when=SOON, hide=True),
        CREATE,
        op("submit-delay", set=0, when="now"),
        op("join-next", set=0),
        op("join-next", set=0),
        op("random-u64", min=0, max=9),
        op("call-json", function="testing:fibo/fibo.fibo", params=[10]),
        op("call-json", function="no:such/thing.f", params=[]),
        op("join-set-close", set=0),
        op("sleep", when=SOON, hide=True),
    ]
    program = [step for number, request in enumerate(requests) for step in (say(str(number)), request)]
    run = await both(*program, say("end"), guest=guest)
    assert run.lines == [*map(str, range(len(requests))), "end"]


async def test_a_line_keeps_its_level(lab: Lab) -> None:
    async with lab.daemon(Use("interpreter-python")) as daemon:
        execution = await daemon.submit(RUN, json.dumps([say(f"{level} ä\n2", level) for level in LEVELS]))
        await daemon.result(execution)
        lines = [line for _, _, line in await daemon.store.reads.log_lines(execution, 0, 100)]
        assert [(line.level, line.message) for line in lines] == [(level, f"{level} ä\n2") for level in LEVELS]


class Interrupting:
    """A store that refuses the first result for a stub: the run is given up, and the workflow replayed."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.refused = 0

    async def finish_stub(self, *arguments: object) -> object:
        if not self.refused:
            self.refused += 1
            raise StorageUnavailableError("storage_full", "the database refused the write")
        return await self._store.finish_stub(*arguments)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


async def test_lines_before_a_request_that_was_not_recorded_are_stored_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result for a stub commits what was asked before it, and is recorded when it has been given."""
    monkeypatch.setattr(executor_module, "_RELEASE_BACKOFF", timedelta(milliseconds=5))
    made: list[Interrupting] = []

    def over(store: SqlStore) -> Interrupting:
        made.append(Interrupting(store))
        return made[0]

    program = [
        say("first"),
        CREATE,
        op("approve-submit", set=0, order=7),
        say("before"),
        op("approve-stub", execution=0, result={"ok": True}),
        say("after"),
        op("approve-await-next", set=0),
    ]
    async with lab.daemon(FIBO, Use("interpreter-python"), over=over) as daemon:  # type: ignore[arg-type]
        execution = await daemon.submit(RUN, json.dumps(program))
        await daemon.result(execution)
        assert made[0].refused == 1
        assert (await daemon.types(execution)).count("unlocked") == 1
        assert await daemon.lines(execution) == ["first", "before", "after"]
