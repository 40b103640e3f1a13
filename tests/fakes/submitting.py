"""Many calls at once, for an engine in memory."""

from collections.abc import Sequence

from obelisk_daemon.api.services import NewCall
from obelisk_daemon.errors import CallerError, ConflictError
from obelisk_daemon.execution.events import Created, Entry
from obelisk_daemon.ids import ExecutionId


class FakeSubmitting:
    """What `submit_many` answers, over the logs of a `FakeWorld`."""

    logs: dict[ExecutionId, list[Entry]]

    async def submit(self, call: NewCall) -> bool:
        raise NotImplementedError

    async def submit_many(self, calls: Sequence[NewCall]) -> Sequence[bool | CallerError]:
        return [await self._submitted(call) for call in calls]

    async def _submitted(self, call: NewCall) -> bool | CallerError:
        if call.execution_id not in self.logs:
            return await self.submit(call)
        created = self.logs[call.execution_id][0].event
        assert isinstance(created, Created)
        same = (created.ffqn, created.params) == (str(call.function.ffqn), call.params)
        return False if same else ConflictError("execution_exists", "another call")
