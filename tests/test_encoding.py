"""Encoded spans and events are, field by field, what the SDK's way exports for the same predictions."""

import asyncio
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from canonical import canonical
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

import otelml
from otelml import _labels, config, encoding, runtime
from otelml._drops import Drops
from otelml.context import with_request_id
from otelml.encoding import Encoded
from otelml.export import BatchQueue
from otelml.otlp import mixed
from otelml.outage import Outage
from otelml.pipeline import Pipeline
from otelml.processors import LogQueueProcessor, SpanQueueProcessor
from otelml.testing import CountingIds, SteppingClock
from otelml.viewer.receiver import Receiver

RESOURCE = Resource({"service.name": "tést", "n": 3, "list": ["a", "b"]}, "https://example.org/schema")


class Watched(BatchQueue):
    """A queue that remembers what kinds of items it was given."""

    def put(self, item):
        """Remember and queue."""
        self.__dict__.setdefault("kinds", []).append(type(item))
        return super().put(item)


class Way:
    """One of the two ways, at work."""

    def __init__(self, endpoint, *, encoded, sampler=None, span_limits=None, log_limits=None, **options):
        self.drops = Drops()
        kwargs = {"compression": options.pop("compression", Compression.NoCompression), "timeout": 3.0}
        outage, sizes = Outage(), {"delay": 30.0}
        spans = mixed(lambda: OTLPSpanExporter(f"{endpoint}/v1/traces", **kwargs), "traces")
        logs = mixed(lambda: OTLPLogExporter(f"{endpoint}/v1/logs", **kwargs), "logs")
        self.spans = Watched("span", spans, self.drops.add, outage, **sizes)
        self.logs = Watched("log", logs, self.drops.add, outage, **sizes)
        self.tracers = TracerProvider(
            sampler, RESOURCE, shutdown_on_exit=False, id_generator=CountingIds(), span_limits=span_limits
        )
        self.tracers.add_span_processor(SpanQueueProcessor(self.spans, takes_encoded=encoded))
        self.loggers = LoggerProvider(RESOURCE, shutdown_on_exit=False, log_record_limits=log_limits)
        self.loggers.add_log_record_processor(LogQueueProcessor(self.logs, takes_encoded=encoded))
        made = Pipeline(self.tracers, MeterProvider(shutdown_on_exit=False), self.loggers)
        self.runtime = runtime._assemble(config.load(options, {}), made, self.drops, self.tracers.id_generator)

    def flush(self):
        """Send everything."""
        self.runtime.recorder.drain()
        return self.spans.force_flush(5) and self.logs.force_flush(5)

    def close(self):
        """Close the connections."""
        self.spans.shutdown(5)
        self.logs.shutdown(5)


@contextmanager
def way(endpoint, *, encoded, **options):
    """Make otelml go one way inside."""
    _labels.reset()
    before = runtime.active
    with SteppingClock().installed():
        made = Way(endpoint, encoded=encoded, **options)
        runtime.active = made.runtime
        try:
            yield made
            assert made.flush()
        finally:
            runtime.active = before
            made.close()
            _labels.reset()


def kinds(made):
    """Return the kinds of items the queues were given."""
    return {*made.spans.__dict__.get("kinds", ()), *made.logs.__dict__.get("kinds", ())}


def both(otlp, program, **options):
    """Run a program both ways; return what arrived from each, and whether everything was encoded by us."""
    found = []
    for encoded in (False, True):
        before = len(otlp._requests)
        with way(otlp.endpoint, encoded=encoded, **options) as made:
            program(made)
        sent = otlp._requests[before:]
        found.append(sorted((type(r).__name__, r.SerializeToString(deterministic=True), r) for r in sent))
        assert (Encoded in kinds(made)) <= encoded
    return [[r for _, _, r in one] for one in found], kinds(made)


def plain(_):
    """One prediction with four stages."""
    with otelml.prediction("delay", version="3") as p:
        for name in ("feature_retrieval", "preprocessing", "inference", "postprocessing"):
            with p.stage(name):
                pass
        p.result(classes="late", confidence=0.83)


