"""Ended predictions as columns."""

from contextlib import nullcontext, suppress

import numpy as np
import pytest
from opentelemetry import trace

import otelml
from otelml.columns import Origins, columns_of
from otelml.testing import recording


def ended(telemetry, n, *stages, fail=False):
    """Make predictions and take them from the buffer."""
    for _ in range(n):
        with suppress(ValueError), otelml.prediction("m") as p:
            for name in stages:
                with p.stage(name):
                    pass
            if fail:
                raise ValueError("x")
    buffer = telemetry.runtime.recorder._buffer
    taken = list(buffer)
    buffer.clear()
    return taken


def test_one_group_for_each_shape(telemetry):
    """Predictions with the same stages stand together in the order they ended in; errors and other stages apart."""
    plain, other = ended(telemetry, 3, "a", "b"), ended(telemetry, 2, "b", "a")
    failed = ended(telemetry, 1, "a", "b", fail=True)
    groups = columns_of([*plain, *other, *failed])
    assert [group.predictions for group in groups] == [plain, other, failed]
    assert [[name.name for name in group.names] for group in groups] == [["a", "b"], ["b", "a"], ["a", "b"]]
    assert [group.error for group in groups] == [None, None, "ValueError"]
    for group in groups:
        assert group.seconds.tolist() == [p.seconds for p in group.predictions]
        n, k = len(group.predictions), len(group.names)
        assert group.stage_seconds.shape == (n, k)
        assert (group.stage_seconds >= 0).all()
        assert (group.stage_seconds.sum(axis=1) <= group.seconds).all()


@pytest.mark.parametrize("models", [3, 20])
def test_groups_of_mixed_models_and_parents(telemetry, models):
    """Of many models in turn, below nothing, a local and a remote span: each shape stands once, in its order."""
    local = trace.SpanContext(1, 2, is_remote=False, trace_flags=trace.TraceFlags(1))
    remote = trace.SpanContext(3, 4, is_remote=True, trace_flags=trace.TraceFlags(1))
    around = [None, trace.NonRecordingSpan(local), trace.NonRecordingSpan(remote)]
    for i in range(6 * models):
        span = around[i // models % 3]
        with nullcontext() if span is None else trace.use_span(span), otelml.prediction(f"m{i % models}") as p:
            for name in ("a", "b")[: 1 + i % 2]:
                with p.stage(name):
                    pass
    taken = list(telemetry.runtime.recorder._buffer)
    telemetry.runtime.recorder._buffer.clear()
    expected = {}
    for p in taken:
        parent = None if p.parent is None else p.parent.is_remote
        expected.setdefault((p.series.model, parent, len(p.stages)), []).append(p)
    groups = columns_of(taken)
    assert [group.predictions for group in groups] == list(expected.values())
    for group in groups:
        assert group.stages == [tuple(p.stages) for p in group.predictions]
        times = [(p.started, p.ended, p.offset) for p in group.predictions]
        assert list(zip(group.started, group.ended, group.offset, strict=True)) == times
        assert group.stage_started.tolist() == [[s.started for s in p.stages] for p in group.predictions]
        assert group.stage_ended.tolist() == [[s.ended for s in p.stages] for p in group.predictions]


def test_a_stage_begun_at_the_very_end_ends_with_its_prediction(telemetry):
    """A stage that another thread opens while its prediction ends has no end: the prediction's is taken."""
    (p,) = ended(telemetry, 1, "a")
    p.stages[0].ended = 0
    (group,) = columns_of([p])
    assert group.stage_ended.tolist() == [[p.ended]]


def test_predictions_without_stages(telemetry):
    """No stages are an empty matrix, not an error."""
    (group,) = columns_of(ended(telemetry, 3))
    assert group.stage_seconds.shape == (3, 0)


def test_origins():
    """Measurement i belongs to its own span, or to the one whose rows it is among; some may be left out."""
    with recording() as seen:
        spans = ended(seen, 3)
    assert [Origins(spans).span(i) for i in range(3)] == spans
    many = Origins(spans, [2, 0, 3])
    assert [many.span(i) for i in range(5)] == [spans[0]] * 2 + [spans[2]] * 3
    assert [many.kept(np.array([0, 1, 0, 0, 1], bool)).span(i) for i in range(2)] == [spans[0], spans[2]]
