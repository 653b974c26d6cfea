"""Counters and histograms over time, against sums done by hand: restarts, instances, delta, what is not known."""

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from otelml.viewer.api import buckets, curves
from otelml.viewer.api.metrics import metric
from otelml.viewer.api.parameters import Asked, Window, window
from otelml.viewer.api.points import Wanted
from otelml.viewer.distributions import of_histogram
from otelml.viewer.store import Store

SECOND = 10**9
NOW = 1_700_000_000 * SECOND
HOUR = Window(NOW - 3600 * SECOND, NOW, 60 * SECOND)


@pytest.fixture
def store():
    """Give an empty store."""
    with Store() as opened:
        yield opened


def add(store, points, *, name="c", instance="a", delta=False, gauge=False):
    """Add points (start, time, value), in seconds before NOW, of one instance."""
    request = ExportMetricsServiceRequest()
    sent = request.resource_metrics.add()
    sent.resource.attributes.add(key="service.instance.id").value.string_value = instance
    made = sent.scope_metrics.add().metrics.add(name=name)
    if not gauge:
        made.sum.aggregation_temporality, made.sum.is_monotonic = 1 if delta else 2, True
    for start, at, value in points:
        point = (made.gauge if gauge else made.sum).data_points.add(as_double=value)
        point.start_time_unix_nano = NOW - start * SECOND if start is not None else 0
        point.time_unix_nano = NOW - at * SECOND
    store.add("metrics", request)


def total(store, name="c", span=HOUR):
    """Return the increase over a window."""
    return curves.total(curves.curves(store, Wanted(name), span), span)


def test_a_restart_begins_again_from_zero(store):
    """A new start time adds what was counted since, and takes nothing away."""
    add(store, [(3000, 2900, 10), (3000, 2000, 50)])
    add(store, [(1900, 1800, 5), (1900, 100, 20)])
    assert total(store) == 70


def test_a_lower_value_without_a_new_start_is_a_restart_too(store):
    """Senders that keep their start time over a restart are read as Prometheus reads them."""
    add(store, [(None, 2900, 10), (None, 2000, 50), (None, 1000, 5), (None, 500, 9)])
    assert total(store) == 40 + 5 + 4


def test_instances_are_added_up(store):
    """Two processes that count the same are two curves."""
    for instance, value in (("a", 30), ("b", 12)):
        add(store, [(3000, 2900, 0), (3000, 100, value)], instance=instance)
    assert total(store) == 42


def test_what_was_counted_before_the_first_known_point_is_not_shown(store):
    """A service that ran for days before the viewer: its million is no traffic of this hour."""
    add(store, [(300_000, 1000, 1_000_000), (300_000, 500, 1_000_010)])
    assert total(store) == 10


def test_what_was_counted_before_the_window_is_taken_off(store):
    """The last point before the window is where it begins."""
    add(store, [(5000, 4000, 100), (5000, 3700, 110), (5000, 100, 150)])
    assert total(store) == 40


def test_delta_points_are_added_up(store):
    """Each delta point of the window counts once; those before it don't."""
    add(store, [(4010, 4000, 1000), (3000, 2900, 5), (2900, 2800, 7)], delta=True)
    assert total(store) == 12
    found = curves.curves(store, Wanted("c"), HOUR)
    assert curves.increases(found, HOUR).sum() == pytest.approx(12)


def test_points_sent_twice_count_once(store):
    """A retried request of delta points changes nothing."""
    for _ in range(2):
        add(store, [(3000, 2900, 5)], delta=True)
    assert total(store) == 5


def test_bins_are_never_negative_and_give_the_whole(store):
    """Over restarts and gaps, each bin is 0 or more, and together they are the increase."""
    random = np.random.default_rng(8)
    expected, at, start = 0.0, 3500, 3500
    points, value = [], 0.0
    while at > 10:
        at -= int(random.integers(5, 90))
        if random.random() < 0.2:
            start, value = at + 1, 0.0
        step = float(random.integers(0, 20))
        value, expected = value + step, expected + step
        points.append((start, max(at, 1), value))
    add(store, points)
    found = curves.curves(store, Wanted("c"), HOUR)
    bins = curves.increases(found, HOUR)
    assert bins.min() >= 0
    assert bins.sum() == pytest.approx(expected)
    assert total(store) == expected


def test_rates_are_unknown_where_there_are_no_points(store):
    """Before the first and after the last point there is no rate, instead of 0."""
    add(store, [(1800, 1700, 100), (1800, 1200, 600)])
    found = curves.curves(store, Wanted("c"), HOUR)
    rates = curves.rates(found, HOUR)
    known = ~np.isnan(rates)
    assert known.sum() == pytest.approx(10, abs=1)
    assert rates[known][-1] == pytest.approx(500 / 500, rel=0.01)
    assert np.isnan(rates[0])
    assert np.isnan(rates[-1])


