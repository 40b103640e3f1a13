"""What is counted of executions: from submitting to the end, and the runs in between."""

from prometheus_client import CollectorRegistry

from obelisk_daemon.metrics.instruments import DAYS, Counter, Gauge, Histogram

_OF = ("component", "kind")


class ExecutionMetrics:
    """Executions, queues, attempts and replays. `component` and `kind` are those of the manifest."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.unfinished = Gauge(
            registry,
            "obelisk_executions",
            "Executions that have not finished: pending_at, locked, blocked, paused, cancelling.",
            (*_OF, "state"),
        )
        self.submitted = Counter(
            registry, "obelisk_executions_submitted_total", "Executions that were created, children included.", _OF
        )
        self.started = Counter(
            registry, "obelisk_executions_started_total", "Executions that were locked for the first time.", _OF
        )
        self.finished = Counter(
            registry,
            "obelisk_executions_finished_total",
            "Executions that finished: ok, err (an error of the function's own) or failed, then with a failure kind.",
            (*_OF, "outcome", "failure_kind"),
        )
        self.workflow_seconds = Histogram(
            registry,
            "obelisk_workflow_duration_seconds",
            "From when a workflow was due first to its end.",
            ("component",),
            bounds=DAYS,
        )
        self._make_queues(registry)
        self._make_runs(registry)

    def _make_queues(self, registry: CollectorRegistry) -> None:
        self.queued = Gauge(registry, "obelisk_queue_depth", "Executions that are due and wait for an executor.", _OF)
        self.oldest_seconds = Gauge(
            registry, "obelisk_queue_oldest_age_seconds", "How long the first in the queue has been due.", _OF
        )
        self.queue_refusals = Counter(
            registry, "obelisk_queue_refusals_total", "Submissions that were refused since the queue was full."
        )
        self.wait_seconds = Histogram(
            registry, "obelisk_queue_wait_seconds", "From when an execution was due to when it was locked.", _OF
        )

    def _make_runs(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            registry,
            "obelisk_attempts_total",
            "Attempts that ended: ok, error, trap (limits included), timeout, cancelled, lost.",
            (*_OF, "outcome"),
        )
        self.attempt_seconds = Histogram(
            registry,
            "obelisk_attempt_duration_seconds",
            "From locking an activity to the end of its attempt.",
            ("component",),
        )
        self.replay_seconds = Histogram(
            registry,
            "obelisk_replay_duration_seconds",
            "Replays of workflows, from the start of the guest to going on from the end of the log.",
            ("component",),
        )
        self.replayed_events = Counter(
            registry, "obelisk_replayed_events_total", "Events of the logs that were replayed.", ("component",)
        )
        self.automatic_pauses = Counter(
            registry,
            "obelisk_automatic_pauses_total",
            "Executions that were paused because they could not go on, by reason.",
            ("reason",),
        )
        self.upgrades = Counter(
            registry,
            "obelisk_component_upgrades_total",
            "Executions whose log was replayed on other code, by what came of it: ok, failed, forced.",
            ("outcome",),
        )
        for reason in ("nondeterminism", "trap", "quarantined"):
            self.automatic_pauses.inc(
                reason, by=0
            )  # an alert on the increase misses a first one that comes out of nothing
