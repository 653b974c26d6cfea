"""Live observation of features: what is counted, of whatever inputs, and what never happens to the application."""

import gc
import math
import os
import threading
import weakref
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

import otelml
from otelml import _guard, drift, runtime
from otelml.features import taking
from otelml.testing import recording

RNG = np.random.default_rng(7)
ROWS = 400
NUMBERS = RNG.normal(size=(ROWS, 3))
CARRIERS = np.array(["AA", "DL", "UA"])[RNG.integers(0, 3, ROWS)]
NAMES = ["age", "fare", "miles"]
MIXED = {**dict(zip(NAMES, NUMBERS.T, strict=True)), "carrier": CARRIERS}
DEVIANT = np.vstack([NUMBERS * 1.5, [[np.nan, np.inf, -np.inf]]])


@pytest.fixture
def paths(tmp_path):
    """A reference of numbers, one with a category, and one of the output as well."""
    tables = {"numbers": (NUMBERS, NAMES), "mixed": (MIXED, None)}
    tables["output"] = ({"age": NUMBERS[:, 0], "prediction": CARRIERS}, None)
    for name, (data, names) in tables.items():
        drift.Reference.fit(data, names).save(tmp_path / f"{name}.json")
    return tmp_path


@pytest.fixture
def watched(paths):
    """Record with a reference of a model: ``watched("mixed")``."""
    open_ones = []

    def start(name, **settings):
        made = recording(drift_reference=str(paths / f"{name}.json"), **settings)
        open_ones.append(made)
        return made.__enter__()

    yield start
    for each in reversed(open_ones):
        each.__exit__(None, None, None)


def predict(inputs, **result):
    """Make one prediction with inputs."""
    with otelml.prediction("delay", "3") as p:
        p.result(inputs=inputs, **result)


def fail(inputs):
    """Make one prediction that fails after its result is known."""
    with otelml.prediction("delay", "3") as p:
        p.result(inputs=inputs, classes="AA")
        raise ValueError("late")


def bins(telemetry):
    """Return {feature: {bin: values}} as exported."""
    found = {}
    for point in telemetry.points("ml.feature.observations"):
        found.setdefault(point.attributes["ml.feature.name"], {})[point.attributes["ml.feature.bin"]] = point.value
    return found


def sums(telemetry):
    """Return how many values each feature has over all bins."""
    return {feature: sum(counts.values()) for feature, counts in bins(telemetry).items()}


def violations(telemetry):
    """Return {(feature, kind): values} of those that are not zero."""
    points = telemetry.points("ml.feature.violations")
    return {(p.attributes.get("ml.feature.name"), p.attributes["ml.violation"]): p.value for p in points if p.value}


def expected(reference, rows):
    """Return the counts of rows by feature, as the reference itself counts them, in the order of its bins."""
    return {name: counts.tolist() for name, counts in reference.count(rows).counts.items()}


def in_order(telemetry):
    """Return the exported counts by feature; bins in the order of the reference."""
    counted = next(iter(telemetry.runtime.recorder.watch._watched.values())).counted
    found = bins(telemetry)
    return {name: [found[name][labels["ml.feature.bin"]] for labels in counted.features[name].bins] for name in found}


# What is counted ----------------------------------------------------------------------------------------------------

