"""Descriptions: attributes of many predictions, encoded at once where they are alike, and sentences."""

import numpy as np
import pytest

import otelml
from otelml import context, descriptions, encoding
from otelml.columns import columns_of
from otelml.descriptions import Descriptions, timing
from otelml.encoding import tagged
from otelml.facts import facts_of
from otelml.templates import framed
from otelml.testing import recording


def plain(i):
    """Make predictions that differ in numbers only."""
    with otelml.prediction("m") as p:
        p.result(classes="a", confidence=i / 7)


def unknown(_):
    """Say nothing of what was predicted."""
    with otelml.prediction("m"):
        pass


def valued(i):
    """Give a number, and which request it is."""
    with context.with_request_id(f"request-{i}"), otelml.prediction("m") as p:
        p.result(values=i * 1.5)


def some_requests(i):
    """Every second one has a request."""
    if i % 2:
        valued(i)
    else:
        with otelml.prediction("m") as p:
            p.result(values=1.5)


def lengths(i):
    """Ids of requests of several lengths."""
    with context.with_request_id("r" * (1 + i)), otelml.prediction("m") as p:
        p.result(values=1.5)


def given(i):
    """Ids of the application's own."""
    with otelml.prediction("m", prediction_id=f"own-{i}") as p:
        p.result(values=1.5)


def rows(i):
    """Several rows: no one number."""
    with otelml.prediction("m") as p:
        p.result(classes=["a"] * (1 + i), confidence=[0.5] * (1 + i))


def labels(i):
    """A class of each row."""
    with otelml.prediction("m") as p:
        p.result(classes=np.array(["a", "b"][: 1 + i % 2]))


def worth(i):
    """A value in money."""
    with otelml.prediction("m") as p:
        p.result(values=1.5, business_value=float(i), business_value_unit="EUR")


def worths(i):
    """A value of each row in money."""
    with otelml.prediction("m") as p:
        p.result(values=1.5, business_value=[1.0, float(i)], business_value_unit="EUR")


def streamed(i):
    """One item after the other."""
    with otelml.prediction("m") as p:
        p.item()
        p.result(values=float(i))


def half(i):
    """Every second one has a confidence."""
    with otelml.prediction("m") as p:
        p.result(classes="a", confidence=0.5 if i % 2 else None)


ALIKE, UNLIKE = (plain, unknown, valued, streamed, labels), (some_requests, lengths, given, rows, worth, worths, half)


@pytest.mark.parametrize("make", [*ALIKE, *UNLIKE], ids=lambda make: make.__name__)
def test_encoded_at_once_as_one_by_one(make):
    """What is encoded for all of them at once is, byte by byte, what is encoded for each."""
    with recording() as seen:
        for i in range(5):
            make(i)
        buffer = seen.runtime.recorder._buffer
        predictions = list(buffer)
        buffer.clear()
        (columns,) = columns_of(predictions)
        one_by_one = Descriptions(columns)
        columns.facts = facts_of(predictions)
        assert columns.facts.alike == (make in ALIKE)
        described = Descriptions(columns)
        n = len(predictions)
        for found, expected in (
            (described.of_spans(), one_by_one.of_spans()),
            (described.of_events(), one_by_one.of_events()),
        ):
            assert framed(b"", n, *found) == framed(b"", n, *expected)
        assert described.sentences() == one_by_one.sentences() == [one.sentence() for one in described.each]
        pairs = [one.pairs() for one in described.each]
        assert one_by_one.of_spans()[1] == [tagged(encoding.SPAN_ATTRIBUTE, each) for each in pairs]
        timed = [one.pairs() + encoding.pairs(timing(one.prediction)) for one in described.each]
        assert one_by_one.of_events()[1] == [tagged(encoding.LOG_ATTRIBUTE, each) for each in timed]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.00031, "0.31 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (1.4, "1.40 s"),
        (7200.0, "7,200.00 s"),
    ],
)
def test_durations_are_readable(seconds, text):
    """No duration is told in powers of ten."""
    assert descriptions._readable(seconds) == text
