"""Spans of ours as the application sees them while they are open, and their ids."""

import random

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanContext, StatusCode

import otelml
from otelml.spans import RandomIds
from otelml.testing import recording


def test_what_is_set_on_a_span_is_a_copy(telemetry):
    """A list that the application changes after it has set it is exported as it was."""
    known = [1]
    with otelml.prediction("m"):
        trace.get_current_span().set_attribute("known", known)
        known.append(2)
    (span,) = telemetry.spans()
    assert span.attributes["known"] == (1,)


def test_recorded_exception_is_scrubbed(telemetry):
    """record_exception() on our span keeps the type and not the value in the message."""
    with otelml.prediction("m"):
        try:
            float("John Smith")
        except ValueError as error:
            trace.get_current_span().record_exception(error, {"retry": 1})
    (span,) = telemetry.spans()
    ((name, attributes),) = span.events
    assert (name, attributes["exception.type"], attributes["retry"]) == ("exception", "ValueError", 1)
    assert "John" not in str(attributes)
    assert span.status == "UNSET"


def test_ended_spans_take_nothing_more(telemetry):
    """After the end the current span no longer records, and what is set then is not exported."""
    with otelml.prediction("m"):
        span = trace.get_current_span()
        assert span.is_recording()
    assert not span.is_recording()
    span.set_attribute("late", 1)
    span.add_event("late")
    span.add_link(SpanContext(1, 2, is_remote=True))
    span.update_name("late")
    span.set_status(StatusCode.ERROR)
    span.end()
    (seen,) = telemetry.spans()
    assert (seen.name, seen.events, seen.links, seen.status) == ("predict m", (), (), "UNSET")
    assert "late" not in seen.attributes


def test_ids_do_not_follow_the_global_seed():
    """random.seed(0) in an application makes neither span nor trace ids equal."""
    found = set()
    for _ in range(2):
        random.seed(0)
        ids = RandomIds()
        found |= {ids.generate_trace_id(), ids.generate_span_id()}
    assert len(found) == 4


def test_reseeded_ids_differ():
    """A forked child, which reseeds, makes other ids than its parent."""
    ids = RandomIds()
    bits, number = ids.bits, ids.number
    state = ids._random.getstate()
    first = ids.generate_trace_id()
    ids._random.setstate(state)
    assert ids.generate_trace_id() == first
    ids._random.setstate(state)
    ids.reseed()
    again = ids._random.getstate()
    assert bits(128) != first
    ids._random.setstate(again)
    assert number() != first


@pytest.mark.parametrize("sampled", [True, False])
def test_prediction_and_stage_are_the_current_span(sampled):
    """The current span inside is the prediction or the stage itself, with a context that stays valid after the end."""
    with recording(sampler=ALWAYS_ON if sampled else ALWAYS_OFF) as seen:
        with otelml.prediction("m") as p:
            assert trace.get_current_span() is p.span is p
            with p.stage("inference") as stage:
                inside = trace.get_current_span()
                assert inside.is_recording() == sampled
        seen.drain()
        assert inside is (stage if sampled else p)
        own, below = p.get_span_context(), inside.get_span_context()
        assert own.is_valid
        assert own.trace_flags.sampled == sampled
        assert (below.trace_id == own.trace_id, below.span_id == own.span_id) == (True, not sampled)
        assert p.get_span_context() is own


def test_what_is_set_on_the_prediction_itself_reaches_the_export(telemetry):
    """Both as our own span and with a tracer's span in its place, set_attribute() on the prediction is exported."""
    with otelml.prediction("m") as p:
        p.set_attribute("mine", 1)
    telemetry.tracer_provider.add_span_processor(Watcher())
    with otelml.prediction("m") as p:
        p.set_attribute("mine", 2)
        assert p.span is not p
        assert p.get_span_context() == p.span.get_span_context()
    assert [span.attributes["mine"] for span in telemetry.spans()] == [1, 2]


class Watcher(SpanProcessor):
    """Somebody's processor that sees spans start."""

    def on_start(self, span, parent_context=None):
        """Look."""
