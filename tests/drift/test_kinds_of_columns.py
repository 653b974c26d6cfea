"""Columns as frames and arrays hold them: times, categories, texts as bytes, what is no frame; infinities; nothing."""

import json
import math
import sys
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import polars as pl
import pytest

from otelml import drift
from otelml.errors import MissingExtraError

MOMENT = 1_600_000_000.0
MOMENTS = [datetime.fromtimestamp(MOMENT + 3600 * i, UTC) for i in range(3)]


@pytest.mark.parametrize(
    "column",
    [
        MOMENTS,
        [moment.astimezone(timezone(timedelta(hours=-5))) for moment in MOMENTS],
        [moment.replace(tzinfo=None) for moment in MOMENTS],
        pd.Series(pd.DatetimeIndex(MOMENTS).tz_convert("America/New_York")),
        pd.Series(pd.DatetimeIndex(MOMENTS).tz_localize(None)),
        pl.Series(MOMENTS),
        np.array([moment.replace(tzinfo=None) for moment in MOMENTS], "datetime64[s]"),
        [np.datetime64(moment.replace(tzinfo=None)) for moment in MOMENTS],
    ],
    ids=("aware", "zone", "naive", "pandas-zone", "pandas", "polars", "numpy", "numpy-objects"),
)
def test_times_are_numbers(column):
    """A time is seconds since 1970 whatever holds it, with a zone or without."""
    feature = drift.Reference.fit({"t": column}).features[0]
    assert (feature.kind, feature.counts) == ("number", (0, 1, 1, 1, 0, 0))
    assert (feature.minimum, feature.cuts[-1]) == (MOMENT, MOMENT + 7200)


def test_days_and_durations_are_numbers():
    """Dates are midnights in UTC, durations seconds; NaT and None are missing."""
    data = {"d": [date(1970, 1, 2), None, pd.NaT], "s": [timedelta(minutes=1), np.timedelta64(1, "m"), None]}
    days, durations = drift.Reference.fit(data).features
    assert (days.minimum, days.counts) == (86400.0, (0, 1, 0, 2))
    assert (durations.minimum, durations.counts) == (60.0, (0, 2, 0, 1))


def test_categories_of_frames():
    """Pandas' categories of whole numbers stay categories; polars' own, bytes and truth values with gaps are, too."""
    frame = pd.DataFrame(
        {"a": pd.Series([3, 1, None], dtype="category"), "b": pd.array([True, None, False], "boolean")}
    )
    assert [f.labels for f in drift.Reference.fit(frame).features] == [
        ("1", "3", "other", "missing"),
        ("false", "true", "other", "missing"),
    ]
    texts = pl.DataFrame({"c": pl.Series(["x", None, "y"], dtype=pl.Categorical)})
    reference = drift.Reference.fit(texts)
    assert reference.features[0].counts == (1, 1, 0, 1)
    assert reference.count({"c": np.array([b"x", b"z"])}).counts["c"].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("data", [pl.LazyFrame({"a": [1]}), pd.Series([1]), "abc", iter([[1]])])
def test_what_is_no_frame(data):
    """A lazy frame is not read in secret; a column, a text or an iterator is no table."""
    with pytest.raises(drift.InvalidDataError, match="is no 2-D array"):
        drift.Reference.fit(data)


def test_infinities_are_outside():
    """Infinities of the data fall into the outer bins, and enough of them are found; those of a reference stay."""
    values = np.random.default_rng(0).normal(size=2000)
    now = np.where(np.arange(2000) % 20 == 0, math.inf, values)
    report = drift.compare(drift.Reference.fit({"a": values}), {"a": now})
    assert (report["a"].test, report.drifted) == ("range", ("a",))
    assert report["a"].shares[-2] == pytest.approx(0.05)
    assert drift.compare(drift.Reference.fit({"a": now}), {"a": now}).drifted == ()


def test_nothing_but_missing_values():
    """All missing now, or all missing before, is drift; on both sides it is none."""
    full, empty = {"a": np.arange(500.0)}, {"a": [None] * 500}
    for before, now, drifted in ((full, empty, ("a",)), (empty, full, ("a",)), (empty, empty, ())):
        report = drift.compare(drift.Reference.fit(before), now)
        assert report.drifted == drifted
        assert (
            report["a"].missing_change == report["a"].missing - drift.Reference.fit(before).features[0].counts[-1] / 500
        )


def test_without_rows_or_columns():
    """No rows, or no columns, on either side: too few to tell, nothing raised."""
    for before, now in ((np.zeros((0, 3)), np.ones((300, 3))), (np.ones((300, 2)), []), ([], [])):
        report = drift.compare(drift.Reference.fit(before), now)
        assert (report.enough, report.drifted) == (False, ())
        assert str(report).endswith("at least 100 are needed")


@pytest.mark.parametrize(
    "limits", [{"alpha": 0}, {"alpha": 5}, {"effect": -1}, {"missing": math.nan}, {"minimum_rows": 0}]
)
def test_limits_without_sense(limits):
    """An error that shows them, not a report that can't be trusted."""
    with pytest.raises(ValueError, match="alpha"):
        drift.compare(drift.Reference.fit({"a": [1.0]}), {"a": [1.0]}, **limits)


def test_each_test_says_its_own():
    """KS for numbers and chi-square for categories are there uncorrected; the joint p-value comes from the best."""
    rng = np.random.default_rng(0)
    before = {"n": rng.normal(size=1000), "c": rng.choice(list("abc"), 1000)}
    now = {"n": rng.normal(0.5, size=1000), "c": rng.choice(list("abc"), 1000, p=[0.5, 0.3, 0.2])}
    report = drift.compare(drift.Reference.fit(before), now)
    assert set(report["n"].p_values) == {"rank", "spread", "shape", "ks", "range", "missing"}
    assert set(report["c"].p_values) == {"shape", "other", "missing"}
    assert report["n"].p_values["ks"] < 1e-9
    assert report["c"].p_value == report["c"].p_values["shape"] / 0.5
    assert report["n"].q_value == min(1.0, 2 * report["n"].p_value)


def test_zero_has_no_sign():
    """The smallest value 0 is shown as 0."""
    assert drift.Reference.fit({"a": [0.0, 1.0]}).labels("a")[0] == "< 0"


def test_a_number_too_large_for_a_float(tmp_path):
    """A fault of the file, like any other."""
    drift.Reference.fit({"a": [1.0, 2.0]}).save(tmp_path / "r.json")
    document = json.loads((tmp_path / "r.json").read_text())
    document["features"][0]["maximum"] = 10**400
    (tmp_path / "r.json").write_text(json.dumps(document))
    with pytest.raises(drift.InvalidReferenceError, match="maximum: 1000"):
        drift.Reference.load(tmp_path / "r.json")


def test_without_matplotlib(monkeypatch):
    """The error names the extra."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    report = drift.compare(drift.Reference.fit({"a": [1.0]}), {"a": [1.0]})
    with pytest.raises(MissingExtraError, match="plot"):
        report.plot()
