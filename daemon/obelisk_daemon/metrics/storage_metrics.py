"""What is counted of the database."""

from typing import Final

from prometheus_client import CollectorRegistry

from obelisk_daemon.metrics.instruments import MILLISECONDS, Counter, Gauge, Histogram

_GROUPS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000)


class StorageMetrics:
    """Commits, sizes and what retention removed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.commit_seconds = Histogram(
            registry,
            "obelisk_storage_commit_duration_seconds",
            "Commits: the statements of a group and making them durable.",
            bounds=MILLISECONDS,
        )
        self.commit_size = Histogram(
            registry,
            "obelisk_storage_commit_transactions",
            "How many logical transactions shared a commit.",
            bounds=_GROUPS,
        )
        self.errors = Counter(
            registry,
            "obelisk_storage_errors_total",
            "Transactions that failed: version_conflict (another one was first), storage_full, storage_failed, other.",
            ("code",),
        )
        for code in ("version_conflict", "storage_full", "storage_failed"):
            self.errors.inc(code, by=0)
        self.waiting = Gauge(
            registry, "obelisk_storage_waiting_transactions", "Logical transactions that wait for the next commit."
        )
        self.database_bytes = Gauge(registry, "obelisk_storage_database_bytes", "The size of the database's file.")
        self.wal_bytes = Gauge(registry, "obelisk_storage_wal_bytes", "The size of its write-ahead log.")
        self.free_bytes = Gauge(
            registry, "obelisk_storage_disk_free_bytes", "What is free on the disk of the state directory."
        )
        self.disk_bytes = Gauge(registry, "obelisk_storage_disk_size_bytes", "The size of that disk.")
        self.removed = Counter(
            registry,
            "obelisk_retention_removed_total",
            "What retention has removed: executions, generations, components.",
            ("what",),
        )
