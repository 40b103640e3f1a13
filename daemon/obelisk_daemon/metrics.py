"""What is counted, for Prometheus: one registry a process, handed down from the supervisor."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each counter, which tells when the daemon was started
_CHECK_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The counters. Names and labels are part of the interface: dashboards hold on to them."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.automatic_pauses = Counter(
            "obelisk_automatic_pauses",
            "Executions that were paused because they could not go on, by reason.",
            ["reason"],
            registry=registry,
        )
        self.upgrades = Counter(
            "obelisk_component_upgrades",
            "Executions whose log was replayed on other code, by what came of it: ok, failed, forced.",
            ["outcome"],
            registry=registry,
        )
        self.manifest_stages = Counter(
            "obelisk_manifest_stages",
            "Manifests that reached a stage: seen, parsed, validated, compiled, linked, staged, active, refused.",
            ["stage"],
            registry=registry,
        )
        self.manifest_refusals = Counter(
            "obelisk_manifest_refusals",
            "Manifests that were refused, by the stage that refused them.",
            ["stage"],
            registry=registry,
        )
        self.check_seconds = Histogram(
            "obelisk_manifest_check_seconds",
            "From the bytes of a manifest to its verdict.",
            buckets=_CHECK_SECONDS,
            registry=registry,
        )
        self.generation = Gauge("obelisk_generation", "The number of the active generation.", registry=registry)
        self.drift = Gauge(
            "obelisk_manifest_drift",
            "Files on disk that differ from what is active: the manifest, and those of components.",
            registry=registry,
        )
        self.queue_refusals = Counter(
            "obelisk_queue_refusals", "Submissions that were refused since the queue was full.", registry=registry
        )

    def text(self) -> bytes:
        """Write all of them in the text format of Prometheus."""
        return generate_latest(self._registry)
