"""What is exported of one prediction, and that both ways of making spans export the same."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags, TraceState

import otelml
from otelml import semconv
from otelml.testing import EPOCH_NS, STEP_NS, LogSeen, PointSeen, SpanSeen, recording
from otelml.tracers import ChosenSpans, DirectSpans, TracerSpans

MS = STEP_NS
MODEL = {"ml.model.name": "delay", "ml.model.version": "3"}
ID = f"{1:032x}"


class Watcher(SpanProcessor):
    """Somebody's processor that looks at spans when they start."""

    def __init__(self):
        self.started = []

    def on_start(self, span, parent_context=None):  # noqa: ARG002 - the SDK's signature
        """Keep the name."""
        self.started.append(span.name)


class Everything(Sampler):
    """Somebody's sampler that decides as the default one does."""

    def should_sample(self, *args, **kwargs):
        """Ask the SDK's."""
        return ParentBased(ALWAYS_ON).should_sample(*args, **kwargs)

    def get_description(self):
        """Say what it is."""
        return "everything"


def one_prediction():
    """Make one prediction with two stages and a result."""
    with otelml.prediction("delay", "3", request_id="r-1") as p:
        with p.stage("preprocessing"):
            pass
        with p.stage("inference"):
            pass
        p.result(predictions="late", confidence=0.83, inputs=np.zeros((1, 4)))


@pytest.mark.telemetry(deterministic=True)
def test_whole_export_of_one_prediction(telemetry):
    """Three spans, one event and every data point are exactly these; clock readings are one ms apart."""
    one_prediction()
    result = {
        **MODEL,
        "ml.prediction.id": ID,
        "ml.request.id": "r-1",
        "ml.batch.size": 1,
        "ml.input.shape": (1, 4),
        "ml.input.dtype": "float64",
        "ml.input.missing": 0,
        "ml.output.dtype": "str",
        "ml.prediction.class": "late",
        "ml.prediction.confidence": 0.83,
    }
    start = EPOCH_NS + MS
    stages = {name: {**MODEL, "ml.stage": name} for name in ("preprocessing", "inference")}
    assert telemetry.spans() == [
        SpanSeen("preprocessing", 1, 2, 1, start + MS, start + 2 * MS, stages["preprocessing"], "UNSET", None),
        SpanSeen("inference", 1, 3, 1, start + 3 * MS, start + 4 * MS, stages["inference"], "UNSET", None),
        SpanSeen("predict delay", 1, 1, None, start, start + 5 * MS, result, "UNSET", None),
    ]
    body = "delay predicted late (0.83) in 5 ms"
    event = LogSeen(
        "ml.prediction",
        body,
        "INFO",
        start + 5 * MS,
        {**result, "ml.prediction.duration": 0.005},
        trace_id=1,
        span_id=1,
    )
    assert telemetry.logs() == [event]
    assert [p for p in telemetry.metrics() if p.name != "otelml.flush.duration"] == expected_points()


def expected_points():
    """Return the data points of one prediction: exemplars point to its trace."""
    late = {**MODEL, "ml.prediction.class": "late"}

    def seconds(name, attributes, value, span_id):
        buckets = [0] * (len(semconv.SECONDS) + 1)
        buckets[1 if value == 0.001 else 3] = 1
        bounds = semconv.SECONDS
        return PointSeen(
            *(name, "s", attributes, None, 1, value, value, value),
            bounds=bounds,
            buckets=tuple(buckets),
            exemplars=((value, 1, span_id),),
        )

    confidence = PointSeen(
        *("ml.prediction.confidence", "1", late, None, 1, 0.83, 0.83, 0.83),
        bounds=semconv.CONFIDENCE,
        buckets=(0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0),
        exemplars=((0.83, 1, 1),),
    )
    return [
        confidence,
        seconds("ml.prediction.duration", MODEL, 0.005, 1),
        PointSeen("ml.predictions", "{prediction}", late, 1),
        PointSeen("ml.requests", "{request}", MODEL, 1, exemplars=((1, 1, 1),)),
        PointSeen("ml.requests.active", "{request}", MODEL, 0),
        seconds("ml.stage.duration", {**MODEL, "ml.stage": "inference"}, 0.001, 3),
        seconds("ml.stage.duration", {**MODEL, "ml.stage": "preprocessing"}, 0.001, 2),
    ]


