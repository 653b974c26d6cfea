"""The table of names: complete, without doubles, and following OpenTelemetry's rules."""

import re

import pytest

from otelml import semconv

NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+(\.<[a-z]+>)?")
UNITS = {"", "1", "s", "By", "Cel", "W", "J"}


def test_every_name_is_there_once():
    """No metric, attribute, span or event has two rows."""
    for rows in (semconv.METRICS, semconv.ATTRIBUTES, semconv.SPANS, semconv.EVENTS):
        names = [row.name for row in rows]
        assert len(names) == len(set(names))


def test_every_constant_has_its_row():
    """Each attribute constant of the module is described in the table, and each metric is listed."""
    texts = {v for k, v in vars(semconv).items() if k.isupper() and isinstance(v, str)}
    texts -= {semconv.SCHEMA_URL, semconv.SCOPE, semconv.SLICE_PREFIX}
    assert texts <= {row.name for row in semconv.ATTRIBUTES} | {row.name for row in semconv.METRICS}
    listed = {id(row) for row in semconv.METRICS}
    assert all(id(v) in listed for v in vars(semconv).values() if isinstance(v, semconv.Metric))


@pytest.mark.parametrize("row", semconv.METRICS, ids=lambda row: row.name)
def test_metric_rows(row):
    """A metric's name holds no unit and no total; its unit is UCUM; its attributes are bounded and have rows."""
    assert NAME.fullmatch(row.name)
    assert not re.search(r"(_total|_seconds|_bytes|_ratio)$", row.name)
    assert row.unit in UNITS or re.fullmatch(r"\{[a-z_]+\}", row.unit)
    assert row.help.endswith(".")
    assert all(semconv.attribute(name).limit for name in row.attributes)
    assert (row.buckets is not None) == (row.kind == "histogram")
    if row.buckets:
        assert list(row.buckets) == sorted(set(row.buckets))


@pytest.mark.parametrize("row", [*semconv.SPANS, *semconv.EVENTS], ids=lambda row: row.name)
def test_span_and_event_rows(row):
    """Attributes of spans and events have rows."""
    assert all(semconv.attribute(name) for name in row.attributes)
    assert row.help


@pytest.mark.parametrize("row", semconv.ATTRIBUTES, ids=lambda row: row.name)
def test_attribute_rows(row):
    """An attribute's name is a dotted lower-case one, one of the conventions', or a template as they have them."""
    assert NAME.fullmatch(row.name)
    assert row.help.endswith(".")
    assert row.limit is None or row.limit > 0


def test_bounds_read_the_same_everywhere():
    """No bound is a whole number: `le="1"` and `le="1.0"` would be two series."""
    for row in semconv.METRICS:
        assert not any(float(bound).is_integer() for bound in row.buckets or ()), row.name


def test_no_series_explosion():
    """The labels of a metric can make at most so many series in one process."""
    for row in semconv.METRICS:
        if semconv.FEATURE_NAME in row.attributes:
            continue  # bounded by the reference as a whole: `MOST_BINS`, in tests/features
        if row.name.startswith("ml."):
            own = [a for a in row.attributes if a not in {semconv.MODEL_NAME, semconv.MODEL_VERSION}]
            series = 1
            for name in own:
                series *= semconv.attribute(name).limit + 1
            assert series <= 1000, row.name


def test_unknown_attribute():
    """Asking for an attribute without a row is a KeyError."""
    for name in ("nonsense", "ml.slice"):
        with pytest.raises(KeyError):
            semconv.attribute(name)


def test_template():
    """Every attribute of a template has its row."""
    assert semconv.attribute("ml.slice.carrier") is semconv.attribute(semconv.SLICE)