SHAPES = {
    "rows": list,
    "matrices of one row": lambda a: [row[None] for row in a],
    "one matrix": lambda a: [a],
    "fortran order": lambda a: [np.asfortranarray(a)],
    "strided": lambda a: [np.repeat(a, 2, axis=0)[::2]],
    "other byte order": lambda a: [a.astype(">f8")],
    "objects": lambda a: [a[i : i + 60].astype(object) for i in range(0, len(a), 60)],
    "lists": lambda a: [row.tolist() for row in a],
    "tuples": lambda a: [tuple(row.tolist()) for row in a],
    "lists of lists": lambda a: [a[i : i + 50].tolist() for i in range(0, len(a), 50)],
    "dicts": lambda a: [dict(zip(NAMES, row.tolist(), strict=True)) for row in a],
    "dicts in another order": lambda a: [dict(zip(NAMES[::-1], row[::-1].tolist(), strict=True)) for row in a],
    "dicts of columns": lambda a: [dict(zip(NAMES, a[i : i + 50].T, strict=True)) for i in range(0, len(a), 50)],
    "lists of dicts": lambda a: [
        [dict(zip(NAMES, row.tolist(), strict=True)) for row in a[i : i + 50]] for i in range(0, len(a), 50)
    ],
    "pandas": lambda a: [pd.DataFrame(a, columns=NAMES)],
    "pandas in another order": lambda a: [pd.DataFrame(a, columns=NAMES)[NAMES[::-1]]],
    "pandas rows": lambda a: [row for _, row in pd.DataFrame(a, columns=NAMES).iterrows()],
    "polars": lambda a: [pl.DataFrame(a, schema=NAMES)],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_way_to_give_rows_counts_the_same(watched, shape):
    """Whatever holds the rows, the exported counts are those of the reference itself, NaN and infinities included."""
    telemetry = watched("numbers")
    for inputs in SHAPES[shape](DEVIANT):
        predict(inputs)
    reference = drift.Reference.fit(NUMBERS, NAMES)
    assert in_order(telemetry) == expected(reference, DEVIANT)
    assert sums(telemetry) == dict.fromkeys(NAMES, len(DEVIANT))
    assert telemetry.total("ml.feature.rows") == len(DEVIANT)
    outside = {
        name: int(((DEVIANT[:, i] < NUMBERS[:, i].min()) | (DEVIANT[:, i] > NUMBERS[:, i].max())).sum())
        for i, name in enumerate(NAMES)
    }
    assert violations(telemetry) == {(name, "out_of_range"): count for name, count in outside.items()}
    assert telemetry.drops.counts() == {}


MIXES = {
    "dicts": lambda t: t.to_dict("records"),
    "tuples": lambda t: list(t.itertuples(index=False, name=None)),
    "pandas rows": lambda t: [t[i : i + 1] for i in range(len(t))],
    "pandas": lambda t: [t[i : i + 60] for i in range(0, len(t), 60)],
    "polars": lambda t: [pl.from_pandas(t[i : i + 60]) for i in range(0, len(t), 60)],
    "objects": lambda t: [t[i : i + 60].to_numpy() for i in range(0, len(t), 60)],
    "dicts of columns": lambda t: [{n: t[n][i : i + 60].to_numpy() for n in t} for i in range(0, len(t), 60)],
}


@pytest.mark.parametrize("shape", MIXES)
def test_categories_count_the_same(watched, monkeypatch, shape):
    """Categories, new ones and missing ones as well, are counted as the reference counts them."""
    monkeypatch.setattr(taking, "MIXED_PAUSE", 0)
    table = pd.DataFrame(MIXED)[:120].astype({"carrier": object})
    table.loc[3, "carrier"], table.loc[4, "carrier"], table.loc[5, "carrier"] = "ZZ", None, "other"
    telemetry = watched("mixed")
    for inputs in MIXES[shape](table):
        predict(inputs)
    assert in_order(telemetry) == expected(drift.Reference.fit(MIXED), table)
    assert violations(telemetry) == {("carrier", "new_category"): 2}


@pytest.mark.parametrize("dtype", ["f4", "i8", "u1", "?", "f2"])
def test_other_numbers(watched, dtype):
    """Arrays of other types of numbers are read as they are."""
    telemetry = watched("numbers")
    given = np.abs(NUMBERS * 3).astype(dtype)
    predict(given)
    assert in_order(telemetry) == expected(drift.Reference.fit(NUMBERS, NAMES), given.astype(float))


def test_every_bin_is_there_from_zero(watched):
    """With a model of the settings all bins are exported before its first prediction, and the reference beside them."""
    telemetry = watched("mixed", model_name="delay", model_version="3")
    # The model is configured, but the file is for every model: its bins are known with the first prediction.
    predict(None)
    found = bins(telemetry)
    assert {name: set(counts.values()) for name, counts in found.items()} == {name: {0} for name in [*NAMES, "carrier"]}
    reference = {}
    for p in telemetry.points("ml.feature.reference"):
        assert p.attributes["ml.feature.kind"] == (
            "category" if p.attributes["ml.feature.name"] == "carrier" else "number"
        )
        reference.setdefault(p.attributes["ml.feature.name"], {})[p.attributes["ml.feature.bin"]] = p.value
    assert {name: set(counts) for name, counts in found.items()} == {n: set(c) for n, c in reference.items()}
    assert {sum(counts.values()) for counts in reference.values()} == {ROWS}


def test_bins_of_a_named_model_are_there_before_its_first_prediction(paths):
    """A model that settings name is there from the start, so that its first increase is seen."""
    named = {"delay": str(paths / "numbers.json")}
    with recording(drift_reference=named, model_name="delay", model_version="3") as telemetry:
        assert set(sums(telemetry)) == set(NAMES)
        assert {p.attributes["ml.model.version"] for p in telemetry.points("ml.feature.observations")} == {"3"}


def test_only_the_named_model_is_watched(paths):
    """Another model's inputs are not counted against a reference that is not its own."""
    with recording(drift_reference=f"delay={paths / 'numbers.json'}") as telemetry:
        with otelml.prediction("other") as p:
            p.result(inputs=NUMBERS)
        predict(NUMBERS[:5])
        assert sums(telemetry) == dict.fromkeys(NAMES, 5)


def test_what_is_predicted_is_counted_too(watched):
    """A reference's feature called prediction is the output: classes, one or many, not those of calls that failed."""
    telemetry = watched("output")
    predict(np.array([[0.5]]), classes="AA")
    predict(np.zeros((3, 1)), classes=np.array(["AA", "DL", "XX"]))
    with pytest.raises(ValueError, match="late"):
        fail(np.array([[0.1]]))
    found = bins(telemetry)
    assert {label: count for label, count in found["prediction"].items() if count} == {"AA": 2, "DL": 1, "other": 1}
    assert sum(found["age"].values()) == 5


def test_a_predicted_number(tmp_path):
    """An output of numbers is counted in their bins, whole ones as well, which else would be classes."""
    reference = drift.Reference.fit({"prediction": np.arange(100.0)}, bins=2)
    reference.save(tmp_path / "r.json")
    with recording(drift_reference=str(tmp_path / "r.json")) as telemetry:
        predict(None, values=30.0)
        predict(None, predictions=70)
        predict(NUMBERS, predictions=np.array([1.0, 2.0, 99.5]))
        assert list(bins(telemetry)["prediction"].values()) == [0, 3, 1, 1, 0]


# Violations ---------------------------------------------------------------------------------------------------------


def test_missing_extra_and_wrong_types(watched):
    """Each has its count by feature, but a column that the reference does not know names nobody."""
    telemetry = watched("mixed")
    predict({"age": 1.0, "fare": "John Smith", "carrier": "AA", "John Smith": 3})
    predict({"age": Decimal("0.1"), "fare": object(), "miles": math.nan, "carrier": ["AA"]})
    assert violations(telemetry) == {
        ("miles", "missing"): 1,
        ("fare", "wrong_type"): 2,
        ("carrier", "wrong_type"): 1,
        ("carrier", "new_category"): 1,
        (None, "extra"): 1,
    }
    assert sums(telemetry) == dict.fromkeys([*NAMES, "carrier"], 2)
    assert "John Smith" not in str(telemetry.metrics())


@pytest.mark.parametrize(
    ("inputs", "rows", "violation"),
    [
        (np.zeros((4, 2)), 4, "missing"),
        (np.zeros((4, 5)), 4, "extra"),
        ([[1.0, 2.0]], 1, "missing"),
        ([1.0, 2.0, 3.0, 4.0], 1, "extra"),
        (np.zeros((2, 3, 4)), 2, None),
        (np.zeros((2, 3), complex), 2, None),
        (np.zeros(2, [("age", float)]), 2, None),
        ("text", 1, None),
        (object(), 1, None),
        (np.zeros(7), 7, None),
    ],
    ids=range(10),
)
def test_what_does_not_fit_is_dropped_and_counted(watched, inputs, rows, violation):
    """Rows without names and of another width, or of no shape at all, are not put into wrong bins."""
    telemetry = watched("numbers")
    predict(inputs)
    assert sums(telemetry) == dict.fromkeys(NAMES, 0)
    assert telemetry.total("ml.feature.rows") == rows
    assert telemetry.drops.counts()["features", "unreadable"] == rows
    assert violations(telemetry) == ({(None, violation): rows} if violation else {})


def test_a_frame_without_a_column(watched):
    """Named columns are matched: the one that is not there counts as missing in each row, others as extra."""
    telemetry = watched("numbers")
    frame = pd.DataFrame(NUMBERS, columns=["age", "fare", "x"])[:10]
    predict(frame)
    assert violations(telemetry) == {("miles", "missing"): 10, (None, "extra"): 10}
    assert bins(telemetry)["miles"]["missing"] == 10
    assert sums(telemetry) == dict.fromkeys(NAMES, 10)


class Hostile:
    """Raises whatever it is asked."""

    def __getattr__(self, name):
        raise RuntimeError(name)


class HostileCell:
    """A value that can't be read."""

    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "inputs", [Hostile(), {"age": Hostile()}, [HostileCell()] * 4, np.array([[HostileCell()] * 4])], ids=range(4)
)
def test_hostile_inputs(watched, inputs):
    """Objects that raise when they are looked at raise nothing into the application, and are no fault of ours."""
    telemetry = watched("mixed")
    predict(inputs)
    telemetry.drain()
    assert _guard.errors() == {}
    assert telemetry.total("ml.feature.rows") == 1


