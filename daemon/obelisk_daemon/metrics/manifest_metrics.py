"""What is counted of the manifest's life and of compiling."""

from typing import Final

from prometheus_client import CollectorRegistry

from obelisk_daemon.metrics.instruments import Counter, Gauge, Histogram

_CHECK_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class ManifestMetrics:
    """Generations, checks and refusals; what is compiled and what was in the cache."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.stages = Counter(
            registry,
            "obelisk_manifest_stages_total",
            "Manifests that reached a stage: seen, parsed, validated, compiled, linked, staged, active, refused.",
            ("stage",),
        )
        self.refusals = Counter(
            registry,
            "obelisk_manifest_refusals_total",
            "Manifests that were refused, by the stage that refused them.",
            ("stage",),
        )
        self.verdicts = Counter(
            registry,
            "obelisk_manifest_verdicts_total",
            "Manifests that were checked, by what came of it: active, unchanged, refused.",
            ("outcome",),
        )
        for outcome in ("active", "unchanged", "refused"):
            self.verdicts.inc(outcome, by=0)
        self.check_seconds = Histogram(
            registry,
            "obelisk_manifest_check_duration_seconds",
            "From the bytes of a manifest to its verdict.",
            bounds=_CHECK_SECONDS,
        )
        self.generation = Gauge(registry, "obelisk_generation", "The number of the active generation.")
        self.drift = Gauge(
            registry,
            "obelisk_manifest_drift",
            "Files on disk that differ from what is active: the manifest, and those of components.",
        )
        self.refused = Gauge(
            registry, "obelisk_manifest_refused", "Whether the last content of the file was refused: 1 or 0."
        )
        self.compile_seconds = Histogram(
            registry,
            "obelisk_compile_duration_seconds",
            "Compiling a component in its child process, by what came of it: ok, or the error's code.",
            ("outcome",),
        )
        self.cache_hits = Counter(
            registry,
            "obelisk_compile_cache_hits_total",
            "Components that needed no compiling, since they were in memory or on disk.",
            ("cache",),
        )
