"""Counters, gauges and histograms that cost the loop a fraction of a microsecond.

Those of prometheus_client take a lock and look their labels up at every use. These are plain numbers of one thread,
the loop's, and are put into the form that prometheus_client prints when somebody asks for it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

MILLISECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Bounds, in seconds, for what should be over at once."""
MINUTES: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""For what may take minutes."""
DAYS: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0)
"""For what may take days."""


class Counter:
    """Counts up, apart for each combination of label values. Without labels it is shown from the beginning."""

    def __init__(self, registry: CollectorRegistry, name: str, says: str, labels: Sequence[str] = ()) -> None:
        self.name, self.says, self.labels = name, says, tuple(labels)
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0}
        registry.register(self)

    def inc(self, *values: str, by: float = 1) -> None:
        """Count; `values` are those of the labels, in their order. By 0, it is only shown from now on."""
        self._values[values] = self._values.get(values, 0) + by

    def value(self, *values: str) -> float:
        """Give what was counted."""
        return self._values.get(values, 0)

    def describe(self) -> Iterator[Metric]:
        """Give the family without its samples."""
        yield CounterMetricFamily(self.name, self.says, labels=self.labels)

    def collect(self) -> Iterator[Metric]:
        """Give the family."""
        family = CounterMetricFamily(self.name, self.says, labels=self.labels)
        for values, counted in self._values.items():
            family.add_metric(values, counted)
        yield family


class Gauge:
    """Shows what is now, apart for each combination of label values."""

    def __init__(self, registry: CollectorRegistry, name: str, says: str, labels: Sequence[str] = ()) -> None:
        self.name, self.says, self.labels = name, says, tuple(labels)
        self._read: Callable[[], float] | None = None
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0}
        registry.register(self)

    def set(self, value: float, *values: str) -> None:
        """Show a value."""
        self._values[values] = value

    def watch(self, read: Callable[[], float]) -> None:
        """Show what `read` gives whenever somebody asks; for a gauge without labels."""
        self._read = read

    def replace(self, shown: Mapping[tuple[str, ...], float]) -> None:
        """Show these and no others."""
        self._values = dict(shown)

    def value(self, *values: str) -> float:
        """Give what is shown."""
        return self._values.get(values, 0)

    def describe(self) -> Iterator[Metric]:
        """Give the family without its samples."""
        yield GaugeMetricFamily(self.name, self.says, labels=self.labels)

    def collect(self) -> Iterator[Metric]:
        """Give the family."""
        family = GaugeMetricFamily(self.name, self.says, labels=self.labels)
        if self._read is not None:
            self.set(self._read())
        for values, shown in self._values.items():
            family.add_metric(values, shown)
        yield family


class Histogram:
    """Sorts what it observes into buckets, by default of seconds, apart for each combination of label values."""

    def __init__(
        self,
        registry: CollectorRegistry,
        name: str,
        says: str,
        labels: Sequence[str] = (),
        *,
        bounds: Iterable[float] = MINUTES,
    ) -> None:
        self.name, self.says, self.labels = name, says, tuple(labels)
        self._bounds = tuple(bounds)
        self._shown = [*map(floatToGoString, self._bounds), "+Inf"]
        self._buckets: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        if not labels:
            self._open(())
        registry.register(self)

    def _open(self, values: tuple[str, ...]) -> list[int]:
        self._sums[values] = 0.0
        buckets = self._buckets[values] = [0] * (len(self._bounds) + 1)
        return buckets

    def observe(self, amount: float, *values: str) -> None:
        """Count one observation."""
        buckets = self._buckets.get(values) or self._open(values)
        buckets[bisect_left(self._bounds, amount)] += 1
        self._sums[values] += amount

    def count(self, *values: str) -> int:
        """Give how many were observed."""
        return sum(self._buckets.get(values, ()))

    def total(self, *values: str) -> float:
        """Give the sum of what was observed."""
        return self._sums.get(values, 0.0)

    def describe(self) -> Iterator[Metric]:
        """Give the family without its samples."""
        yield HistogramMetricFamily(self.name, self.says, labels=self.labels)

    def collect(self) -> Iterator[Metric]:
        """Give the family."""
        family = HistogramMetricFamily(self.name, self.says, labels=self.labels)
        for values, buckets in self._buckets.items():
            family.add_metric(values, list(zip(self._shown, accumulate(buckets), strict=True)), self._sums[values])
        yield family


Instrument: TypeAlias = Counter | Gauge | Histogram