# Never hurt the host ------------------------------------------------------------------------------------------------


def test_arrays_may_change_right_after_the_call(watched):
    """What the application does with its array afterwards is not seen."""
    telemetry = watched("numbers")
    kept = NUMBERS.copy()
    row = [1.0, 2.0, 3.0]
    predict(kept)
    predict(row)
    kept[:], row[:] = np.nan, [None] * 3
    assert in_order(telemetry) == expected(drift.Reference.fit(NUMBERS, NAMES), np.vstack([NUMBERS, [[1.0, 2.0, 3.0]]]))


def test_nothing_is_kept_alive(watched):
    """Neither the array nor an object in it outlives the call, though nothing was drained."""
    telemetry = watched("mixed")

    class Cell:
        """Something of the application's."""

    class Array(np.ndarray):
        """That can be referred to weakly."""

    cell, array = Cell(), np.zeros((2, 4)).view(Array)
    gone = [weakref.ref(cell), weakref.ref(array)]
    predict({"age": cell, "fare": 1.0, "miles": 1.0, "carrier": cell})
    predict(array)
    del cell, array
    gc.collect()
    assert [ref() for ref in gone] == [None, None]
    assert sums(telemetry)["age"] == 3


def test_inputs_of_one_prediction_count_once(watched):
    """Told twice, by the application and by a library, the rows are the same ones: the application's count."""
    telemetry = watched("numbers")
    with otelml.prediction("delay", "3") as p:
        p.observe(inputs=NUMBERS[:10])
        p.observe(inputs=NUMBERS[:10])
        p.result(inputs=NUMBERS[:7])
    assert sums(telemetry) == dict.fromkeys(NAMES, 7)


