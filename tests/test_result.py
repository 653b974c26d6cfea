"""Results of every kind: what is kept of them, what is counted as dropped, and that nothing reaches the host."""

import gc
import weakref
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from odd_values import Hostile

import otelml
from otelml import result as reading


def dropped(telemetry):
    """Return what was dropped: {(what, where): count}."""
    points = telemetry.points("otelml.dropped")
    return {(p.attributes["otelml.what"], p.attributes["otelml.where"]): p.value for p in points}


def everything(telemetry):
    """Return all that was exported as one text."""
    return f"{telemetry.spans()} {telemetry.logs()} {telemetry.metrics()}"


def outcome(telemetry, **given):
    """Make one prediction with one result; return (rows, class counts, confidences, values, span attributes)."""
    with otelml.prediction("m") as p:
        p.result(**given)
    spans = telemetry.spans()
    attributes = {k.removeprefix("ml."): v for k, v in spans[-1].attributes.items()}
    classes = {p.attributes.get("ml.prediction.class"): p.value for p in telemetry.points("ml.predictions")}
    sums = [
        (telemetry.total(name), sum(p.sum for p in telemetry.points(name)))
        for name in ("ml.prediction.confidence", "ml.prediction.value")
    ]
    return classes, *sums, attributes


SCALARS = [
    ("late", {"late": 1}, (0, 0)),
    (True, {"true": 1}, (0, 0)),
    (3, {"3": 1}, (0, 0)),
    (2.5, {None: 1}, (1, 2.5)),
    (b"late", {"late": 1}, (0, 0)),
    (np.float32(2.5), {None: 1}, (1, 2.5)),
    (np.int8(3), {"3": 1}, (0, 0)),
    (np.str_("late"), {"late": 1}, (0, 0)),
    (np.bool_(True), {"true": 1}, (0, 0)),  # noqa: FBT003 - the value under test
]


@pytest.mark.parametrize(("given", "classes", "values"), SCALARS, ids=lambda x: repr(x)[:20])
def test_scalar_predictions(telemetry, given, classes, values):
    """Text, booleans and whole numbers are classes, floats are values: plain, or numpy's."""
    found, _, seen, attributes = outcome(telemetry, predictions=given)
    assert (found, seen) == (classes, values)
    assert attributes["batch.size"] == 1