def test_thinning_changes_no_total(store):
    """A thousand points in one bin count as their last one."""
    add(store, [(3500, 3400 - i, i) for i in range(1000)])
    assert total(store) == 999
    wide = Window(HOUR.from_ns, HOUR.to_ns, 3600 * SECOND)
    assert total(store, span=wide) == 999


def test_a_gauge_holds_for_five_minutes(store):
    """After its last point a gauge keeps its value for so long, then it is unknown."""
    add(store, [(None, 1800, 7.0)], name="g", gauge=True)
    (level,) = curves.levels(store, Wanted("g"), HOUR)
    held = ~np.isnan(level.values)
    assert held.sum() == 5
    assert set(level.values[held]) == {7.0}
    assert level.last == 7.0


def histogram(store, values, *, exponential=False, start=3000, at=100, name="h"):
    """Add one cumulative point of a histogram of values."""
    request = ExportMetricsServiceRequest()
    made = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    data = made.exponential_histogram if exponential else made.histogram
    data.aggregation_temporality = 2
    point = data.data_points.add(count=len(values), sum=sum(values), min=min(values), max=max(values))
    point.start_time_unix_nano, point.time_unix_nano = NOW - start * SECOND, NOW - at * SECOND
    if exponential:
        point.scale = 3
        places = [int(np.ceil(np.log2(value) * 8)) - 1 for value in values]
        point.positive.offset = min(places)
        counts = np.bincount(np.array(places) - min(places))
        point.positive.bucket_counts.extend(counts.tolist())
    else:
        bounds = [0.5, 1.0, 2.0, 4.0]
        point.explicit_bounds.extend(bounds)
        point.bucket_counts.extend(np.bincount(np.searchsorted(bounds, values), minlength=5).tolist())
    store.add("metrics", request)


@pytest.mark.parametrize("exponential", [False, True])
def test_quantiles_are_interpolated_as_everywhere(store, exponential):
    """A histogram's quantiles over a window are those of ``of_histogram`` on the same counts."""
    values = [0.7, 0.8, 1.5, 1.6, 1.7, 3.0, 3.1, 3.9]
    histogram(store, values, exponential=exponential)
    found = curves.curves(store, Wanted("h"), HOUR)
    whole = of_histogram(store.latest("h"))
    got = buckets.quantiles(found, HOUR, (0.05, 0.5, 0.95, 0.99))
    assert got == pytest.approx([whole.p05, whole.p50, whole.p95, whole.p99])
    if exponential:
        assert got[1] == pytest.approx(1.6, rel=0.1)


def test_exponential_histograms_of_two_scales_meet_at_the_coarser_one(store):
    """A sender that halves its resolution takes nothing away from what it had counted."""
    histogram(store, [1.0, 2.0, 4.0], exponential=True, at=2000)
    request = ExportMetricsServiceRequest()
    made = request.resource_metrics.add().scope_metrics.add().metrics.add(name="h")
    made.exponential_histogram.aggregation_temporality = 2
    point = made.exponential_histogram.data_points.add(count=5, sum=12, min=1, max=4, scale=0)
    point.start_time_unix_nano, point.time_unix_nano = NOW - 3000 * SECOND, NOW - 100 * SECOND
    point.positive.offset = -1
    point.positive.bucket_counts.extend([2, 1, 2])
    store.add("metrics", request)
    found = curves.curves(store, Wanted("h"), HOUR)
    assert curves.total(found, HOUR) == 5
    edges, counts = buckets.heat(found, HOUR)
    assert counts.sum() == pytest.approx(5)
    assert counts.min() >= 0
    assert edges[0] == 1.0


def test_windows_have_round_bins():
    """At most 91 bins, which begin at multiples of their length, the first and last cut to the window."""
    for seconds in (1, 59, 900, 3600, 86_400, 30 * 86_400, 400 * 86_400):
        span = window(NOW - seconds * SECOND - 12_345, NOW)
        edges = span.edges
        assert (edges[0], edges[-1]) == (span.from_ns, span.to_ns)
        assert len(edges) <= 92
        assert all(edge % span.step_ns == 0 for edge in edges[1:-1])
        assert (np.diff(edges) > 0).all()


def test_more_lines_than_fit_are_counted(store):
    """Of 30 series, the 20 largest are lines; the others are folded."""
    for i in range(30):
        add(store, [(3000, 2900, 0), (3000, 100, i)], instance=f"i{i:02}")
    found = metric(store, Asked({"name": "c", "by": "instance", "from": str(-3600 * SECOND)}, now_ns=NOW))
    assert len(found["series"]) == 20
    assert found["folded"] == 10
    assert {line["label"] for line in found["series"]} == {f"i{i:02}" for i in range(10, 30)}