def test_threads(watched):
    """Rows of eight threads are all there, while another one collects."""
    telemetry = watched("numbers", buffer_size=64)

    def work():
        for row in NUMBERS:
            predict(row)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found = bins(telemetry)
        assert len({sum(counts.values()) for counts in found.values()}) <= 1
    assert sums(telemetry) == dict.fromkeys(NAMES, 8 * ROWS)


def test_large_calls_are_sampled_and_say_so(watched, monkeypatch):
    """Rows seen stand beside rows observed; no feature has more of them than another, and they are spread evenly."""
    monkeypatch.setattr(taking, "MAX_CALL_BYTES", 100 * 3 * 8)
    telemetry = watched("numbers")
    predict(NUMBERS)
    assert telemetry.total("ml.feature.rows") == ROWS
    assert in_order(telemetry) == expected(drift.Reference.fit(NUMBERS, NAMES), NUMBERS[::4])
    frame = pd.DataFrame(MIXED)
    with_categories = watched("mixed")
    predict(frame)
    assert with_categories.total("ml.feature.rows") == ROWS
    assert in_order(with_categories) == expected(drift.Reference.fit(MIXED), frame[::7])


def test_frames_of_several_types_are_sampled_by_time(watched, monkeypatch):
    """Fifty a second are observed, whatever the rate; rows seen are counted all the same, as is what is missing."""
    clock = iter(range(10**6))
    monkeypatch.setattr(taking, "monotonic", lambda: next(clock) / 1000)  # a millisecond later at each look
    telemetry = watched("mixed")
    for i in range(201):
        predict(pd.DataFrame(MIXED)[i : i + 1])
    assert telemetry.total("ml.feature.rows") == 201
    assert sums(telemetry) == dict.fromkeys([*NAMES, "carrier"], 11)
    for i in range(20):
        predict(pd.DataFrame(MIXED)[i : i + 1].drop(columns="fare"))
    assert violations(telemetry) == {("fare", "missing"): 20}