# Both ways ----------------------------------------------------------------------------------------------------------


def failing():
    """Fail inside a stage, with a value in the message."""
    with otelml.prediction("delay") as p, p.stage("inference"):
        float("John Smith")


def touched():
    """Use the current spans as an application does."""
    with otelml.prediction("delay") as p:
        trace.get_current_span().set_attribute("ml.model.name", "mine")
        with p.stage("inference"):
            span = trace.get_current_span()
            span.set_attributes({"list": [1, 2], "text": "x" * 300, "bad": object()})
            span.add_event("cache.miss", {"key": "k", "bad": object()})
            span.add_link(SpanContext(7, 8, is_remote=True), {"why": "batch"})
            span.add_link(SpanContext(0, 0, is_remote=True))
            span.set_status(StatusCode.UNSET)
            span.update_name("renamed")
        trace.get_current_span().set_status(Status(StatusCode.ERROR, "mine"))
        raise KeyError("secret-4711-token")


def settled():
    """Say OK, after which nothing else counts, and fail."""
    with otelml.prediction("delay"):
        trace.get_current_span().set_status(StatusCode.OK)
        trace.get_current_span().set_status(StatusCode.ERROR, "too late")
        raise KeyError("x")


def nested():
    """Nest stages, and a prediction of another model inside a stage."""
    with otelml.prediction("outer", request_id="r"):
        with otelml.stage("inference"), otelml.stage("inner part"):
            one_prediction()
        with otelml.stage("postprocessing"):
            pass


def below_remote():
    """Predict below a remote parent that has a trace state and random bits."""
    flags = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
    below(SpanContext(99, 77, is_remote=True, trace_flags=flags, trace_state=TraceState([("k", "v")])))


def below_unsampled():
    """Predict below a remote parent that is not sampled."""
    below(SpanContext(99, 77, is_remote=True, trace_flags=TraceFlags(0)))


def below(parent):
    """Predict below a span context."""
    with trace.use_span(NonRecordingSpan(parent)):
        one_prediction()


def many_events():
    """Give more events, attributes and links than the limits allow."""
    with otelml.prediction("delay"):
        span = trace.get_current_span()
        for i in range(200):
            span.add_event("e", {"i": i})
            span.add_link(SpanContext(1, i + 1, is_remote=True))
            span.set_attribute(f"a{i}", i)


SCENARIOS = [one_prediction, failing, touched, settled, nested, below_remote, below_unsampled]


def export(scenario, **how):
    """Run a scenario; return everything it exported and how spans were made."""
    with recording(deterministic=True, **how) as seen:
        with suppress(KeyError, ValueError):
            scenario()
        made_by = type(seen.runtime.recorder.spans.current)
        return made_by, seen.spans(), seen.logs(), seen.metrics()


def comparable(spans):
    """Return spans without the line numbers of stack traces, which are of the caller's."""
    strip = lambda attributes: {k: v for k, v in attributes.items() if k != "exception.stacktrace"}  # noqa: E731 - one line
    return [replace(s, events=tuple((name, strip(attributes)) for name, attributes in s.events)) for s in spans]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
@pytest.mark.parametrize("foreign", ["processor", "sampler"])
def test_both_ways_export_the_same(scenario, foreign):
    """With somebody's sampler or processor, spans, events and metrics equal our own pipeline's, field by field."""
    direct, spans, logs, metrics = export(scenario)
    how = {"processors": (Watcher(),)} if foreign == "processor" else {"sampler": Everything()}
    public, spans2, logs2, metrics2 = export(scenario, **how)
    assert (direct, public) == (DirectSpans, TracerSpans)
    assert comparable(spans) == comparable(spans2)
    assert logs == logs2
    assert metrics == metrics2


