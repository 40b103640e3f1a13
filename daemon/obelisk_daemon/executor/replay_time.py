"""How long a workflow's run takes to come to the end of its log."""

from obelisk_daemon.execution.written import WrittenLog
from obelisk_daemon.executor.run import Services


class ReplayTime:
    """Measures the replay of one run, where there is anything to replay."""

    def __init__(self, services: Services, component: str) -> None:
        self._services = services
        self._component = component
        self._began: float | None = None
        self._events = 0

    def begin(self, log: WrittenLog) -> WrittenLog:
        """Start with a log that was read; give it back."""
        self._events = len(log.events)
        self._began = self._services.clock.monotonic()
        return log

    def note(self, *, is_replaying: bool) -> None:
        """Look whether it is over; called before each append."""
        if self._began is None or is_replaying:
            return
        metrics = self._services.metrics.executions
        metrics.replay_seconds.observe(self._services.clock.monotonic() - self._began, self._component)
        metrics.replayed_events.inc(self._component, by=self._events)
        self._began = None
