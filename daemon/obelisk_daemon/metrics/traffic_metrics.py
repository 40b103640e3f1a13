"""What is counted of HTTP: what guests ask of other hosts, and what clients ask of the API."""

from prometheus_client import CollectorRegistry

from obelisk_daemon.metrics.instruments import Counter, Gauge, Histogram


class EgressMetrics:
    """Requests of activities. `host` is as in `allowed_hosts`; what no entry allows is `other`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            registry,
            "obelisk_egress_requests_total",
            "HTTP requests of activities: 2xx, 3xx, ..., or refused (never sent), failed, dropped.",
            ("host", "status"),
        )
        self.seconds = Histogram(
            registry,
            "obelisk_egress_request_duration_seconds",
            "From the start of a request to the end of its response's body, of those that were sent.",
            ("host",),
        )
        self.sent_bytes = Counter(
            registry, "obelisk_egress_request_bytes_total", "Bytes of the bodies that were sent.", ("host",)
        )
        self.received_bytes = Counter(
            registry, "obelisk_egress_response_bytes_total", "Bytes of the bodies that came back.", ("host",)
        )


class ApiMetrics:
    """Requests of the daemon's own API. `route` is the template of its path, never the path."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            registry,
            "obelisk_api_requests_total",
            "Requests that were answered; the route of one that matches none is empty.",
            ("method", "route", "status"),
        )
        self.seconds = Histogram(
            registry,
            "obelisk_api_request_duration_seconds",
            "Requests from the head to the last byte of the answer, without streams and those that asked to wait.",
            ("method", "route"),
        )
        self.open = Gauge(registry, "obelisk_api_open_requests", "Requests under way, long polls and streams included.")
        self.streams = Gauge(registry, "obelisk_api_open_streams", "Event streams under way.")
        self.waiting = Gauge(registry, "obelisk_api_waiting_requests", "Long polls under way.")