def every_result(_):
    """Results of every kind, with shapes, text and numbers of every kind."""
    results = [
        {"classes": "spät", "confidence": 0.5},
        {"classes": "", "values": -0.0},
        {"values": 1e300, "business_value": 3, "business_value_unit": "€"},
        {"values": float("nan")},
        {"predictions": np.arange(6.0).reshape(2, 3), "inputs": np.ones((2, 40), np.float32)},
        {"classes": np.array(["a", "b", "a"]), "confidence": np.array([[0.1, 0.9]] * 3)},
        {"classes": True, "inputs": [[1.0, float("nan")]]},
        {"classes": 7, "inputs": [[None]]},
        {"predictions": [1.5]},
        {"predictions": "x" * 5000},
        {},
    ]
    for result in results:
        with otelml.prediction("modèle") as p:
            p.result(**result)


def nameless(_):
    """Ids and names of one's own, long and not ASCII."""
    with otelml.prediction("m" * 300, version="", request_id="ürg", prediction_id="x" * 200) as p, p.stage("eigène"):
        p.result(values=1)


def errors(_):
    """A failing stage inside a failing prediction, and an exception without a text."""
    for error in (ValueError("weird value 12345"), KeyError()):
        with suppress(type(error)), otelml.prediction("m") as p:
            with p.stage("inference"):
                pass
            with p.stage("own"):
                raise error


def nested(made):
    """Predictions below a remote parent and below one another."""
    for flags in (1, 3):
        remote = trace.SpanContext(2**127 + 5, 2**63 + 9, is_remote=True, trace_flags=trace.TraceFlags(flags))
        with trace.use_span(trace.NonRecordingSpan(remote)), otelml.prediction("a") as p, p.stage("inference"):
            plain(made)


def streaming(_):
    """A streaming prediction, sync and async."""

    @otelml.track_prediction(model="s")
    def items():
        yield from (1, 2, 3)

    @otelml.track_prediction(model="s")
    async def slow_items():
        for i in range(2):
            await asyncio.sleep(0)
            yield i

    async def consume():
        return [x async for x in slow_items()]

    assert list(items()) == [1, 2, 3]
    assert asyncio.run(consume()) == [0, 1]


def batched(_):
    """A prediction for several requests, of local and remote parents."""
    members = []
    for i in range(1, 4):
        parent = trace.SpanContext(2**127 + i, i, is_remote=i == 1, trace_flags=trace.TraceFlags(1))
        with trace.use_span(trace.NonRecordingSpan(parent)), with_request_id(f"r-{i}"):
            members.append(otelml.batch_member())
    for member in members:
        member.id = "7" * 32
    with otelml.prediction("m", members=members) as p:
        p.result(classes=np.array(["a", "b", "c"]), confidence=np.array([0.1, 0.2, 0.3]))


PLAIN = [plain, every_result, nameless, errors, nested, streaming, batched]


def set_by_hand(_):
    """What the application sets on the spans itself."""
    with otelml.prediction("m") as p:
        span = trace.get_current_span()
        span.set_attribute("own", ["a", "b"])
        with p.stage("inference"):
            trace.get_current_span().add_event("seen", {"n": 1}, 5)
        with p.stage("x"):
            trace.get_current_span().add_link(trace.SpanContext(7, 8, is_remote=True))
        with p.stage("y"):
            trace.get_current_span().set_status(trace.StatusCode.ERROR, "bad")
        with p.stage("z"):
            trace.get_current_span().update_name("renamed")


def stateful(made):
    """A parent with a trace state."""
    remote = trace.SpanContext(5, 9, True, trace.TraceFlags(1), trace.TraceState([("vendor", "1")]))  # noqa: FBT003 - is_remote
    with trace.use_span(trace.NonRecordingSpan(remote)):
        plain(made)


def with_others(made):
    """Events of the application, and spans of another tracer, in the same batches as ours."""
    plain(made)
    otelml.event("custom", severity="warning", n=1)
    foreign = made.tracers.get_tracer("foreign", "1", "https://example.org/foreign")
    foreign.start_span("theirs", start_time=5, attributes={"n": 1}).end(7)
    plain(made)


