"""Counters, gauges and histograms, as Prometheus reads them."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from obelisk_daemon.metrics.instruments import Counter, Gauge, Histogram


def samples(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """Read what is printed: by name and label values."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_a_counter_without_labels_is_shown_before_it_has_counted() -> None:
    registry = CollectorRegistry()
    counter = Counter(registry, "a_total", "Says.")
    assert samples(registry) == {("a_total",): 0}
    counter.inc()
    counter.inc(by=2)
    assert samples(registry) == {("a_total",): 3}


def test_a_counter_counts_apart_for_each_label_and_can_be_shown_at_zero() -> None:
    registry = CollectorRegistry()
    counter = Counter(registry, "a_total", "Says.", ("x", "y"))
    assert samples(registry) == {}
    counter.inc("1", "2")
    counter.inc("1", "3", by=0)
    assert samples(registry) == {("a_total", "1", "2"): 1, ("a_total", "1", "3"): 0}


def test_a_label_may_hold_anything_the_manifest_allows() -> None:
    registry = CollectorRegistry()
    Counter(registry, "a_total", "Says.", ("x",)).inc('a "b"\\ \n')
    assert samples(registry) == {("a_total", 'a "b"\\ \n'): 1}


def test_a_gauge_shows_the_last_value_and_what_was_replaced_is_gone() -> None:
    registry = CollectorRegistry()
    gauge = Gauge(registry, "a", "Says.", ("x",))
    gauge.set(1, "old")
    gauge.replace({("new",): 2.5})
    assert samples(registry) == {("a", "new"): 2.5}


def test_a_watched_gauge_is_read_at_each_look() -> None:
    registry = CollectorRegistry()
    values = iter([1.0, 2.0])
    Gauge(registry, "a", "Says.").watch(lambda: next(values))
    assert [samples(registry), samples(registry)] == [{("a",): 1}, {("a",): 2}]


def test_a_histogram_counts_an_observation_in_each_bucket_that_it_fits() -> None:
    registry = CollectorRegistry()
    histogram = Histogram(registry, "a_seconds", "Says.", bounds=(0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(seconds)
    assert histogram.count() == 4
    assert samples(registry) == {
        ("a_seconds_bucket", "0.1"): 2,
        ("a_seconds_bucket", "1.0"): 3,
        ("a_seconds_bucket", "+Inf"): 4,
        ("a_seconds_count",): 4,
        ("a_seconds_sum",): 7.65,
    }


def test_two_metrics_of_one_name_are_a_mistake_that_is_found() -> None:
    registry = CollectorRegistry()
    Counter(registry, "a_total", "Says.")
    with pytest.raises(ValueError, match="a_total"):
        Gauge(registry, "a_total", "Says.")