def test_a_frame_that_a_library_saw_as_well_is_observed_once(watched, monkeypatch):
    """What was taken for the library is kept when nothing could be taken a moment later for the application."""
    monkeypatch.setattr(taking, "MIXED_PAUSE", 1e9)
    telemetry = watched("mixed")
    frame = pd.DataFrame(MIXED)[:1]
    predict(frame)  # shows that it is of several types
    with otelml.prediction("delay", "3") as p:
        p.observe(inputs=frame)
        p.result(inputs=frame)
    assert telemetry.total("ml.feature.rows") == 2
    assert sums(telemetry) == dict.fromkeys([*NAMES, "carrier"], 2)


def test_frames_of_numbers_are_all_observed(watched):
    """They cost little, and none is left out."""
    telemetry = watched("numbers")
    for i in range(100):
        predict(pd.DataFrame(NUMBERS, columns=NAMES)[i : i + 1])
    assert sums(telemetry) == dict.fromkeys(NAMES, 100)


def test_each_frame_is_read_by_its_own_columns(watched):
    """Names that were read of the frame before are taken for this one's only where they are; no frame's are kept."""
    telemetry = watched("numbers")
    plain = pd.DataFrame(NUMBERS, columns=NAMES)
    old = plain.set_axis(pd.Index(NAMES, dtype=object), axis=1)
    several = [plain, plain.copy(), plain[NAMES[::-1]], old, old[NAMES[::-1]], plain]
    for frame in several:
        columns = pd.Index(frame.columns.tolist(), dtype=frame.columns.dtype)
        predict(frame.set_axis(columns, axis=1))
        kept = weakref.ref(columns)
        del columns
        gc.collect()
        assert kept() is None
    predict(plain.set_axis([*NAMES[:-1], "x"], axis=1))
    predict(plain.set_axis(pd.Index([*NAMES[:-1], pd.NA], dtype=object), axis=1))
    assert violations(telemetry) == {(NAMES[-1], "missing"): 2 * ROWS, (None, "extra"): 2 * ROWS}
    once = expected(drift.Reference.fit(NUMBERS, NAMES), NUMBERS)
    found = in_order(telemetry)
    for name in NAMES[:-1]:
        assert found[name] == [count * 8 for count in once[name]]