def huge_and_broken(_):
    """Text that no encoder takes, and a number of more than 64 bits."""
    with otelml.prediction("m") as p:
        p.result(classes=2**70, inputs=[[2**70]])
    with otelml.prediction("m", prediction_id="\ud800") as p:
        p.result(classes="\ud800")


MIXED = [set_by_hand, stateful, with_others, huge_and_broken]


@pytest.mark.parametrize("program", PLAIN)
@pytest.mark.parametrize("capture", ["stats", "payload", "none"])
def test_plain_predictions_are_equal(otlp, program, capture):
    """Predictions of every plain kind decode to the same requests, and all of them were encoded by us."""
    (standard, ours), seen = both(otlp, program, capture=capture)
    assert [type(r).__name__ for r in standard] == ["ExportLogsServiceRequest", "ExportTraceServiceRequest"]
    assert canonical(ours) == canonical(standard)
    assert len(ours) == len(standard)
    assert seen == {Encoded}


@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_sampled_out_predictions_are_equal(otlp, ratio):
    """Events of predictions that are not sampled are equal too, and their spans stay away both ways."""

    def many(made):
        for _ in range(20):
            plain(made)

    (standard, ours), seen = both(otlp, many, sampler=TraceIdRatioBased(ratio))
    assert canonical(ours) == canonical(standard)
    assert len(ours) == len(standard)
    assert seen == {Encoded}


@pytest.mark.parametrize("program", MIXED)
def test_unusual_ones_go_the_sdks_way(otlp, program):
    """What only the SDK can bound and encode is exported by it, in the same requests."""
    (standard, ours), seen = both(otlp, program)
    assert standard
    assert canonical(ours) == canonical(standard)
    assert len(ours) == len(standard)
    assert Encoded in seen


@pytest.mark.parametrize(
    "options",
    [
        {"span_limits": SpanLimits(max_span_attributes=2), "log_limits": LogRecordLimits(max_log_record_attributes=2)},
        {"span_limits": SpanLimits(max_attribute_length=3), "log_limits": LogRecordLimits(max_attribute_length=3)},
    ],
)
def test_limits_are_the_sdks_business(otlp, options):
    """With limits that would cut what we write nothing is encoded by us."""
    (standard, ours), seen = both(otlp, every_result, **options)
    assert canonical(ours) == canonical(standard)
    assert len(ours) == len(standard)
    assert Encoded not in seen


def test_compressed():
    """Encoded requests are compressed as the settings ask."""
    with Receiver() as receiver, way(receiver.http_endpoint, encoded=True, compression=Compression.Gzip) as made:
        plain(made)
        assert made.flush()
        assert sum(receiver.store.counts_by_span_name().values()) == 5


def test_a_processor_added_later_sees_every_span(otlp):
    """From the moment somebody else's processor is there, spans are the SDK's: even of a prediction under way."""
    seen = InMemorySpanExporter()
    with way(otlp.endpoint, encoded=True) as made:
        plain(made)
        assert made.flush()
        with otelml.prediction("m"):
            made.tracers.add_span_processor(SimpleSpanProcessor(seen))
        made.flush()
        assert [span.name for span in seen.get_finished_spans()] == ["predict m"]
    assert len(otlp.spans()) == 6


VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
)


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        VALUES | st.lists(VALUES) | st.lists(VALUES).map(tuple),
        max_size=20,
    )
)
def test_attributes_are_encoded_as_the_official_encoder_does(attributes):
    """Any attributes of the types we take come out as they went in: types, signs, order and all."""
    own = trace.SpanContext(2**100, 2**60, is_remote=False)
    span = ReadableSpan("näme", own, attributes=attributes, start_time=1, end_time=2**63, resource=RESOURCE)
    data = encoding.span("näme", own, None, (1, 2**63), attributes, error=None)
    home = encoding.Home(RESOURCE, span.instrumentation_scope)
    official = encode_spans([span])
    assert type(official).FromString(home.wrap([data])) == official


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, b"x", None, {"a": 1}, np.float64(1), [object()]])
def test_other_values_are_unusual(value):
    """What is not a plain value is not guessed at."""
    with pytest.raises(encoding.Unusual):
        encoding.pairs({"k": value})
