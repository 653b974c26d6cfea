"""Events: one record each, correlated, plain and bounded, whatever the application gives."""

import datetime as dt
import enum

import numpy as np
import pytest

import otelml
from otelml import context
from otelml.testing import recording


def emitted(telemetry, **attributes):
    """Emit one event; return its attributes."""
    telemetry.clear()
    otelml.event("app.event", **attributes)
    (log,) = telemetry.logs()
    return log.attributes


def test_event_is_correlated(telemetry):
    """An event inside a stage has its trace and span, and the ids of request and prediction."""
    with context.with_request_id("r-7"), otelml.prediction("m") as p, p.stage("inference"):
        otelml.event("cache.miss", severity="warning", body="no entry", key="k")
    event, prediction = telemetry.logs()
    stage, _ = telemetry.spans()
    assert (event.event, event.body, event.severity) == ("cache.miss", "no entry", "WARN")
    assert (event.trace_id, event.span_id) == (stage.trace_id, stage.span_id)
    assert event.attributes == {"ml.request.id": "r-7", "ml.prediction.id": p.id, "key": "k"}
    assert prediction.attributes["ml.request.id"] == "r-7"


def test_event_outside_of_anything(telemetry):
    """Outside of a prediction an event has no trace and no ids; its body is its name."""
    otelml.event("app.started")
    (event,) = telemetry.logs()
    assert (event.body, event.trace_id, event.attributes, event.severity) == ("app.started", 0, {}, "INFO")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        *(("trace", "TRACE"), ("debug", "DEBUG"), ("info", "INFO"), ("warning", "WARN"), ("WARN", "WARN")),
        *(
            ("error", "ERROR"),
            ("critical", "FATAL"),
            ("fatal", "FATAL"),
            ("loud", "INFO"),
            (30, "INFO"),
            (None, "INFO"),
        ),
    ],
)
def test_severities(telemetry, given, said):
    """Every severity is known by its name; what is none is info."""
    otelml.event("x", severity=given)
    assert telemetry.logs()[0].severity == said


class Colour(enum.StrEnum):
    """An enumeration of texts."""

    RED = "red"


VALUES = [
    (None, None),
    ("ünï ✓", "ünï ✓"),
    (b"ab\xff", "ab�"),
    ("\ud800", "?"),
    (Colour.RED, "red"),
    (np.float32(0.5), 0.5),
    (np.int64(7), 7),
    (np.str_("x"), "x"),
    (np.array([[1, 2], [3, 4]]), (1, 2, 3, 4)),
    ([1, "a", None], (1, "a", None)),
    ({"a": {"b": [1]}}, {"a": {"b": (1,)}}),
    ({1: 2}, {"1": 2}),
    (2**80, str(2**80)),
    (-(2**63), -(2**63)),
    (1 << 20_000, "int"),
    (object(), "object"),
    (dt.date(2024, 1, 1), "date"),
    (lambda: 1, "function"),
]


@pytest.mark.parametrize(("given", "kept"), VALUES, ids=lambda x: type(x).__name__)
def test_attribute_values(telemetry, given, kept):
    """Values become plain ones; objects are named by their class, never printed."""
    assert emitted(telemetry, x=given)["x"] == kept


def test_attributes_are_bounded(telemetry):
    """A megabyte of text, a million items, a thousand attributes and long keys are cut."""
    assert len(emitted(telemetry, x="é" * 1_000_000)["x"]) == 4096
    assert len(emitted(telemetry, x=list(range(1_000_000)))["x"]) == 128
    assert len(emitted(telemetry, x=np.zeros((1000, 1000)))["x"]) == 128
    assert len(emitted(telemetry, **{f"k{i}": i for i in range(1000)})) == 64
    assert set(emitted(telemetry, **{"k" * 1000: 1})) == {"k" * 256}
    otelml.event("n" * 1000, body="b" * 10_000)
    assert (len(telemetry.logs()[-1].event), len(telemetry.logs()[-1].body)) == (256, 4096)


def test_deep_and_circular_values_end(telemetry):
    """A list that holds itself, and lists of lists that would make two million items, are cut three levels down."""
    circle = []
    circle.append(circle)
    assert emitted(telemetry, x=circle)["x"] == ((("list",),),)
    wide = [1] * 128
    for _ in range(5):
        wide = [wide] * 128
    assert len(emitted(telemetry, x=wide[:1])["x"]) == 1


def test_objects_are_never_printed(telemetry):
    """An object whose text is private, or raises, is named by its class."""

    class Customer:
        def __str__(self):
            raise RuntimeError("John Smith")

        __repr__ = __str__

    assert emitted(telemetry, x=Customer(), y=[Customer()])["y"][0].endswith("Customer")


def test_attributes_are_copies(telemetry):
    """A list that the application changes later is exported as it was."""
    known = [1]
    otelml.event("x", known=known)
    known.append(2)
    assert telemetry.logs()[0].attributes["known"] == (1,)


def test_events_before_the_start_do_nothing():
    """Before auto_instrument() an event goes nowhere."""
    otelml.event("x", severity="error", a=object())
    with recording() as seen:
        assert seen.logs() == []


def test_sentences():
    """The body of a prediction's event says in one line what happened."""
    with recording(deterministic=True) as seen:
        for given in ({}, {"classes": "a"}, {"values": [1.0, 2.0]}, {"values": 2.5}):
            with otelml.prediction("m") as p:
                p.result(**given)
        assert [log.body for log in seen.logs()] == [
            "m predicted 1 rows in 1 ms",
            "m predicted a in 1 ms",
            "m predicted 2 rows in 1 ms",
            "m predicted 2.5 in 1 ms",
        ]


def test_cleaned_attributes_can_be_encoded():
    """Everything that clean() returns is taken by the OTLP encoder."""
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs  # noqa: PLC0415 - only here

    with recording() as seen:
        otelml.event("x\ud800", body="\ud800", **{f"k{i}": given for i, (given, _) in enumerate(VALUES)})
        seen.drain()
        records = seen._logs.get_finished_logs()
        assert encode_logs(records).ByteSize() > 100
