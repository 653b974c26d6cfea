"""Canaries: every private name of the SDK in _sdk.py, so that a new release that changes one fails here first."""

import ast
import asyncio
import logging
import random
import threading
from contextvars import ContextVar, copy_context
from importlib import import_module
from pathlib import Path

import opentelemetry.context as otel_context
import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.utils import is_instrumentation_enabled, suppress_instrumentation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    StaticSampler,
    TraceIdRatioBased,
)

from otelml import _sdk

PACKAGE = Path(_sdk.__file__).parent
OURS = ("_sdk.py", "_sdk_metrics.py")


def tracer(sampler=None, *processors):
    """Return a tracer of the SDK."""
    provider = TracerProvider(sampler, shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider.get_tracer("otelml")


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


# Spans --------------------------------------------------------------------------------------------------------------


SAMPLERS = [
    ParentBased(ALWAYS_ON),
    ALWAYS_ON,
    ALWAYS_OFF,
    TraceIdRatioBased(0.5),
    ParentBased(TraceIdRatioBased(0.5)),
    ParentBased(ALWAYS_OFF),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda x: x.get_description())
def test_samplers_of_the_sdk_are_direct(sampler):
    """With the SDK's samplers spans may go straight to the processors, and our decision is theirs on any trace id."""
    made = tracer(sampler)
    assert _sdk.direct_tracer(made, ()) is made
    decide, follows = _sdk.decision(sampler)
    assert follows == (type(sampler) is ParentBased)
    for trace_id in (1, 2**63, 2**64 - 1, 2**127 + 5, *(random.getrandbits(128) for _ in range(200))):
        theirs = sampler.should_sample(None, trace_id, "x").decision is Decision.RECORD_AND_SAMPLE
        assert (decide is None or decide(trace_id)) == theirs


def test_static_samplers_that_only_record_are_not_direct():
    """A sampler that records without sampling decides for itself."""
    assert _sdk.direct_tracer(tracer(StaticSampler(Decision.RECORD_ONLY)), ()) is None


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
    assert seen is _sdk.processors_getter(made)()
    provider.add_span_processor(Ending())
    assert seen is not _sdk.processors_of(made)
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    own = trace.SpanContext(1, 2, is_remote=False, trace_flags=flags)
    _sdk.end_span(made, ReadableSpan("x", own, start_time=1, end_time=2))
    assert [span.name for span in exporter.get_finished_spans()] == ["x"]
    assert made._is_enabled()
    assert SpanProcessor._on_ending


def spans_resource(resource):
    """Return what a tracer that was made before names the process, when spans' provider has been given a resource."""
    provider = TracerProvider(resource=Resource({"service.instance.id": "parent"}), shutdown_on_exit=False)
    made = provider.get_tracer("otelml")
    assert _sdk.name_instance(provider, resource)
    return made.resource


def logs_resource(resource):
    """Return the same of a logger."""
    provider = LoggerProvider(resource=Resource({"service.instance.id": "parent"}), shutdown_on_exit=False)
    made = provider.get_logger("otelml")
    assert _sdk.name_instance(provider, resource)
    return made.resource


def metrics_resource(resource):
    """Return the same of what a meter's measurements are exported with."""
    reader = InMemoryMetricReader()
    own = Resource({"service.instance.id": "parent"})
    provider = MeterProvider([reader], resource=own, shutdown_on_exit=False)
    counter = provider.get_meter("otelml").create_counter("c")
    assert _sdk.name_instance(provider, resource)
    counter.add(1)
    return reader.get_metrics_data().resource_metrics[0].resource


@pytest.mark.parametrize("named", [spans_resource, logs_resource, metrics_resource])
def test_a_child_is_named_on_every_provider(named):
    """A provider takes another resource, and what was made of it before says so."""
    assert named(Resource({"service.instance.id": "child"})).attributes["service.instance.id"] == "child"


def test_others_cannot_be_named():
    """A provider that is not the SDK's, or whose way takes something else, keeps its name; nothing is raised."""

    class Changed:
        def _update_resource(self):
            """Take nothing."""

    resource = Resource({"service.instance.id": "child"})
    assert not _sdk.name_instance(trace.NoOpTracerProvider(), resource)
    assert not _sdk.name_instance(Changed(), resource)


def test_private_names_are_only_here():
    """No other module of otelml reaches into OpenTelemetry: `_internal` modules, or attributes of SDK objects."""
    private = {
        node.attr
        for name in OURS
        for node in ast.walk(ast.parse((PACKAGE / name).read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
    }
    private -= {"_lock", "_index", "_value", "_sum", "_min", "_max"}
    for path in PACKAGE.rglob("*.py"):
        if path.name in OURS:
            continue
        text = path.read_text(encoding="utf-8")
        used = {n.attr for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute)}
        own = {n.attr for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute) and _is_self(n.value)}
        assert not (used - own) & private, path


def _is_self(node):
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


@pytest.mark.parametrize("known", [True, False], ids=["keys", "fall-back"])
def test_suppression_is_what_upstream_says(monkeypatch, known):
    """By its keys or by upstream's own function: a context says the same, whoever suppressed instrumentation in it."""
    assert _sdk.SUPPRESSING is not None
    if not known:
        monkeypatch.setattr(_sdk, "SUPPRESSING", None)
    for key in ("suppress_instrumentation", otel_context._SUPPRESS_INSTRUMENTATION_KEY, "something_else"):
        token = otel_context.attach(otel_context.set_value(key, True))  # noqa: FBT003 - the value of the key
        assert _sdk.is_suppressed(_sdk.get_current()) is not is_instrumentation_enabled()
        otel_context.detach(token)
    with suppress_instrumentation():
        assert _sdk.is_suppressed(_sdk.get_current())
    assert not _sdk.is_suppressed(_sdk.get_current())


def test_a_childs_context_is_what_the_constructor_makes():
    """The short cut gives the same context as the checked constructor, for every flag and trace state."""
    for flags in range(4):
        state = trace.TraceState([("vendor", "x")])
        above = trace.SpanContext(1 << 100, 2, is_remote=True, trace_flags=trace.TraceFlags(flags), trace_state=state)
        child = _sdk.child_context(above, 3)
        checked = _sdk.checked_context(1 << 100, 3, trace.TraceFlags(flags), state)
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


def test_the_sdk_draws_random_numbers_of_its_own(otlp):
    """A seeded program draws the same numbers with measurements and exports in between."""
    imported = [import_module(name) for name, _, _ in _sdk._DRAWING]
    assert _sdk.keep_random_apart() == [module.__name__ for module in imported]
    reader = InMemoryMetricReader()
    counter = MeterProvider([reader], shutdown_on_exit=False).get_meter("m").create_counter("c")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    exporter = OTLPSpanExporter(f"{otlp.endpoint}/v1/traces", timeout=5.0)
    with tracer.start_as_current_span("s") as span:
        random.seed(1)
        before = random.getstate()
        counter.add(1)
        exporter.export([span])
        assert random.getstate() == before
    assert len(otlp.spans()) == 1
    assert reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0].exemplars
