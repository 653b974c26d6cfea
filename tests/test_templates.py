"""Templates: many messages of one shape, equal to those written one by one."""

import numpy as np
import pytest
from opentelemetry import trace

import otelml
from otelml import encoding, templates
from otelml.columns import columns_of
from otelml.descriptions import Descriptions, timing
from otelml.facts import facts_of
from otelml.templates import Template


def test_template():
    """Constant bytes stay, holes are filled row by row."""
    template = Template((b"ab", 2, b"c", 1))
    assert template.size == 6
    rows = template.fill(np.array([[1, 2], [3, 4]], np.uint8), np.array([[5], [6]], np.uint8))
    assert [bytes(row) for row in rows] == [b"ab\1\2c\5", b"ab\3\4c\6"]


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 3_000_000])
def test_framed(length):
    """Messages have their tag, their length and their parts, in this order, whatever their size."""
    ones, cut = [bytes([i]) * (length + i) for i in range(3)], bytes(range(6))
    found = templates.framed(b"\x12", 3, b"same", ones, (cut, 2))
    for i, message in enumerate(found):
        parts = b"same" + ones[i] + cut[2 * i : 2 * i + 2]
        assert message == b"\x12" + encoding.varint(len(parts)) + parts
    assert templates.framed(b"\x12", 0, b"same", []) == []


def made(telemetry, parent):
    """Make predictions with two stages and long texts, below a parent or not."""
    with trace.use_span(trace.NonRecordingSpan(parent)):
        for i in range(5):
            with otelml.prediction("m" * (1 + 40 * i)) as p, p.stage("a"), p.stage("b" * 100):
                p.result(classes="x" * (1 + 60 * i), confidence=i / 4)
            with otelml.prediction("m") as p:
                for name in ("a", "b" * 100):
                    with p.stage(name):
                        pass
                p.result(values=float(i))
    taken = list(telemetry.runtime.recorder._buffer)
    telemetry.runtime.recorder._buffer.clear()
    return [p for p in taken if not p.special]


REMOTE = trace.SpanContext(2**127 + 1, 2**63 + 1, is_remote=True, trace_flags=trace.TraceFlags(3))
LOCAL = trace.SpanContext(1, 1, is_remote=False, trace_flags=trace.TraceFlags(1))


@pytest.mark.parametrize("parent", [trace.INVALID_SPAN_CONTEXT, REMOTE, LOCAL], ids=["root", "remote", "local"])
def test_equal_to_those_written_one_by_one(telemetry, parent):
    """Spans and events of whole batches are, byte by byte, the ones that ``encoding`` writes one at a time."""
    predictions = made(telemetry, parent)
    assert len(predictions) == 5
    for columns in columns_of(predictions):
        columns.facts = facts_of(columns.predictions)
        together = Descriptions(columns)
        described = together.each
        roots, stages = templates.spans(columns, together.of_spans())
        events = templates.events(columns, together.of_events(), together.sentences())
        pairs = [(d.known, d.pairs() + encoding.pairs(timing(d.prediction))) for d in described]
        for i, p in enumerate(columns.predictions):
            own = p.get_span_context()
            times = p.started + p.offset, p.ended + p.offset
            assert roots[i] == encoding.span(p.span_name, own, p.parent, times, described[i].attributes())
            expected = b"".join(
                encoding.span(
                    s.span_name,
                    s.get_span_context(),
                    own,
                    (s.started + p.offset, s.ended + p.offset),
                    s.known.attributes,
                )
                for s in columns.stages[i]
            )
            assert bytes(stages[i]) == expected
            observed = int.from_bytes(events[i].removesuffix(b"b\x0dml.prediction")[-8:], "little")
            severity = (9, "INFO")
            event = encoding.log(
                "ml.prediction", severity, described[i].sentence(), pairs[i], own, times=(times[1], observed)
            )
            assert events[i] == event