@pytest.mark.parametrize(
    "sampler",
    [ALWAYS_ON, ALWAYS_OFF, TraceIdRatioBased(0.5), ParentBased(TraceIdRatioBased(0.5)), ParentBased(ALWAYS_OFF)],
    ids=lambda s: s.get_description(),
)
@pytest.mark.parametrize("scenario", [one_prediction, below_remote, below_unsampled], ids=lambda s: s.__name__)
def test_both_ways_sample_the_same(scenario, sampler):
    """Each of the SDK's own samplers keeps the same spans and the same exemplars both ways."""
    direct, *exported = export(scenario, sampler=sampler)
    public, *exported2 = export(scenario, sampler=sampler, processors=(Watcher(),))
    assert (direct, public) == (DirectSpans, TracerSpans)
    assert exported == exported2


def test_span_limits_hold():
    """Of too many events, links and attributes the SDK's limits are kept, and as many are counted as dropped."""
    (direct,), (public,) = (export(many_events, **how)[1] for how in ({}, {"processors": (Watcher(),)}))
    assert len(direct.events) == len(direct.links) == len(direct.attributes) == 128
    assert direct.events == public.events
    assert direct.links == public.links


def test_user_code_reaches_the_export(telemetry):
    """What the application does to the current span is exported, and what it sets itself stays."""
    with pytest.raises(KeyError):
        touched()
    stage, root = telemetry.spans()
    assert stage.name == "renamed"
    assert stage.attributes["list"] == (1, 2)
    assert stage.events[0][0] == "cache.miss"
    assert stage.events[0][1]["key"] == "k"
    assert stage.links == ((8, {"why": "batch"}),)
    assert root.attributes["ml.model.name"] == "mine"
    assert (root.status, root.description) == ("ERROR", "mine")


def test_children_of_other_tracers_nest_under_the_stage(telemetry):
    """A span that another instrumentation makes inside a stage has the stage as its parent."""
    tracer = telemetry.tracer_provider.get_tracer("db")
    with otelml.prediction("m") as p, p.stage("feature_retrieval"), tracer.start_as_current_span("SELECT"):
        pass
    select, stage, root = telemetry.spans()
    assert (select.name, select.scope) == ("SELECT", "db")
    assert select.parent_id == stage.span_id
    assert stage.parent_id == root.span_id
    assert len({s.trace_id for s in (select, stage, root)}) == 1


def test_stage_below_a_foreign_span_has_it_as_parent(telemetry):
    """A stage entered inside another tracer's span nests there."""
    tracer = telemetry.tracer_provider.get_tracer("app")
    with otelml.prediction("m") as p, tracer.start_as_current_span("batch"), p.stage("inference"):
        pass
    names = {s.span_id: s.name for s in telemetry.spans()}
    assert {s.name: names.get(s.parent_id) for s in telemetry.spans()} == {
        "batch": "predict m",
        "inference": "batch",
        "predict m": None,
    }


def test_a_processor_added_later_sees_spans_start(telemetry):
    """Once somebody's processor is added, spans are made the public way from the next prediction on."""
    one_prediction()
    watcher = Watcher()
    telemetry.tracer_provider.add_span_processor(watcher)
    one_prediction()
    assert watcher.started == ["predict delay", "preprocessing", "inference"]
    assert len(telemetry.spans()) == 6


def test_a_tracer_that_is_not_the_sdks_gets_the_public_calls():
    """Spans of a foreign tracer are started and ended through the API."""
    chosen = ChosenSpans(trace.NoOpTracerProvider().get_tracer("x"))
    assert type(chosen.current) is TracerSpans
    with recording() as seen:
        seen.runtime.recorder.spans = chosen
        with otelml.prediction("m") as p, p.stage("inference"):
            assert not trace.get_current_span().is_recording()
        assert (seen.spans(), seen.total("ml.requests"), seen.total("ml.stage.duration")) == ([], 1, 1)
