"""Blocked workflows that are kept in memory, until there are too many."""

from obelisk_daemon.executor.run import Run
from obelisk_daemon.ids import ExecutionId


class Resting:
    """Those of one executor, by component; what has waited longest leaves first."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[ExecutionId, Run]] = {}
        self.keeps_none = False
        """Nothing is kept: a host that drains goes on with nothing."""

    def __len__(self) -> int:
        return sum(len(of) for of in self._runs.values())

    def __contains__(self, run: Run) -> bool:
        return self._runs.get(run.function.component.name, {}).get(run.execution_id) is run

    def add(self, run: Run) -> None:
        """Keep a workflow, and drop another one where that is one too many."""
        of = self._runs.setdefault(run.function.component.name, {})
        of[run.execution_id] = run
        self._evict(of, run.function.component.max_hot)

    def remove(self, run: Run) -> None:
        """Let go of a workflow that goes on; one that was dropped is not there any more."""
        if run in self:
            del self._runs[run.function.component.name][run.execution_id]

    def evict(self) -> None:
        """Drop what is too many by now."""
        for of in self._runs.values():
            for newest in list(of.values())[-1:]:
                self._evict(of, newest.function.component.max_hot)

    def _evict(self, of: dict[ExecutionId, Run], max_hot: int) -> None:
        while len(of) > (0 if self.keeps_none else max_hot):
            of.pop(next(iter(of))).drop("evicted")
