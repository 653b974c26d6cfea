"""The Prometheus way out: names, strict OpenMetrics, the faults of the upstream exporter, and the ways to serve it."""

import asyncio
import re
import socket
import subprocess
import sys
import urllib.request

import pytest
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from otelml import prometheus
from otelml.errors import ConfigError
from otelml.prometheus import PrometheusReader, asgi_app, register, wsgi_app
from otelml.prometheus_names import label_name, metric_name

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("otelml.predictions", "{prediction}", "counter", "otelml_predictions_total"),
        ("otelml.errors_total", "", "counter", "otelml_errors_total"),
        ("otelml.requests", "1", "counter", "otelml_requests_total"),
        ("otelml.active_requests", "{request}", "", "otelml_active_requests"),
        ("gpu.utilization", "1", "gauge", "gpu_utilization_ratio"),
        ("gpu.utilization", "1", "", "gpu_utilization"),
        ("gpu.utilization.pct", "%", "gauge", "gpu_utilization_pct_percent"),
        ("otelml.drift.psi", "", "gauge", "otelml_drift_psi"),
        ("gpu.memory.usage", "By", "gauge", "gpu_memory_usage_bytes"),
        ("hw.temperature", "Cel", "gauge", "hw_temperature_celsius"),
        ("throughput", "{prediction}/s", "gauge", "throughput_per_second"),
        ("throughput", "By/s", "gauge", "throughput_bytes_per_second"),
        ("otelml.prediction.duration", "s", "", "otelml_prediction_duration_seconds"),
        ("otelml.duration.seconds", "s", "", "otelml_duration_seconds"),
        ("otelml.confidence", "1", "", "otelml_confidence"),
        ("a..b--c", "", "gauge", "a_b_c"),
        ("2xx", "", "gauge", "_2xx"),
        ("x", "furlong", "gauge", "x_furlong"),
    ],
)
def test_names_are_the_collectors(name, unit, kind, expected):
    """Names equal those measured at Prometheus's OTLP endpoint."""
    assert metric_name(name, unit, counter=kind == "counter", gauge=kind == "gauge") == expected


def test_label_names():
    """Dots become underscores one for one; a leading digit gets a prefix."""
    assert [label_name(key) for key in ("ml.model.name", "a..b", "0x", "é")] == ["ml_model_name", "a__b", "key_0x", "_"]


@pytest.fixture
def reader():
    """Make a reader."""
    return PrometheusReader()


@pytest.fixture
def provider(reader):
    """Make a provider with that reader and a View for exponential histograms."""
    resource = Resource({"service.name": "flights", "service.version": "1"})
    views = [View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())]
    made = MeterProvider([reader], resource, shutdown_on_exit=False, views=views)
    yield made
    made.shutdown()


@pytest.fixture
def meter(provider):
    """Make a meter."""
    return provider.get_meter("otelml", "1.0")


