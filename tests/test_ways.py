"""The way that is told is the way that is taken: for every reason, spans and events are put in as it says."""

import pytest
from opentelemetry import metrics, trace
from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased

import otelml
from otelml import _sdk_metrics, config, runtime, ways
from otelml._drops import Drops
from otelml.encoding import Encoded
from otelml.export import BatchQueue
from otelml.logs import JsonFileExporter
from otelml.otlp import maker, takes_encoded
from otelml.outage import Outage
from otelml.pipeline import Pipeline
from otelml.processors import LogQueueProcessor, SpanQueueProcessor

NOWHERE = config.load({"exporter_otlp_endpoint": "http://127.0.0.1:9", "exporter_otlp_timeout": 0.1}, {})


class Watching(SpanProcessor):
    """Somebody's processor that sees spans start."""

    def on_start(self, span, parent_context=None):
        """Look."""


class Picky(Sampler):
    """Somebody's sampler."""

    def should_sample(self, *args, **kwargs):
        """Decide as the SDK's does."""
        return ALWAYS_ON.should_sample(*args, **kwargs)

    def get_description(self):
        """Return its name."""
        return "picky"


class Watched(BatchQueue):
    """A queue that remembers what kinds of items it was given."""

    def put(self, item):
        """Remember and queue."""
        self.__dict__.setdefault("kinds", set()).add(type(item))
        return super().put(item)


@pytest.fixture
def queue():
    """Give what makes a queue for an exporter; all are closed at the end."""
    made = []

    def make(what, exporter):
        made.append(Watched(what, exporter, lambda *_: None, Outage(), delay=60.0))
        return made[-1]

    yield make
    for one in made:
        one.shutdown(0.0)


def kinds(queue, tracers=None, loggers=None):
    """Make a prediction on the providers; return whether a queue was given encoded messages."""
    tracers = tracers or TracerProvider(shutdown_on_exit=False)
    loggers = loggers or LoggerProvider(shutdown_on_exit=False)
    made = Pipeline(tracers, MeterProvider(shutdown_on_exit=False), loggers)
    working, runtime.active = runtime._assemble(NOWHERE, made, Drops()), None
    runtime.active = working
    try:
        with otelml.prediction("m") as p:
            p.result(classes="a")
        working.recorder.drain()
    finally:
        runtime.active = None
    return Encoded in queue.__dict__.get("kinds", ())


LIMITED = SpanLimits(max_span_attribute_length=10)


@pytest.mark.parametrize(
    ("options", "others", "words", "fix"),
    [
        ({}, [], None, None),
        ({"sampler": ParentBased(TraceIdRatioBased(1.0))}, [], None, None),
        ({"sampler": Picky()}, [], "the sampler test_ways.Picky looks at every span", "OTEL_TRACES_SAMPLER"),
        ({}, [Watching()], "the span processor test_ways.Watching sees spans start", "collector"),
        ({}, [SimpleSpanProcessor(InMemorySpanExporter())], "opentelemetry.SimpleSpanProcessor needs", "collector"),
        ({"span_limits": LIMITED}, [], "limits", "OTEL_*_LIMIT"),
    ],
    ids=["plain", "ratio", "sampler", "starts", "processor", "limits"],
)
def test_spans(queue, options, others, words, fix):
    """Spans are encoded where there is no reason against it, and not where there is."""
    spans = queue("span", maker(NOWHERE, "traces", "otlp", lambda *_: None))
    provider = TracerProvider(shutdown_on_exit=False, **options)
    provider.add_span_processor(SpanQueueProcessor(spans, takes_encoded=takes_encoded(spans.exporter)))
    for other in others:
        provider.add_span_processor(other)
    reason = ways.why_not_spans(provider)
    assert kinds(spans, tracers=provider) == (reason is None)
    assert (reason is None) == (words is None)
    if reason:
        assert words in reason.text
        assert fix in reason.fix


def test_spans_to_the_console_or_twice(queue):
    """An exporter that is not for OTLP, and a second one, are reasons; so is none at all."""
    otlp = queue("span", maker(NOWHERE, "traces", "otlp", lambda *_: None))
    console = queue("span", ConsoleSpanExporter)
    provider = TracerProvider(shutdown_on_exit=False)
    assert ways.why_not_spans(provider).text == "nothing is exported"
    provider.add_span_processor(SpanQueueProcessor(console))
    assert ways.why_not_spans(provider).text == "the exporter ConsoleSpanExporter takes the SDK's objects"
    provider.add_span_processor(SpanQueueProcessor(otlp, takes_encoded=True))
    assert ways.why_not_spans(provider).text == "there are 2 exporters"
    assert not kinds(otlp, tracers=provider)


def test_the_exporters_own_metrics(queue, monkeypatch):
    """Where the official exporter is to count what it encodes, it is named, with the variable to unset."""
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    spans = queue("span", maker(NOWHERE, "traces", "otlp", lambda *_: None))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SpanQueueProcessor(spans, takes_encoded=takes_encoded(spans.exporter)))
    assert ways.why_not_spans(provider).fix == "unset OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
    assert not kinds(spans, tracers=provider)


def test_a_provider_of_somebody_else():
    """A tracer or logger that is not the SDK's is named."""
    assert ways.why_not_events(NoOpLoggerProvider()).text == "the logger is not the SDK's but opentelemetry.NoOpLogger"
    reason = ways.why_not_spans(trace.NoOpTracerProvider())
    assert reason.text == "the tracer is not the SDK's but opentelemetry.NoOpTracer"


@pytest.mark.parametrize("case", ["plain", "limits", "processor", "file"])
def test_events(queue, tmp_path, case):
    """Events are encoded where there is no reason against it, and not where there is."""
    logs = queue("log", maker(NOWHERE, "logs", "otlp", lambda *_: None))
    limits = LogRecordLimits(max_attribute_length=10) if case == "limits" else None
    provider = LoggerProvider(shutdown_on_exit=False, log_record_limits=limits)
    provider.add_log_record_processor(LogQueueProcessor(logs, takes_encoded=takes_encoded(logs.exporter)))
    words = {"plain": None, "limits": "limits", "processor": "SimpleLogRecordProcessor", "file": "JSON log file"}
    if case == "processor":
        provider.add_log_record_processor(SimpleLogRecordProcessor(InMemoryLogRecordExporter()))
    if case == "file":
        file = queue("log_line", lambda: JsonFileExporter(str(tmp_path / "x.log")))
        provider.add_log_record_processor(LogQueueProcessor(file))
    reason = ways.why_not_events(provider)
    assert kinds(logs, loggers=provider) == (reason is None)
    assert (reason is None) == (words[case] is None)
    if reason:
        assert words[case] in reason.text


def test_all_three():
    """One row a signal; metrics go as the SDK's objects always, and the reason is about their histograms."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False, views=[_sdk_metrics.BATCH_VIEW])
    found = ways.ways(
        TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False), meters, batches=True
    )
    assert [way[:2] for way in found] == [
        ("traces", "SDK objects"),
        ("logs", "SDK objects"),
        ("metrics", "SDK objects"),
    ]
    assert found[2].reason is None
    assert "exponential" in ways.why_not_batches(meters, batches=False).text
    assert "opentelemetry.NoOpMeterProvider" in ways.why_not_batches(metrics.NoOpMeterProvider(), batches=False).text
