"""References, comparisons and alarms over real tables: what must hold whatever the data is held in."""

import json
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelml import drift

NUMBER = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(-5, 5))
ANYTHING = st.one_of(NUMBER, st.text(max_size=3), st.booleans())


def normal(rows, columns=5, seed=0):
    """A table of normal columns."""
    return np.random.default_rng(seed).normal(size=(rows, columns))


def same(one, other):
    """Whether two windows counted the same."""
    assert one.counts.keys() == other.counts.keys()
    return all((one.counts[name] == other.counts[name]).all() for name in one.counts)


# Properties -------------------------------------------------------------------------------------------------------


@given(st.lists(ANYTHING, max_size=60), st.lists(ANYTHING, max_size=60), st.integers(2, 12))
def test_nothing_is_lost_and_windows_add_up(before, now, bins):
    """Of any values each is in one bin, also of a reference of others; two windows are one; single bins agree."""
    reference = drift.Reference.fit({"a": before}, bins=bins)
    assert sum(reference.features[0].counts) == len(before)
    whole = reference.count({"a": now})
    assert whole.counts["a"].sum() == len(now)
    assert same(whole, reference.count({"a": now[:7]}) + reference.count({"a": now[7:]}))
    singly = [reference.bin_index("a", value) for value in now]
    assert np.bincount(singly, minlength=len(reference.labels("a"))).tolist() == whole.counts["a"].tolist()
    assert len(set(reference.labels("a"))) == len(reference.labels("a")) == len(whole.counts["a"])


@given(st.lists(ANYTHING, max_size=40), st.lists(ANYTHING, max_size=40), st.randoms())
def test_order_of_rows_is_irrelevant(before, now, random):
    """Shuffled rows give the same reference and the same report."""
    report = drift.compare(drift.Reference.fit({"a": before}), {"a": now}, minimum_rows=1).to_dict()
    random.shuffle(before)
    random.shuffle(now)
    assert drift.compare(drift.Reference.fit({"a": before}), {"a": now}, minimum_rows=1).to_dict() == report


@given(st.lists(st.integers(-1000, 1000), min_size=2), st.lists(st.integers(-1000, 1000), min_size=2))
def test_monotone_maps_change_nothing(before, now):
    """PSI, JS, KS and p-value are the same after an increasing map of reference and data."""
    reports = []
    for scale in (lambda v: v, lambda v: math.exp(v / 100), lambda v: 3.5 * v**3 - 7):
        reference = drift.Reference.fit({"a": [scale(float(v)) for v in before]})
        found = drift.compare(reference, {"a": [scale(float(v)) for v in now]})["a"]
        reports.append((found.psi, found.js, found.ks, found.p_value))
    assert reports[0] == reports[1] == reports[2]


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.one_of(st.none(), st.floats(allow_nan=False, width=32)), st.sampled_from("abc")), min_size=1)
)
def test_whatever_holds_the_data_says_the_same(rows):
    """Dicts of lists, lists of dicts, pandas and polars frames give one reference and one window."""
    columns = {"x": [x for x, _ in rows], "c": [c for _, c in rows]}
    ways = [
        columns,
        [{"x": x, "c": c} for x, c in rows],
        pd.DataFrame({"x": pd.array(columns["x"], "Float64"), "c": pd.Series(columns["c"], dtype="category")}),
        pl.DataFrame(columns, schema={"x": pl.Float64, "c": pl.String}),
        {"x": np.array([math.nan if x is None else x for x in columns["x"]]), "c": np.array(columns["c"])},
    ]
    references = [drift.Reference.fit(way) for way in ways]
    assert all(reference == references[0] for reference in references)
    assert all(same(references[0].count(way), references[0].count(columns)) for way in ways)


@given(st.lists(ANYTHING, max_size=30), st.lists(NUMBER, max_size=30))
def test_a_saved_reference_is_the_same(tmp_path_factory, first, second):
    """What is loaded equals what was saved."""
    path = tmp_path_factory.mktemp("drift") / "reference.json"
    size = min(len(first), len(second))
    reference = drift.Reference.fit({"a": first[:size], "b é": second[:size]})
    reference.save(path)
    assert drift.Reference.load(path) == reference


# Shapes of data ---------------------------------------------------------------------------------------------------


def test_arrays_by_position():
    """Arrays of any layout and dtype, and lists of lists, are matched by position; a wrong number is told."""
    values = normal(20_000, 3)
    reference = drift.Reference.fit(values, ["a", "b", "c"])
    expected = reference.count(values)
    for way in (np.asfortranarray(values), values.tolist(), values[::-1], np.ma.masked_invalid(values)):
        assert same(reference.count(way), expected)
    with pytest.raises(drift.InvalidDataError, match="2 columns, where the reference has 3"):
        reference.count(values[:, :2])