def samples(text, parse=parse_openmetrics):
    """Parse a page into values by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def test_every_kind_of_instrument_in_both_formats(meter, reader):
    """Counter, up-down counter, gauge and histogram read back with exact values, from strict OpenMetrics and text."""
    meter.create_counter("ml.requests", "{request}", "Calls.").add(3, {"ml.model.name": 'a"b\\c\né', "b": True})
    meter.create_up_down_counter("ml.active", "1").add(2)
    meter.create_gauge("hw.gpu.utilization", "1").set(0.25)
    histogram = meter.create_histogram("ml.time", "s", explicit_bucket_boundaries_advisory=[0.1, 0.5])
    for value in (0.05, 0.1, 0.3, 7):
        histogram.record(value)
    for accept, parse in ((OPENMETRICS, parse_openmetrics), ("", parse_text)):
        body, content_type = reader.render(accept)
        assert content_type.startswith("application/openmetrics-text" if accept else "text/plain")
        assert b"otel_scope" not in body
        found = samples(body.decode(), parse)
        assert found["ml_requests_total", (("b", "true"), ("ml_model_name", 'a"b\\c\né'))] == 3
        assert found["ml_active", ()] == 2
        assert found["hw_gpu_utilization_ratio", ()] == 0.25
        buckets = [found["ml_time_seconds_bucket", (("le", le),)] for le in ("0.1", "0.5", "+Inf")]
        assert buckets == [2, 3, 4]
        assert found["ml_time_seconds_count", ()] == 4
        assert found["ml_time_seconds_sum", ()] == pytest.approx(7.45)
        assert found["target_info", (("service_name", "flights"), ("service_version", "1"))] == 1


def test_an_exponential_histogram_does_not_break_the_scrape(meter, reader):
    """Its count and sum are there, and so is everything else."""
    meter.create_histogram("exponential").record(3)
    meter.create_counter("other").add(1)
    found = samples(reader.render(OPENMETRICS)[0].decode())
    assert found["exponential_bucket", (("le", "+Inf"),)] == found["exponential_count", ()] == 1
    assert found["exponential_sum", ()] == 3
    assert found["other_total", ()] == 1


def test_flushes_leave_no_duplicates(meter, provider, reader):
    """After two flushes, a scrape shows each series once."""
    meter.create_counter("count").add(1)
    provider.force_flush()
    provider.force_flush()
    assert reader.render(OPENMETRICS)[0].decode().count("count_total 1.0") == 1


def test_a_histogram_with_negative_bounds_stays_valid(meter, reader):
    """OpenMetrics forbids its sum; the text format keeps it."""
    meter.create_histogram("v", explicit_bucket_boundaries_advisory=[-1.5, 1.5]).record(1)
    assert not any(name == "v_sum" for name, _ in samples(reader.render(OPENMETRICS)[0].decode()))
    assert samples(reader.render("")[0].decode(), parse_text)["v_sum", ()] == 1


def test_same_series_from_two_scopes_and_colliding_names(provider, reader):
    """Two scopes with one series give it once; two kinds under one name give the first; the page stays valid."""
    for scope in ("a", "b"):
        provider.get_meter(scope).create_counter("same").add(1)
    provider.get_meter("a").create_gauge("x.y").set(1)
    provider.get_meter("b").create_histogram("x_y").record(1)
    found = samples(reader.render(OPENMETRICS)[0].decode())
    assert found["same_total", ()] == 1
    assert found["x_y", ()] == 1


def test_colliding_labels_are_joined(meter, reader):
    """As the collector does: no sample is lost."""
    meter.create_counter("c").add(1, {"a.b": "1", "a_b": "2"})
    assert samples(reader.render(OPENMETRICS)[0].decode())["c_total", (("a_b", "1;2"),)] == 1


def test_text_that_utf8_cannot_hold(meter, reader):
    """Half a surrogate pair in a label is replaced: the scrape is answered."""
    meter.create_counter("c").add(1, {"a": "x\udd57"})
    assert samples(reader.render(OPENMETRICS)[0].decode())["c_total", (("a", "x?"),)] == 1


def test_exemplars_carry_the_trace(meter, reader):
    """The bucket that a sampled span's value fell into has its trace and span id, in OpenMetrics only."""
    histogram = meter.create_histogram("ml.time", "s", explicit_bucket_boundaries_advisory=[0.1, 0.5])
    with TracerProvider(shutdown_on_exit=False).get_tracer("t").start_as_current_span("s") as span:
        histogram.record(0.3)
        context = span.get_span_context()
    families = parse_openmetrics(reader.render(OPENMETRICS)[0].decode())
    with_exemplar = [s for f in families for s in f.samples if s.exemplar]
    assert [s.labels["le"] for s in with_exemplar] == ["0.5"]
    assert with_exemplar[0].exemplar.labels == {
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
    }
    assert b"trace_id" not in reader.render("")[0]


def test_counts_are_cumulative_beside_a_delta_reader():
    """A delta reader beside it, as for OTLP, takes nothing away from the scrape."""
    delta = InMemoryMetricReader({Counter: AggregationTemporality.DELTA})
    reader = PrometheusReader()
    counter = MeterProvider([delta, reader], shutdown_on_exit=False).get_meter("m").create_counter("c")
    for _ in range(3):
        counter.add(1)
        delta.get_metrics_data()
    assert samples(reader.render(OPENMETRICS)[0].decode())["c_total", ()] == 3


def test_server(meter, reader):
    """It answers /metrics in the format asked for, 404 elsewhere, and frees its port on shutdown."""
    meter.create_counter("c").add(1)
    port = reader.serve("127.0.0.1", 0)
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": OPENMETRICS})
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - loopback
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert samples(response.read().decode())["c_total", ()] == 1
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/nothing", timeout=5)
    with pytest.raises(ConfigError, match="another port"):
        PrometheusReader().serve("127.0.0.1", port)
    reader.shutdown()
    socket.create_server(("127.0.0.1", port)).close()


def test_mounted_apps(meter, reader):
    """The ASGI and WSGI apps answer with the reader's metrics."""
    meter.create_counter("c").add(2)
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": [(b"accept", OPENMETRICS.encode())]}
    asyncio.run(asgi_app(reader)(scope, None, send))
    assert sent[0]["status"] == 200
    assert samples(sent[1]["body"].decode())["c_total", ()] == 2
    started = []
    body = b"".join(wsgi_app(reader)({"HTTP_ACCEPT": ""}, lambda *answer: started.append(answer)))
    assert started[0][0] == "200 OK"
    assert re.search(rb"^c_total 2.0$", body, re.MULTILINE)


def test_the_app_attaches_itself_to_the_global_provider():
    """Mounted without a reader, the app shows what is counted after it was made; before there is an SDK, nothing."""
    script = """
import asyncio
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from otelml.prometheus import asgi_app
def scrape(app):
    sent = []
    async def send(message): sent.append(message)
    asyncio.run(app({"type": "http", "headers": []}, None, send))
    return sent[1]["body"].decode()
early = asgi_app()
print(repr(scrape(early)))
metrics.set_meter_provider(MeterProvider(shutdown_on_exit=False))
app = asgi_app()
metrics.get_meter("m").create_counter("c").add(1)
print("c_total 1.0" in scrape(app), "c_total 1.0" in scrape(early), "c_total 1.0" in scrape(asgi_app()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.splitlines() == ["''", "True True True"], done.stderr


def test_register_is_what_the_apps_find(provider, reader):
    """The pipeline registers its reader, so that a mounted app adds no second one."""
    register(provider, reader)
    assert prometheus._readers[provider] is reader
