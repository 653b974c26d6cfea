"""Canaries: every private name of the SDK in _sdk.py, so that a new release that changes one fails here first."""

import ast
import asyncio
import logging
import threading
from contextvars import ContextVar, copy_context
from pathlib import Path

import numpy as np
import opentelemetry.context as otel_context
import pytest
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, TraceIdRatioBased

from otelml import _sdk

PACKAGE = Path(_sdk.__file__).parent


def tracer(sampler=None, *processors):
    """Return a tracer of the SDK."""
    provider = TracerProvider(sampler, shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider.get_tracer("otelml")


def meter(*readers, views=(_sdk.BATCH_VIEW,)):
    """Return a provider and a histogram of our meter."""
    provider = MeterProvider(readers, shutdown_on_exit=False, views=views)
    histogram = provider.get_meter("otelml").create_histogram("h", explicit_bucket_boundaries_advisory=[1.0, 2.0])
    return provider, histogram


def points(reader):
    """Return a reader's data points of the first metric."""
    data = reader.get_metrics_data()
    return data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points if data else []


# Context ------------------------------------------------------------------------------------------------------------


def test_context_variable_is_the_apis():
    """attach() sets what OpenTelemetry's own get_current() reads, and detach() puts it back."""
    assert isinstance(_sdk._variable, ContextVar)
    before = otel_context.get_current()
    token = _sdk.attach(Context({"k": 1}))
    assert otel_context.get_value("k") == 1
    assert _sdk.get_current() == otel_context.get_current()
    _sdk.detach(token)
    assert otel_context.get_current() is before


def test_span_key_is_the_apis():
    """A context made by with_span() is read by the API, and the API's by span_in()."""
    span = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    assert _sdk.SPAN_KEY is not None
    made = _sdk.with_span(Context({"a": 1}), span, "k", 5)
    assert trace.get_current_span(made) is span
    assert (made["a"], made["k"]) == (1, 5)
    assert _sdk.span_in(trace.set_span_in_context(span, Context())) is span
    assert trace.get_current_span(_sdk.only_span(span)) is span
    assert _sdk.span_in(Context()) is trace.INVALID_SPAN
    assert _sdk.only_span(trace.INVALID_SPAN)  # an empty context would mean the thread's own to the SDK


def test_detach_elsewhere_is_silent(caplog):
    """Detaching in another thread, another task or twice neither raises nor logs, as the API's own would."""
    token, loop = _sdk.attach(Context({"k": 1})), asyncio.new_event_loop()
    with caplog.at_level(logging.DEBUG):
        thread = threading.Thread(target=_sdk.detach, args=(token,))
        thread.start()
        thread.join()
        copy_context().run(_sdk.detach, token)

        async def task():
            _sdk.detach(token)

        loop.run_until_complete(task())
        assert otel_context.get_value("k") == 1
        _sdk.detach(token)
        _sdk.detach(token)
    assert otel_context.get_value("k") is None
    loop.close()
    assert caplog.records == []


def test_public_ways_do_the_same(monkeypatch):
    """Without the private names the public calls take over, with the same result."""
    monkeypatch.setattr(_sdk, "_variable", None)
    monkeypatch.setattr(_sdk, "SPAN_KEY", None)
    span = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    made = _sdk.with_span(Context({"a": 1}), span, "k", 5)
    assert (_sdk.span_in(made), made["a"], made["k"]) == (span, 1, 5)
    assert _sdk.span_in(_sdk.only_span(span)) is span
    token = otel_context.attach(made)
    _sdk.detach(token)
    assert otel_context.get_value("k") is None


# Histograms ---------------------------------------------------------------------------------------------------------


def test_batches_are_taken():
    """Our aggregation takes a batch as its values, beside single ones, and keeps sum, extremes and buckets."""
    reader = InMemoryMetricReader()
    provider, histogram = meter(reader)
    assert _sdk.takes_batches(provider, histogram)
    histogram.record(_sdk.Batch(np.array([0.5, 1.0, 1.5, 9.0])))
    histogram.record(1.5)
    (point,) = points(reader)
    assert (point.count, point.sum, point.min, point.max) == (5, 13.5, 0.5, 9.0)
    assert list(point.bucket_counts) == [2, 2, 1]
    assert list(point.explicit_bounds) == [1.0, 2.0]


@pytest.mark.parametrize(
    "views",
    [
        (),
        (View(instrument_name="h", aggregation=ExplicitBucketHistogramAggregation([5.0])),),
        (_sdk.BATCH_VIEW, View(instrument_name="h", name="second")),
    ],
    ids=["none", "theirs", "both"],
)
def test_batches_are_not_given_to_others(views):
    """Where any stream of the histogram is not ours, batches are not taken."""
    provider, histogram = meter(InMemoryMetricReader(), views=views)
    assert not _sdk.takes_batches(provider, histogram)


def test_foreign_providers_take_no_batches():
    """A provider that is not the SDK's takes single values."""
    provider = metrics.NoOpMeterProvider()
    assert not _sdk.takes_batches(provider, provider.get_meter("x").create_histogram("h"))
    assert not _sdk.forget_measurements(provider)


def test_forgetting_measurements():
    """After a fork sums start from zero, locks are new, and instruments that exist go on counting."""
    reader = InMemoryMetricReader()
    provider, histogram = meter(reader)
    calls = []
    provider.get_meter("otelml").create_observable_counter("c", [lambda _: calls.append(1) or []])
    histogram.record(_sdk.Batch(np.array([0.5, 1.5])))
    assert points(reader)[0].count == 2
    provider._measurement_consumer._lock.acquire()  # a parent's thread held it
    assert _sdk.forget_measurements(provider)
    assert points(reader) == []
    histogram.record(_sdk.Batch(np.array([0.5])))
    assert points(reader)[0].count == 1
    assert len(calls) == 3


def test_periodic_readers_have_the_locks_that_are_renewed():
    """The reader's locks that forget_measurements() renews exist under their names."""
    assert {"_export_lock"} <= set(vars(PeriodicExportingMetricReader(_Exporter(), 60_000)))


class _Exporter:
    """An exporter that exports nothing."""

    _preferred_temporality = _preferred_aggregation = None

    def shutdown(self, *_, **__):
        """Do nothing."""


# Spans --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampler", "always"),
    [
        (None, True),
        (ParentBased(ALWAYS_ON), True),
        (ALWAYS_ON, False),
        (ALWAYS_OFF, False),
        (TraceIdRatioBased(0.5), False),
        (ParentBased(TraceIdRatioBased(0.5)), False),
    ],
    ids=lambda x: type(x).__name__,
)
def test_samplers_of_the_sdk_are_direct(sampler, always):
    """With the SDK's samplers spans may go straight to the processors; only the default samples every root."""
    made = tracer(sampler)
    assert _sdk.direct_tracer(made, ()) is made
    assert _sdk.always_on_root(made) == always


