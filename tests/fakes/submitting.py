"""Submitting, for an engine in memory: what is there already, and many calls at once."""

from collections.abc import Sequence

from obelisk_daemon.api.services import NewCall
from obelisk_daemon.errors import CallerError, ConflictError
from obelisk_daemon.execution.events import Created, Entry
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Summary


class FakeSubmitting:
    """What `submit_many` answers, over the logs of a `FakeWorld`."""

    logs: dict[ExecutionId, list[Entry]]
    held: ExecutionId | None = None
    """What a run of this daemon holds."""

    def holds(self, execution_id: ExecutionId) -> bool:
        return execution_id == self.held

    async def submit(self, call: NewCall) -> Summary | None:
        raise NotImplementedError

    async def submit_many(self, calls: Sequence[NewCall]) -> Sequence[bool | CallerError]:
        return [await self._submitted(call) for call in calls]

    def is_there(self, call: NewCall) -> bool:
        """Tell if the same call is there; another one under its id is a conflict."""
        if call.execution_id not in self.logs:
            return False
        created = self.logs[call.execution_id][0].event
        assert isinstance(created, Created)
        stored = (created.ffqn, created.params, created.intent, created.retried_from)
        more = (created.labels, created.priority, created.tags)
        wanted = (str(call.function.ffqn), call.params, call.intent, call.retried_from)
        if (stored, more) != (wanted, (call.labels, call.priority, call.tags)):
            raise ConflictError("execution_exists", "another call")
        return True

    async def _submitted(self, call: NewCall) -> bool | CallerError:
        try:
            return await self.submit(call) is not None
        except ConflictError as refused:
            return refused
