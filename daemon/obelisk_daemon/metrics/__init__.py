"""What is counted, for Prometheus: one registry a process, handed down from the supervisor.

Names and labels are part of the interface: dashboards hold on to them. The values of every label are bounded by the
manifest or by this code: no id, no path, nothing that a guest or a client chose.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest

from obelisk_daemon.metrics.execution_metrics import ExecutionMetrics
from obelisk_daemon.metrics.instruments import Instrument
from obelisk_daemon.metrics.manifest_metrics import ManifestMetrics
from obelisk_daemon.metrics.process_metrics import ProcessMetrics
from obelisk_daemon.metrics.storage_metrics import StorageMetrics
from obelisk_daemon.metrics.traffic_metrics import ApiMetrics, EgressMetrics

__all__ = [
    "ApiMetrics",
    "EgressMetrics",
    "ExecutionMetrics",
    "ManifestMetrics",
    "Metrics",
    "ProcessMetrics",
    "StorageMetrics",
]


class Metrics:
    """All of them. They belong to the loop's thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.executions = ExecutionMetrics(self.registry)
        self.storage = StorageMetrics(self.registry)
        self.manifest = ManifestMetrics(self.registry)
        self.egress = EgressMetrics(self.registry)
        self.api = ApiMetrics(self.registry)
        self.process = ProcessMetrics(self.registry)

    def instruments(self) -> Iterator[Instrument]:
        """Give our own, in the order in which they are told about."""
        for group in (self.executions, self.storage, self.manifest, self.egress, self.api, self.process):
            yield from (one for one in vars(group).values() if isinstance(one, Instrument))

    def text(self) -> bytes:
        """Write all of them in the text format of Prometheus."""
        return generate_latest(self.registry)