def test_whole_bins_between_quantiles():
    """Ten equal bins between two that nothing of the reference is in."""
    feature = drift.Reference.fit(normal(1000, 1)).features[0]
    assert feature.counts == (0, *[100] * 10, 0, 0)
    assert feature.labels[0].startswith("< -")
    assert feature.labels[-1] == "missing"


def test_heavy_values_have_a_bin_of_their_own():
    """A value that is most of a column is not mixed with its neighbours, below or above."""
    reference = drift.Reference.fit({"a": [0.0] * 900 + [-1.0] * 50 + [1.0] * 50})
    assert [reference.bin_index("a", v) for v in (-2, -1, -0.5, 0, 0.5, 1, 2)] == [0, 1, 2, 2, 3, 3, 4]
    constant = drift.Reference.fit({"a": [7.0] * 200})
    assert constant.labels("a") == ("< 7", "7", "> 7", "missing")
    assert drift.compare(constant, {"a": [7.0] * 200}).drifted == ()
    assert drift.compare(constant, {"a": [7.001] * 200}).drifted == ("a",)


def test_odd_columns():
    """Infinities, nothing at all, mixed types, truth values, times and numbers beyond floats each have a place."""
    times = np.array(["2026-01-01", "NaT", "2026-01-03"], "datetime64[D]")
    data = {
        "inf": [1.0, math.inf, -math.inf],
        "none": [None, math.nan, None],
        "mixed": [1, "a", None],
        "flag": [True, False, True],
        "time": times,
        "big": [10**400, 1, None],
    }
    reference = drift.Reference.fit(data)
    kinds = {feature.name: (feature.kind, feature.counts) for feature in reference.features}
    assert kinds["inf"] == ("number", (1, 1, 1, 0))
    assert kinds["none"] == ("number", (0, 3))
    assert kinds["mixed"] == ("category", (1, 1, 0, 1))
    assert kinds["flag"] == ("category", (2, 1, 0, 0))
    assert kinds["time"] == ("number", (0, 1, 1, 0, 1))
    assert kinds["big"] == ("number", (0, 1, 1, 1))
    assert drift.compare(reference, data, minimum_rows=1).drifted == ()


def test_ten_thousand_categories():
    """The most frequent have bins, the others one together; nothing is lost, and a new majority is found."""
    rng = np.random.default_rng(0)
    before = rng.zipf(1.5, 20_000) % 10_000
    reference = drift.Reference.fit({"a": before}, categorical=["a"])
    assert len(reference.labels("a")) == 22
    assert reference.rows == 20_000
    assert drift.compare(reference, {"a": rng.zipf(1.5, 20_000) % 10_000}).drifted == ()
    assert drift.compare(reference, {"a": rng.integers(0, 10_000, 20_000)}).drifted == ("a",)


def test_values_of_another_type_are_missing():
    """Texts in a column of numbers count as missing; numbers among categories by their name, 3.0 as 3."""
    reference = drift.Reference.fit({"n": [1.0, 2.0], "c": ["3", "x"]})
    window = reference.count({"n": ["1", 2], "c": [3.0, 3]})
    assert window.counts["n"][-1] == 1
    assert window.counts["c"].tolist() == [2, 0, 0, 0]


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        (7, {}, "int is no 2-D array"),
        (np.zeros(3), {}, "1 dimensions"),
        ([[1, 2], [1]], {}, "rows of different lengths"),
        ([1, 2], {}, "rows that are no lists or dicts"),
        ({"a": [1], "b": [1, 2]}, {}, "columns of different lengths"),
        (np.zeros((2, 2)), {"names": ["a"]}, "1 names for 2 columns"),
        (np.zeros((2, 2)), {"names": ["a", "a"]}, "'a' is there 2 times"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, "'a' is there 2 times"),
        ({"a": [1]}, {"categorical": ["b"]}, "there is no column 'b'"),
    ],
)
def test_what_is_no_table_is_told(data, options, said):
    """A clear error for each."""
    with pytest.raises(drift.InvalidDataError, match=said):
        drift.Reference.fit(data, **options)


def test_sizes_out_of_range():
    """Bins and categories have limits."""
    for options in ({"bins": 1}, {"bins": 101}, {"top": 0}):
        with pytest.raises(ValueError, match="="):
            drift.Reference.fit([[1]], **options)


def test_columns_that_do_not_match():
    """Every missing column is named; those the reference doesn't have are in the report."""
    reference = drift.Reference.fit({"a": [1] * 200, "b": [2] * 200, "c": [3] * 200})
    with pytest.raises(drift.InvalidDataError) as raised:
        drift.compare(reference, {"c": [3]})
    assert len(raised.value.faults) == 2
    report = drift.compare(reference, {"a": [1], "b": [2], "c": [3], "d": [4]})
    assert report.unknown == ("d",)
    assert "not compared: d" in str(report)
    other = drift.Reference.fit({"a": [1, 2, 3]}).count({"a": [1]})
    with pytest.raises(drift.InvalidDataError, match="different references"):
        drift.compare(reference, other)