class Watching(SpanProcessor):
    """Somebody's processor that sees spans start."""

    def on_start(self, span, parent_context=None):
        """Look."""


class Ending(SpanProcessor):
    """Somebody's processor that only sees spans end."""

    def on_end(self, span):
        """Look."""


@pytest.mark.parametrize(
    ("processor", "direct"),
    [
        (SimpleSpanProcessor(InMemorySpanExporter()), True),
        (BatchSpanProcessor(InMemorySpanExporter()), True),
        (Ending(), True),
        (Watching(), False),
    ],
    ids=lambda x: type(x).__name__,
)
def test_processors_that_see_starts_are_served(processor, direct):
    """A processor that overrides on_start gets real spans; one that only sees the end need not."""
    made = tracer(None, processor)
    assert (_sdk.direct_tracer(made, ()) is made) == direct
    assert _sdk.direct_tracer(made, (Watching,)) is made
    processor.shutdown()


@pytest.mark.parametrize(
    "odd", [ParentBased(ALWAYS_ON, remote_parent_sampled=ALWAYS_OFF), ParentBased(ParentBased(ALWAYS_OFF))]
)
def test_other_samplers_decide_themselves(odd):
    """A sampler whose decision for a child is not its root's is asked for every span, unless it is the default's."""
    made = tracer(odd)
    expected = made if odd.get_description().count("ParentBased") == 2 else None
    assert _sdk.direct_tracer(made, ()) is expected