def test_what_waits_is_bounded(watched, monkeypatch):
    """Beyond so many bytes rows are dropped and counted, until the recorder has looked."""
    monkeypatch.setattr(taking, "MAX_WAITING_BYTES", 1000)
    telemetry = watched("numbers")
    for _ in range(50):
        predict(NUMBERS[0])
    assert sums(telemetry) == dict.fromkeys(NAMES, 1000 // 24)
    assert telemetry.drops.counts() == {("features", "buffer"): 50 - 1000 // 24}
    assert telemetry.total("ml.feature.rows") == 50
    predict(NUMBERS[0])
    assert sums(telemetry) == dict.fromkeys(NAMES, 1000 // 24 + 1)


def test_a_prediction_that_never_ends_takes_no_room(watched):
    """Inputs of predictions that are given up leave no mark on what may wait."""
    telemetry = watched("numbers")
    for _ in range(100):
        otelml.prediction("delay", "3").begin(attach=False).result(inputs=NUMBERS)
    predict(NUMBERS)
    telemetry.drain()
    assert telemetry.runtime.recorder.watch.room.waiting == 0
    assert sums(telemetry) == dict.fromkeys(NAMES, ROWS)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_counts_its_own(watched):
    """The child starts from zero, all bins there; the parent's counts stay."""
    telemetry = watched("numbers")
    predict(NUMBERS)
    assert sums(telemetry) == dict.fromkeys(NAMES, ROWS)
    pid = os.fork()
    if pid == 0:
        telemetry.runtime.recorder.watch.after_fork()
        predict(NUMBERS[:9])
        telemetry.drain()
        counted = next(iter(telemetry.runtime.recorder.watch._watched.values())).counted
        right = {int(counts.sum()) for counts in counted.counts.values()} == {9} and counted.rows == 9
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert sums(telemetry) == dict.fromkeys(NAMES, ROWS)


def test_nothing_grows(watched):
    """Rows of ever new names and values leave as many series and remembered orders as before."""
    telemetry = watched("mixed")
    predict({"age": 1.0, "fare": 1.0, "miles": 1.0, "carrier": "AA"})
    before = len(telemetry.points("ml.feature.observations")), len(telemetry.points("ml.feature.violations"))
    for i in range(200):
        predict({"age": 1.0, f"x{i}": 1.0, "carrier": f"C{i}"})
    after = len(telemetry.points("ml.feature.observations")), len(telemetry.points("ml.feature.violations"))
    counted = next(iter(telemetry.runtime.recorder.watch._watched.values())).counted
    assert before == after
    assert len(counted.taker._orders) == taking.MAX_ORDERS


def test_capture_none_takes_nothing(paths):
    """Who wants nothing kept of inputs can't have them observed: said at the start."""
    with (
        pytest.raises(otelml.ConfigError, match="OTELML_DRIFT_REFERENCE: needs"),
        recording(drift_reference=str(paths / "numbers.json"), capture="none"),
    ):
        pass


def test_without_references_nothing_is_imported(telemetry):
    """Where nothing is watched there are no instruments, and inputs are not taken."""
    predict(NUMBERS)
    assert telemetry.runtime.recorder.watch is None
    assert [p for p in telemetry.metrics() if p.name.startswith(("ml.feature", "ml.drift"))] == []


# Files and calls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected_fault"),
    [
        ("{}", "format: None, not 'otelml.drift.reference'"),
        ("no", "no JSON"),
        (None, "cannot be read"),
        ('{"format": "otelml.drift.reference", "version": 1, "rows": 0, "features": []}', "it has no features"),
    ],
    ids=["empty", "text", "absent", "no features"],
)
def test_bad_files_are_told_with_all_other_faults(tmp_path, content, expected_fault):
    """A file that is no reference is one more line of what is wrong with the settings."""
    path = tmp_path / "r.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(otelml.ConfigError) as raised, recording(drift_reference=f"delay={path}", low_confidence="x"):
        pass
    assert len(raised.value.faults) == 2
    assert any(expected_fault in fault and "drift_reference" in fault for fault in raised.value.faults)


def test_too_many_bins(tmp_path):
    """A reference that would make more series than a process should have is refused."""
    columns = {f"f{i}": NUMBERS[:, 0] for i in range(400)}
    drift.Reference.fit(columns).save(tmp_path / "wide.json")
    drift.Reference.fit({"x": np.arange(1000.0)}, bins=100).save(tmp_path / "fine.json")
    with (
        pytest.raises(otelml.ConfigError, match="5200 bins in all, at most 5000"),
        recording(drift_reference=str(tmp_path / "wide.json")),
    ):
        pass
    with (
        pytest.raises(otelml.ConfigError, match="'x' has 103 bins, at most 101"),
        recording(drift_reference=str(tmp_path / "fine.json")),
    ):
        pass


def test_a_reference_given_in_code(telemetry):
    """``watch_drift`` takes a reference at any time, for versions that are known and those to come."""
    otelml.watch_drift("delay", drift.Reference.fit(NUMBERS, NAMES))
    predict(NUMBERS[:3])
    otelml.watch_drift("delay", drift.Reference.fit({"age": NUMBERS[:, 0]}))
    predict(NUMBERS[:5, :1])
    assert sums(telemetry) == {"age": 5}
    assert telemetry.total("ml.feature.rows") == 5


def test_a_reference_with_faults_given_in_code(telemetry, caplog):
    """It is told of, and changes nothing."""
    otelml.watch_drift("delay", drift.Reference(()))
    predict(NUMBERS)
    assert "it has no features" in caplog.text
    assert bins(telemetry) == {}


def test_before_the_start_it_does_nothing():
    """As every call of ours."""
    assert runtime.active is None
    otelml.watch_drift("delay", drift.Reference(()))


def test_more_series_than_the_sdk_counts_by_itself(tmp_path):
    """300 features of 13 bins: each has a series of its own in a provider of ours, none is folded."""
    columns = {f"f{i}": NUMBERS[:, 0] for i in range(300)}
    drift.Reference.fit(columns).save(tmp_path / "wide.json")
    with recording(drift_reference=str(tmp_path / "wide.json")) as telemetry:
        predict(np.zeros((2, 300)))
        assert len(telemetry.points("ml.feature.observations")) == 3900
        assert set(sums(telemetry).values()) == {2}