# Truth: a small, seeded version of benchmarks/drift.py ------------------------------------------------------------


@pytest.mark.parametrize(("rows", "reference_rows"), [(200, 200), (5000, 200), (200, 5000), (2000, 2000)])
def test_no_change_no_alarm(rows, reference_rows):
    """In 30 comparisons of 50 features without change at most one names any (1 % are expected)."""
    wrong = 0
    for seed in range(30):
        rng = np.random.default_rng((rows, reference_rows, seed))
        before, now = (np.exp(rng.standard_t(3, (size, 50)) / 4) for size in (reference_rows, rows))
        wrong += bool(drift.compare(drift.Reference.fit(before), now).drifted)
    assert wrong <= 1


@pytest.mark.parametrize(
    ("change", "test"),
    [
        (lambda x: x + 0.5, "rank"),
        (lambda x: x * 1.6, "spread"),
        (lambda x: np.where(np.arange(len(x)) % 20 == 0, np.nan, x), "missing"),
        (lambda x: np.where(np.arange(len(x)) % 25 == 0, 99.0, x), "range"),
        (lambda x: np.sign(x) * (0.5 + np.abs(x) / 3), "shape"),
    ],
)
def test_a_change_is_found_and_named(change, test):
    """One changed column of 50 is the one that is named, by the test that is made for it."""
    reference, now = drift.Reference.fit(normal(1000, 50)), normal(1000, 50, seed=1)
    now[:, 17] = change(now[:, 17])
    report = drift.compare(reference, now)
    assert report.drifted == ("x17",)
    assert report["x17"].test == test


def test_a_new_category_is_found():
    """Three percent of a category that wasn't there."""
    rng = np.random.default_rng(0)
    reference = drift.Reference.fit({"c": rng.choice(list("abcd"), 1000)})
    now = np.where(rng.random(1000) < 0.03, "new", rng.choice(list("abcd"), 1000))
    assert drift.compare(reference, {"c": now})["c"].test == "other"
    assert drift.compare(reference, {"c": now}).drifted == ("c",)


def test_small_changes_and_few_rows_never_count():
    """A shift by 0.03 sigma of 300,000 rows is certain and too small; of 99 rows nothing is called drifted."""
    values = normal(300_000, 1)
    report = drift.compare(drift.Reference.fit(values), values + 0.03)
    assert report["x0"].q_value < 1e-6
    assert report.drifted == ()
    few = drift.compare(drift.Reference.fit(values), values[:99] + 9)
    assert few.drifted == ()
    assert few.verdict == "too few rows to tell: 99, at least 100 are needed"
    assert drift.compare(drift.Reference.fit(values), values[:0]).features[0].p_value == 1


# What comes out ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report():
    """One of five features shifted."""
    now = normal(1000, seed=1)
    now[:, 3] += 1
    return drift.compare(drift.Reference.fit(normal(1000)), now)


def test_report_as_table(report):
    """The one that drifted comes first; the last line is the verdict."""
    lines = str(report).splitlines()
    assert lines[0].split()[0] == "FEATURE"
    assert lines[1].split()[0] == "x3"
    assert lines[1].endswith("yes: rank")
    assert lines[-1] == report.verdict == "1 of 5 features drifted: x3"


def test_report_as_plain_values(report):
    """It goes through JSON unchanged; shares stand by their bin, and add up to 1."""
    plain = report.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["drifted"] == ["x3"]
    assert sum(share["now"] for share in plain["features"][3]["bins"].values()) == pytest.approx(1)


def test_report_as_plot(report, tmp_path):
    """The figure has a bar for each feature and can be saved."""
    pytest.importorskip("matplotlib")
    figure = report.plot()
    assert len(figure.axes[0].patches) == 5
    figure.savefig(tmp_path / "drift.png")


def test_alarm_needs_windows_in_a_row(report):
    """Raised after three windows with drift, cleared after two without, not by single ones or ones with few rows."""
    calm = drift.compare(drift.Reference.fit(normal(1000)), normal(1000, seed=2))
    few = drift.compare(drift.Reference.fit(normal(1000)), normal(50))
    alarm = drift.Alarm(raise_after=3, clear_after=2)
    raised, cleared = [drift.Change("x3", raised=True)], [drift.Change("x3", raised=False)]
    for window, expected in (
        *((report, []), (report, []), (calm, []), (report, []), (report, []), (few, []), (report, raised)),
        *((report, []), (calm, []), (report, []), (calm, []), (few, []), (calm, cleared), (calm, [])),
    ):
        assert alarm.update(window) == expected
    assert alarm.raised == frozenset()
    with pytest.raises(ValueError, match="at least 1"):
        drift.Alarm(raise_after=0)