def test_names_on_the_tracer():
    """Scope, limits, processors and the way to hand a finished span over are where they were."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    made = provider.get_tracer("otelml", "1")
    assert (_sdk.scope_of(made).name, _sdk.scope_of(made).version) == ("otelml", "1")
    assert _sdk.limits_of(made).max_events == 128
    seen = _sdk.processors_of(made)
    assert seen is _sdk.processors_of(made)
    provider.add_span_processor(Ending())
    assert seen is not _sdk.processors_of(made)
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    own = trace.SpanContext(1, 2, is_remote=False, trace_flags=flags)
    _sdk.end_span(made, ReadableSpan("x", own, start_time=1, end_time=2))
    assert [span.name for span in exporter.get_finished_spans()] == ["x"]
    assert made._is_enabled()
    assert SpanProcessor._on_ending


def test_private_names_are_only_here():
    """No other module of otelml reaches into OpenTelemetry: `_internal` modules, or attributes of SDK objects."""
    private = {
        node.attr
        for node in ast.walk(ast.parse((PACKAGE / "_sdk.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
    }
    private -= {"_lock", "_counts", "_value", "_sum", "_min", "_max"}
    for path in PACKAGE.rglob("*.py"):
        if path.name == "_sdk.py":
            continue
        text = path.read_text(encoding="utf-8")
        used = {n.attr for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute)}
        own = {n.attr for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute) and _is_self(n.value)}
        assert not (used - own) & private, path


def _is_self(node):
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def test_a_childs_context_is_what_the_constructor_makes():
    """The short cut gives the same context as the checked constructor, for every flag and trace state."""
    for flags in range(4):
        state = trace.TraceState([("vendor", "x")])
        above = trace.SpanContext(1 << 100, 2, is_remote=True, trace_flags=trace.TraceFlags(flags), trace_state=state)
        child, checked = _sdk.child_context(above, 3), _sdk._checked_span_context(above, 3)
        assert child == checked
        assert type(child) is trace.SpanContext
        assert (child.is_valid, child.is_remote, child.trace_flags, child.trace_state) == (True, False, flags, state)


def test_log_processors_are_where_we_look():
    """A logger's processors, limits, resource and scope are known; of a foreign logger nothing is."""
    provider = LoggerProvider(shutdown_on_exit=False)
    logger = provider.get_logger("otelml")
    processor = SimpleLogRecordProcessor(InMemoryLogRecordExporter())
    provider.add_log_record_processor(processor)
    assert _sdk.log_processors_of(logger) == (processor,)
    assert _sdk.log_processors_of(logger) is _sdk.log_processors_of(logger)
    assert _sdk.plain_limits(_sdk.log_limits_of(logger), "log_record")
    assert _sdk.log_home(logger)[1].name == "otelml"
    assert _sdk.log_processors_of(object()) == ()
    assert not _sdk.plain_limits(_sdk.log_limits_of(object()), "log_record")


def test_unknown_exporters_have_no_sender():
    """Only the official exporter's client is used; the encoders are the official ones."""
    assert _sdk.sender(InMemorySpanExporter()) is None
    assert _sdk.encoder("traces").__name__ == "encode_spans"
    assert _sdk.encoder("logs").__name__ == "encode_logs"


# Export over gRPC ---------------------------------------------------------------------------------------------------


class Changed:
    """A gRPC exporter of a later release: names are there, but it sends something else than it is given."""

    _stub = _channel = _client = None

    def _initialize_channel_and_stub(self):
        """Do nothing."""

    def _translate_data(self, batch):
        return batch

    def _export(self, batch):
        self._client.Export(request=[self._translate_data(batch)])
        return SpanExportResult.SUCCESS


class Renamed(Changed):
    """One whose loop has another name."""

    _export = None


def test_a_grpc_exporter_that_changed_is_noticed_before_anything_is_sent():
    """A dry run tells whether bytes are sent as they are; where not, the exporter is left as it was."""
    for kind in (Changed, Renamed):
        exporter = kind()
        assert _sdk.set_stub(exporter, lambda _: "client")
        assert _sdk.sender(exporter) is None
        assert exporter._client == "client"
        assert exporter._translate_data([1]) == [1]
        assert exporter._translate_data(b"x") == b"x"
    assert not _sdk.set_stub(InMemorySpanExporter(), lambda _: "client")


def test_names_on_the_grpc_exporter():
    """The official gRPC exporter takes bytes and our stub, keeps both when it connects again, and knows no limit."""
    exporter = GrpcSpanExporter(endpoint="http://127.0.0.1:9")
    calls = []

    class Client:
        def Export(self, **options):  # noqa: N802 - the service calls it so
            calls.append(options)

    assert _sdk.set_stub(exporter, lambda _: Client())
    exporter._initialize_channel_and_stub()
    assert type(exporter._client) is Client
    sender = _sdk.sender(exporter)
    assert calls == []
    assert sender.largest == 0
    assert sender.send(b"request")
    assert calls[0]["request"] == b"request"
    assert set(calls[0]) == {"request", "metadata", "timeout"}
    exporter.shutdown()
    assert not sender.send(b"request")
