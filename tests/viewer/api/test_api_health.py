"""The health of telemetry: what is received, gaps, each mistake with its fix, and silence about what is right."""

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelml.viewer.api.health import health
from otelml.viewer.api.parameters import Asked
from otelml.viewer.store import Store

SECOND = 10**9
NOW = 1_700_000_000 * SECOND


@pytest.fixture
def store():
    """Give an empty store."""
    with Store() as opened:
        yield opened


def add(store, name, *, unit="", delta=False, gauge=False, times=(60,), instance="a", service="s", **labels):
    """Add points of one metric at seconds before NOW."""
    request = ExportMetricsServiceRequest()
    sent = request.resource_metrics.add()
    for key, text in {"service.name": service, "service.instance.id": instance}.items():
        if text:
            sent.resource.attributes.add(key=key).value.string_value = text
    made = sent.scope_metrics.add().metrics.add(name=name, unit=unit)
    if not gauge:
        made.sum.aggregation_temporality, made.sum.is_monotonic = 1 if delta else 2, True
    for at in times:
        point = (made.gauge if gauge else made.sum).data_points.add(as_double=1, time_unix_nano=NOW - at * SECOND)
        point.start_time_unix_nano = 1
        for key, text in labels.items():
            point.attributes.add(key=key).value.string_value = text
    store.add("metrics", request)


def found(store):
    """Return the mistakes by id."""
    return {mistake["id"]: mistake for mistake in health(store, Asked({}, now_ns=NOW))["mistakes"]}


def test_what_is_right_has_no_mistakes(served):
    """What otelml itself sends is without fault, gaps and pruning, and counted in full."""
    answer = served.get("health")
    assert answer["mistakes"] == []
    assert answer["gaps"] == []
    assert {signal: row["items"] for signal, row in answer["received"].items()} == served.store.received
    assert answer["store"]["pruned"] == {"traces": 0, "logs": 0, "metrics": 0}
    assert 0 < answer["store"]["bytes"] < answer["store"]["limit"]
    ((oldest,),) = served.store.query("SELECT min(start_ns) FROM spans")
    assert answer["store"]["oldest_ns"] <= oldest


@pytest.mark.parametrize(
    ("kind", "made", "fix"),
    [
        ("no-instance-id", {"name": "c", "instance": ""}, "service.instance.id"),
        ("no-service-name", {"name": "c", "service": "unknown_service:python"}, "OTEL_SERVICE_NAME"),
        ("delta-temporality", {"name": "c", "delta": True}, "cumulative"),
        ("unit", {"name": "c", "unit": "seconds"}, "write it as s"),
    ],
)
def test_each_mistake_is_told_with_its_fix(store, kind, made, fix):
    """One wrong thing, one mistake, with what to write instead and where to read on."""
    add(store, **made)
    mistakes = found(store)
    assert set(mistakes) == {kind}
    assert fix in mistakes[kind]["fix"]
    assert mistakes[kind]["docs"].startswith("https://")
    assert mistakes[kind]["severity"] in ("error", "warning")


@pytest.mark.parametrize("unit", ["s", "By", "1", "{request}", "{request}/s", "By/s", "ms", "Cel", "%", "kBy", ""])
def test_units_of_ucum_are_fine(store, unit):
    """And so are annotations in braces, and quotients."""
    add(store, "c", unit=unit)
    assert found(store) == {}


def test_labels_without_bound_are_found(store):
    """The metric, and the label that makes it explode."""
    for i in range(2001):
        add(store, "c", user=f"u{i}", region="eu")
    (mistake,) = found(store).values()
    assert mistake["id"] == "cardinality"
    assert "2,001 sets of attributes; user alone has" in mistake["what"]
    assert "take user off" in mistake["fix"]


def test_names_that_collide(store):
    """One name for two kinds, and two names that are one in Prometheus."""
    add(store, "a.b", unit="s")
    add(store, "a.b", unit="By")
    add(store, "x.y")
    add(store, "x_y")
    mistakes = found(store)
    assert set(mistakes) == {"name-collision", "prometheus-collision"}
    assert "sum in By and sum in s" in mistakes["name-collision"]["what"]
    assert mistakes["prometheus-collision"]["where"] == "x_y_total"


def test_orphans_and_clocks(store):
    """Spans whose parents never came, told once there are ten; and spans that end before they start."""
    request = ExportTraceServiceRequest()
    sent = request.resource_spans.add()
    sent.resource.attributes.add(key="service.name").value.string_value = "s"
    scope = sent.scope_spans.add()
    for i in range(1, 11):
        span = scope.spans.add(name="x", trace_id=bytes([i] * 16), span_id=bytes([i] * 8), parent_span_id=b"parentid")
        span.start_time_unix_nano = span.end_time_unix_nano = NOW - 100 * SECOND
    scope.spans[0].end_time_unix_nano -= 5
    store.add("traces", request)
    mistakes = found(store)
    assert set(mistakes) == {"orphan-spans", "clock"}
    assert mistakes["orphan-spans"]["what"].startswith("10 spans have a parent that did not arrive, as in trace 0")


def test_gaps_are_of_one_instance(store):
    """An instance that was silent for two minutes between points every ten seconds; the other one was not."""
    steady = tuple(range(600, 0, -10))
    add(store, "c", times=steady, instance="a")
    add(store, "c", times=[at for at in steady if not 200 < at < 320], instance="b")
    (gap,) = health(store, Asked({}, now_ns=NOW))["gaps"]
    assert (gap["service"], gap["instance"], gap["signal"]) == ("s", "b", "metrics")
    assert (gap["from_ns"], gap["to_ns"]) == (NOW - 320 * SECOND, NOW - 200 * SECOND)
