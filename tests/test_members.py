"""Requests that are predicted together: links from the batch to each, and a share in each one's own trace."""

import threading
from contextlib import suppress

import numpy as np
import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from sklearn.linear_model import LogisticRegression

import otelml
from otelml import members
from otelml.context import with_request_id
from otelml.testing import recording


class Watcher(SpanProcessor):
    """Somebody's processor that sees spans start: spans are the tracer's own then."""

    def on_start(self, span, parent_context=None):
        """Look."""


def requests(telemetry, n):
    """Return members that joined in requests with spans of their own, and these spans' contexts."""
    tracer, members, contexts = telemetry.tracer_provider.get_tracer("server"), [], []
    for i in range(n):
        with tracer.start_as_current_span("GET /predict") as span, with_request_id(f"r-{i}"):
            members.append(otelml.batch_member())
            contexts.append(span.get_span_context())
    return members, contexts


def together(members, *, fail=False, **result):
    """Predict for all members at once, on a thread of its own."""

    def work():
        with suppress(ValueError), otelml.prediction("m", "1", members=members) as p, p.stage("inference"):
            p.result(**result)
            if fail:
                raise ValueError("x")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.parametrize("processors", [(), (Watcher(),)], ids=["own", "tracer"])
def test_a_batch_links_to_all_and_each_trace_holds_its_share(processors):
    """Three requests: one prediction in the counts, three links, and in each trace a span with that request's row."""
    with recording(processors=processors) as seen:
        members, contexts = requests(seen, 3)
        together(members, classes=np.array(["a", "b", "a"]), confidence=np.array([0.1, 0.5, 0.9]))
        assert (seen.total("ml.requests"), seen.total("ml.predictions")) == (1, 3)
        assert len([log for log in seen.logs() if log.event == "ml.prediction"]) == 1
        spans = [span for span in seen.spans() if span.name == "predict m"]
        batch, *shares = spans
        assert batch.links == tuple((c.span_id, {"ml.request.id": f"r-{i}"}) for i, c in enumerate(contexts))
        assert [(s.trace_id, s.parent_id) for s in shares] == [(c.trace_id, c.span_id) for c in contexts]
        assert {(s.start, s.end) for s in shares} == {(batch.start, batch.end)}
        assert [s.links for s in shares] == [((batch.span_id, {}),)] * 3
        for i, (share, member) in enumerate(zip(shares, members, strict=True)):
            wait = share.attributes.pop("ml.batch.wait")
            assert 0 < wait < 60
            assert share.attributes == {
                "ml.model.name": "m",
                "ml.model.version": "1",
                "ml.prediction.id": member.id,
                "ml.request.id": f"r-{i}",
                "ml.batch.size": 3,
                "ml.prediction.class": "aba"[i],
                "ml.prediction.confidence": [0.1, 0.5, 0.9][i],
            }


@pytest.mark.parametrize("processors", [(), (Watcher(),)], ids=["own", "tracer"])
def test_a_batch_that_fails_fails_in_every_trace(processors):
    """The error of the batch is each member's too, without its text."""
    with recording(processors=processors) as seen:
        members, _ = requests(seen, 2)
        together(members, fail=True)
        shares = [s for s in seen.spans() if s.name == "predict m" and s.parent_id]
        assert [(s.status, s.attributes["error.type"]) for s in shares] == [("ERROR", "ValueError")] * 2


def test_only_sampled_traces_hold_a_share():
    """Members of traces that are not sampled have no span, and those of sampled ones have theirs whatever the batch."""
    with recording(sampler=TraceIdRatioBased(0.5)) as seen:
        members, contexts = requests(seen, 64)
        together(members, values=np.arange(64.0))
        wanted = {c.trace_id for c in contexts if c.trace_flags.sampled}
        assert 0 < len(wanted) < 64
        shares = {s.trace_id: s for s in seen.spans() if s.name == "predict m" and s.parent_id}
        assert set(shares) == wanted
        for i, c in enumerate(contexts):
            if c.trace_id in wanted:
                assert shares[c.trace_id].attributes["ml.prediction.value"] == i


def test_outside_of_a_trace(telemetry):
    """A member that joined outside of any trace is neither linked nor has a share; the batch is counted as ever."""
    together([otelml.batch_member()], classes="a")
    spans = telemetry.spans()
    assert [s.name for s in spans] == ["inference", "predict m"]
    assert spans[-1].links == ()
    assert telemetry.total("ml.requests") == 1


def test_more_members_than_links_are_kept(telemetry):
    """Of 300 members the SDK's limit of links is kept; each still has its share."""
    members, _ = requests(telemetry, 300)
    together(members)
    spans = [s for s in telemetry.spans() if s.name == "predict m"]
    assert len(spans[0].links) == 128
    assert len(spans) == 301


@pytest.mark.telemetry(buffer_size=1)
def test_dropped_shares_are_counted(telemetry):
    """Where a full buffer drops a batch, the shares it would have had are counted as dropped with it."""
    members, _ = requests(telemetry, 3)
    with otelml.prediction("first"):
        pass
    together(members)
    telemetry.drain()
    assert telemetry.total("otelml.dropped", {"otelml.what": "span", "otelml.where": "buffer"}) == 5


def test_while_otelml_is_off():
    """Members are plain data: without otelml on, joining and predicting do nothing else."""
    members = [otelml.batch_member()]
    with otelml.prediction("m", members=members) as p:
        p.result(classes="a")
    assert len(members[0].id) == 32
    assert not trace.get_current_span().is_recording()


def test_together(telemetry):
    """Who sees the batch but not the model makes a context: the outermost prediction in it is for all, once."""
    joined = []
    for _ in range(3):
        with telemetry.tracer_provider.get_tracer("server").start_as_current_span("request"):
            joined.append(members.Joined())
    token = otel_context.attach(members.together(joined))
    try:
        with otelml.prediction("delay"), otelml.prediction("inner"):
            pass
    finally:
        otel_context.detach(token)
    spans = {span.name: [] for span in telemetry.spans()}
    for span in telemetry.spans():
        spans[span.name].append(span)
    (batch,) = [span for span in spans["predict delay"] if span.parent_id is None]
    requests = {(span.trace_id, span.span_id) for span in spans["request"]}
    assert {(span.trace_id, span.parent_id) for span in spans["predict delay"] if span is not batch} == requests
    assert [span.parent_id for span in spans["predict inner"]] == [batch.span_id]


def test_a_library_together():
    """A call of scikit-learn in such a context is for all of its requests; for one it is below that request."""
    model = LogisticRegression().fit([[0.0], [1.0], [2.0]], [0, 1, 1])
    with recording(integrations=("sklearn",)) as telemetry:
        tracer = telemetry.tracer_provider.get_tracer("server")
        joined = []
        for _ in range(2):
            with tracer.start_as_current_span("request"):
                joined.append(members.Joined())
        for requests in (joined, joined[:1], []):
            token = otel_context.attach(members.together(requests))
            model.predict([[0.0], [2.0]][: len(requests) or 1])
            otel_context.detach(token)
        above = [span.parent_id for span in telemetry.spans() if span.name == "predict LogisticRegression"]
        first, second = [span.span_id for span in telemetry.spans() if span.name == "request"]
        assert sorted(above, key=str) == sorted([None, first, second, first, None], key=str)
        assert telemetry.total("ml.requests") == 3
