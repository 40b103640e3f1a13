"""What is shown of the process: the loop, the executors' memory, what it is made of."""

import platform
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from obelisk_daemon import __version__
from obelisk_daemon.metrics.instruments import MILLISECONDS, Gauge, Histogram


class ProcessMetrics:
    """The daemon as a process; with what prometheus_client knows of processes and of Python."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.build = Gauge(
            registry, "obelisk_build_info", "Always 1; the versions are labels.", ("version", "python", "wasmtime")
        )
        self.build.set(1, __version__, platform.python_version(), version("wasmtime"))
        self.ready = Gauge(registry, "obelisk_ready", "Whether the daemon takes work: 1 or 0.")
        self.degraded = Gauge(
            registry,
            "obelisk_degraded",
            "Whether something is wrong though the daemon works on, see its status: 1 or 0.",
        )
        self.loop_lag = Histogram(
            registry,
            "obelisk_loop_lag_seconds",
            "How late the loop called a timer that is due twice a second.",
            bounds=MILLISECONDS,
        )
        self.guests = Gauge(registry, "obelisk_guests", "Guests in memory: those that compute, and parked fibers.")
        self.guest_bytes = Gauge(
            registry,
            "obelisk_guest_memory_limit_bytes",
            "The sum of what these guests may use; what they do use is in process_resident_memory_bytes.",
        )
        self.slots = Gauge(registry, "obelisk_executor_slots", "How many runs an executor may have.", ("executor",))
        self.running = Gauge(registry, "obelisk_executor_running", "How many runs an executor has now.", ("executor",))
        self.hot = Gauge(
            registry,
            "obelisk_executor_hot",
            "Blocked workflows that an executor keeps in memory, parked.",
            ("executor",),
        )
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