ROWS = [0, 1, 1]
ARRAYS = [
    (ROWS, {"0": 1, "1": 2}, 0),
    (tuple(ROWS), {"0": 1, "1": 2}, 0),
    (["a", "b", "b"], {"a": 1, "b": 2}, 0),
    ([True, False, True], {"true": 2, "false": 1}, 0),
    ([0.5, 1.5, 2.5], {None: 3}, 3),
    *((np.array(ROWS, dtype), {"0": 1, "1": 2}, 0) for dtype in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")),
    *((np.array(ROWS, dtype), {None: 3}, 3) for dtype in ("f2", "f4", "f8", "g", ">f4")),
    (np.array([True, False, True]), {"true": 2, "false": 1}, 0),
    (np.array(["a", "b", "b"]), {"a": 1, "b": 2}, 0),
    (np.array([b"a", b"b", b"b"]), {"a": 1, "b": 2}, 0),
    (np.array(["a", "b", "b"], object), {"a": 1, "b": 2}, 0),
    (np.array(["a", 1, None], object), {"a": 1, "1": 1, "None": 1}, 0),
    (np.array([[0], [1], [1]]), {"0": 1, "1": 2}, 0),
    (pd.Series(["a", "b", "b"]), {"a": 1, "b": 2}, 0),
    (pd.Series(["a", "b", "b"], dtype="category"), {"a": 1, "b": 2}, 0),
    (pd.Series([0.5, 1.5, 2.5]), {None: 3}, 3),
    (pl.Series(["a", "b", "b"]), {"a": 1, "b": 2}, 0),
    (pl.Series([0.5, 1.5, 2.5]), {None: 3}, 3),
    ([np.float32(0.5)] * 3, {None: 3}, 3),
    (pl.Series(ROWS), {"0": 1, "1": 2}, 0),
]


@pytest.mark.parametrize(("given", "classes", "values"), ARRAYS, ids=lambda x: f"{type(x).__name__}")
def test_array_predictions(telemetry, given, classes, values):
    """Lists, arrays of every type, and series of pandas and polars count once a row, by class where they have one."""
    found, _, (count, _), attributes = outcome(telemetry, predictions=given)
    assert found == classes
    assert count == values
    assert attributes["batch.size"] == 3
    assert dropped(telemetry) == {}


PROBABILITIES = np.array([[0.2, 0.8], [0.9, 0.1], [0.5, 0.5]])


@pytest.mark.parametrize(
    "given",
    [PROBABILITIES, PROBABILITIES.tolist(), pd.DataFrame(PROBABILITIES), pl.DataFrame(PROBABILITIES), [0.8, 0.9, 0.5]],
    ids=lambda x: type(x).__name__,
)
def test_confidence_of_probabilities(telemetry, given):
    """The largest probability of each row is its confidence, counted under the row's class."""
    classes, (count, total), *_ = outcome(telemetry, classes=["b", "a", "a"], confidence=given)
    assert (classes, count) == ({"a": 2, "b": 1}, 3)
    assert total == pytest.approx(2.2)
    assert telemetry.total("ml.prediction.confidence", {"ml.prediction.class": "a"}) == 2


def test_two_dimensional_output_has_no_classes(telemetry):
    """Probabilities given as predictions count rows, and are neither classes nor values."""
    classes, _, (values, _), attributes = outcome(telemetry, predictions=PROBABILITIES)
    assert (classes, values) == ({None: 3}, 0)
    assert attributes["output.shape"] == (3, 2)


ODD_NUMBERS = [
    ([0.5, float("nan"), 0.25], 2, {("confidence", "out_of_range"): 1}),
    ([0.5, float("inf"), -0.5, 7.0], 1, {("confidence", "out_of_range"): 3}),
    ([0.5, None], 1, {("confidence", "out_of_range"): 1}),
    (["high", "low"], 0, {("confidence", "unreadable"): 2}),
    ([[0.1], [0.2, 0.3]], 0, {("confidence", "unreadable"): 2}),
    ([], 0, {}),
    (np.zeros((0, 3)), 0, {}),
    (np.zeros((3, 0)), 0, {}),
    ({"a": 0.5}, 0, {("confidence", "unreadable"): 1}),
    (10**400, 0, {("confidence", "unreadable"): 1}),
    (1j, 0, {("confidence", "unreadable"): 1}),
]


@pytest.mark.parametrize(("given", "kept", "lost"), ODD_NUMBERS, ids=lambda x: repr(x)[:25])
def test_odd_confidences(telemetry, given, kept, lost):
    """What is no confidence from 0 to 1 is left out and counted, value by value."""
    _, (count, _), *_ = outcome(telemetry, confidence=given)
    assert count == kept
    assert dropped(telemetry) == lost


def test_odd_values(telemetry):
    """Values may be negative or huge; those that are not finite are left out and counted."""
    given = np.array([-1e300, 1e308, 1e308, np.inf, -np.inf, np.nan, 0.0])
    _, _, (count, _), _ = outcome(telemetry, values=given)
    assert count == 4
    assert dropped(telemetry) == {("value", "not_finite"): 3}
    (point,) = telemetry.points("ml.prediction.value")
    assert (point.min, point.max, sum(point.buckets)) == (-1e300, 1e308, 4)


@pytest.mark.parametrize("field", ["predictions", "classes", "confidence", "values", "inputs", "business_value"])
def test_hostile_results(telemetry, field):
    """An object that raises at every touch reaches neither the application nor the other facts of the call."""
    with otelml.prediction("m") as p:
        p.result(**{field: Hostile()})
        p.result(**{"predictions": "a", field: Hostile()} if field != "predictions" else {"classes": "a"})
    assert telemetry.total("ml.requests") == 1
    assert telemetry.total("ml.predictions") == 1
    if field not in {"predictions", "inputs"}:
        assert sum(dropped(telemetry).values()) >= 1


def test_one_hostile_result_leaves_the_others_of_the_batch(telemetry):
    """Class labels that can't be compared or printed do not cost the predictions drained with them."""
    odd = np.empty(3, object)
    odd[0], odd[1], odd[2] = Hostile(), Hostile(), np.arange(3)
    for given in (["a"], odd, ["a"]):
        with otelml.prediction("m") as p:
            p.result(classes=given)
    assert telemetry.total("ml.predictions") == 5
    assert telemetry.total("ml.predictions", {"ml.prediction.class": "a"}) == 2


@pytest.mark.parametrize(
    "shape",
    [(-1,), (10**30,), ("x",), 5, None, lambda: 3],
    ids=["negative", "huge", "text", "number", "none", "function"],
)
def test_lying_shapes_count_one_row(telemetry, shape):
    """A shape that is none counts as one row."""
    _, _, _, attributes = outcome(telemetry, inputs=SimpleNamespace(shape=shape, dtype=None))
    assert attributes["batch.size"] == 1
    assert telemetry.total("ml.predictions") == 1


class Tensor:
    """What a framework's tensor looks like: a device, detach() and __array__."""

    def __init__(self, rows, device):
        self._array, self.device, self.shape, self.dtype = np.array(rows), device, (len(rows),), "float32"
        self.copied = 0

    def detach(self):
        """Return the tensor without its graph."""
        return self

    def __array__(self, dtype=None, copy=None):
        self.copied += 1
        return self._array if dtype is None else self._array.astype(dtype)


def test_tensors(telemetry):
    """A tensor in host memory is read; one on a device is never copied from it, and is counted as unreadable."""
    on_host, on_device = Tensor([0.5, 0.7], SimpleNamespace(type="cpu")), Tensor([0.5, 0.7], "cuda:0")
    with otelml.prediction("m") as p:
        p.result(confidence=on_host)
    with otelml.prediction("m") as p:
        p.result(confidence=on_device)
    assert telemetry.total("ml.prediction.confidence") == 2
    assert telemetry.total("ml.predictions") == 4
    assert on_device.copied == 0
    assert dropped(telemetry) == {("confidence", "unreadable"): 2}


def test_wrong_lengths(telemetry):
    """Confidences that do not match the classes are counted without a class; rows follow the classes."""
    classes, (count, _), *_ = outcome(telemetry, classes=["a", "b"], confidence=[0.5, 0.6, 0.7])
    assert classes == {"a": 1, "b": 1}
    (point,) = telemetry.points("ml.prediction.confidence")
    assert (count, "ml.prediction.class" in point.attributes) == (3, False)


def test_result_twice_and_never(telemetry):
    """Later facts win and earlier ones stay; a second call without output keeps the rows; none at all is one row."""
    with otelml.prediction("m") as p:
        p.result(predictions=["a", "a", "b"], confidence=0.1)
        p.result(confidence=[0.5, 0.6, 0.7])
        p.result(inputs=[1, 2, 3, 4])
    with otelml.prediction("m"):
        pass
    first, second = telemetry.spans()
    assert first.attributes["ml.batch.size"] == 3
    assert "ml.batch.size" not in second.attributes
    assert telemetry.total("ml.predictions") == 4
    assert telemetry.total("ml.prediction.confidence") == 3


def test_result_after_the_end_is_dropped(telemetry):
    """After the end a result changes nothing and is counted as dropped."""
    with otelml.prediction("m") as p:
        p.result(classes="a")
    p.result(classes="b")
    (span,) = telemetry.spans()
    p.result(classes="c")
    assert span.attributes["ml.prediction.class"] == "a"
    assert dropped(telemetry) == {("result", "late"): 2}


def test_observed_facts_only_complete_the_applications(telemetry):
    """What a library observes fills what the application did not say, and never replaces it."""
    with otelml.prediction("m") as p:
        p.observe(classes="b", confidence=0.9, framework="scikit-learn")
        p.result(classes="a")
    (span,) = telemetry.spans()
    assert span.attributes["ml.prediction.class"] == "a"
    assert span.attributes["ml.prediction.confidence"] == 0.9
    assert span.attributes["ml.model.framework"] == "scikit-learn"


def test_failed_prediction_has_predicted_no_rows(telemetry):
    """A result that was given before the failure counts neither rows nor confidence, but its business value."""
    with suppress(ValueError), otelml.prediction("m") as p:
        p.result(predictions=["a", "b"], confidence=[0.5, 0.6], business_value=9.5, business_value_unit="EUR")
        raise ValueError("x")
    assert telemetry.total("ml.predictions") == telemetry.total("ml.prediction.confidence") == 0
    assert telemetry.total("ml.prediction.business_value", {"ml.business_value.unit": "EUR"}) == 1


@pytest.mark.telemetry(low_confidence=0.6)
def test_low_confidence_points_to_a_doubtful_trace(telemetry):
    """Rows under the threshold are counted by class, with the trace of such a row as the exemplar."""
    for confidence in (0.9, 0.59, 0.6):
        with otelml.prediction("m") as p:
            p.result(classes="a", confidence=confidence)
    (point,) = telemetry.points("ml.prediction.low_confidence")
    assert point.value == 1
    doubtful = next(s for s in telemetry.spans() if s.attributes["ml.prediction.confidence"] == 0.59)
    assert [trace_id for _, trace_id, _ in point.exemplars] == [doubtful.trace_id]


@pytest.mark.telemetry(capture="none")
def test_capture_none(telemetry):
    """With `none` rows and business value are counted, and nothing of inputs or outputs is kept."""
    classes, (count, _), (values, _), attributes = outcome(
        telemetry, predictions=["a", "b"], confidence=[0.1, 0.2], inputs=np.zeros((2, 3)), business_value=2.0
    )
    assert (classes, count, values) == ({None: 2}, 0, 0)
    assert set(attributes) == {"model.name", "prediction.id", "batch.size", "prediction.business_value"}


@pytest.mark.telemetry(capture="stats")
def test_capture_stats_keeps_no_payload(telemetry):
    """By default no input value is in anything exported."""
    outcome(telemetry, predictions=[1, 0], inputs=np.array([[123456.789, 1.0], [2.0, 3.0]]))
    assert "123456" not in everything(telemetry)


@pytest.mark.telemetry(capture="payload")
def test_capture_payload(telemetry):
    """With `payload` inputs and outputs are on the span, bounded."""
    *_, attributes = outcome(telemetry, predictions=["a"], inputs=np.arange(10_000.0))
    assert attributes["output.payload"] == "['a']"
    assert len(attributes["input.payload"]) == 4096


def test_missing_inputs_are_counted(telemetry):
    """NaN and None are counted in arrays, lists, frames and mappings."""
    for given in (
        np.array([[1.0, np.nan], [np.nan, 2.0]]),
        np.array([None, "x", float("nan")], object),
        [[1, None], [float("nan"), 2]],
        {"a": None, "b": 1},
        pd.DataFrame({"a": [1, None], "b": ["x", None]}),
        pl.DataFrame({"a": [1, None]}),
        pd.Series([1, pd.NA], dtype="Int64"),
    ):
        with otelml.prediction("m") as p:
            p.result(inputs=given)
    assert [s.attributes["ml.input.missing"] for s in telemetry.spans()] == [2, 2, 2, 1, 2, 1, 1]
    assert telemetry.total("ml.input.missing_values") == 11


def test_nullable_values(telemetry):
    """A missing value (NA of pandas) is left out and counted; the other rows are kept."""
    _, _, (count, total), _ = outcome(telemetry, values=pd.Series([1, pd.NA, 3], dtype="Int64"))
    assert (count, total) == (2, 4.0)
    assert dropped(telemetry) == {("value", "not_finite"): 1}


def test_no_array_is_kept_alive_nor_changed(telemetry):
    """The caller's array is copied: it can be collected at once, changed later, and is never written to."""
    array, frame = np.array([0.25, 0.5]), pd.DataFrame({"a": [1.0, 2.0]})
    array.setflags(write=False)
    refs = [weakref.ref(array), weakref.ref(frame)]
    with otelml.prediction("m") as p:
        p.result(values=array, confidence=array, inputs=frame)
        assert frame.equals(pd.DataFrame({"a": [1.0, 2.0]}))
        assert array.tolist() == [0.25, 0.5]
        del array, frame
        gc.collect()
        assert [ref() for ref in refs] == [None, None]
    assert telemetry.total("ml.prediction.value") == 2


def test_values_are_those_of_the_call(telemetry):
    """An array that the application overwrites after result() counts as it was."""
    buffer = np.array([0.25, 0.5])
    with otelml.prediction("m") as p:
        p.result(values=buffer)
        buffer[:] = 99
    (point,) = telemetry.points("ml.prediction.value")
    assert point.sum == 0.75


class Derived(np.ndarray):
    """An array of a class of the application's own: read the general way."""


ANSWERS = [np.array([[0.2, 0.8]]), np.array([3]), np.array(3.0), np.zeros((0, 2)), np.array(["late"])]
INPUTS = [np.array([[1.0, np.nan]]), np.array([[1, 2]], np.int8), np.array([["x", None]], object), np.array(1.0)]
KNOWN = [{"classes": "late"}, {"classes": 3, "confidence": 0.75}, {"values": 2.5}, {"classes": True, "values": 1.5}]


@pytest.mark.parametrize("known", KNOWN, ids=repr)
@pytest.mark.parametrize("inputs", INPUTS, ids=repr)
@pytest.mark.parametrize("answer", ANSWERS, ids=repr)
def test_the_short_way_reads_what_the_long_way_does(answer, inputs, known):
    """One row's plain values beside numpy's own arrays are read a shorter way: every fact is the same."""
    sink = SimpleNamespace(capture="stats", drop=pytest.fail)

    def read(given):
        result = reading.read(
            *(sink, answer, known.get("classes"), known.get("confidence"), known.get("values")), inputs=given
        )
        return {name: value for name in reading._NAMES if (value := getattr(result, name)) is not None}

    assert reading.is_array(inputs)
    assert not reading.is_array(inputs.view(Derived))
    assert read(inputs) == read(inputs.view(Derived))
