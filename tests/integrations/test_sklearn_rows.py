"""Calls of one row that are read together: as each would be by itself."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import otelml
from otelml import _sdk
from otelml.integrations import _sklearn_rows
from otelml.integrations._sklearn_outputs import facts
from otelml.result import _NAMES
from otelml.testing import recording

ROWS = np.random.default_rng(0).normal(size=(60, 3))
WORDS = np.array(["late", "on time"])


class Probabilities(LogisticRegression):
    """Gives what it is told to give."""

    answer = None

    def predict_proba(self, X):  # noqa: ARG002, N803 - scikit-learn's names
        """Return it."""
        return self.answer


def logistic(labels, dtype=np.float64):
    """Return a classifier of these labels."""
    return LogisticRegression().fit(ROWS.astype(dtype), labels)


def told(answer):
    """Return one that answers this."""
    model = Probabilities().fit(ROWS, ROWS[:, 0] > 0)
    model.answer = np.array(answer)
    return model


MODELS = {
    "booleans": (logistic(ROWS[:, 0] > 0), "predict_proba"),
    "words": (logistic(WORDS[(ROWS[:, 0] > 0).astype(int)]), "predict_proba"),
    "objects": (logistic(WORDS[(ROWS[:, 0] > 0).astype(int)].astype(object)), "predict_proba"),
    "float32": (logistic((ROWS[:, 0] * 2).astype(int), np.float32), "predict_proba"),
    "classes": (logistic(WORDS[(ROWS[:, 0] > 0).astype(int)]), "predict"),
    "numbers": (LinearRegression().fit(ROWS, ROWS[:, 0]), "predict"),
    "scores": (logistic(ROWS[:, 0] > 0), "decision_function"),
    "logarithms": (logistic(ROWS[:, 0] > 0), "predict_log_proba"),
    "several outputs": (LinearRegression().fit(ROWS, ROWS), "predict"),
    "no probabilities": (told([[0.9, 0.9]]), "predict_proba"),
    "not a number": (told([[np.nan, 0.5]]), "predict_proba"),
    "more columns than labels": (told([[0.2, 0.3, 0.5]]), "predict_proba"),
    "no columns": (told(np.empty((1, 0))), "predict_proba"),
    "whole numbers": (told([[1, 0]]), "predict_proba"),
}
INPUTS = [ROWS[:1], ROWS[1:2], ROWS[2:3].astype(np.float32), np.ones((1, 3), np.int64), ROWS[:2], ROWS[4:5]]


def known(model, method, **settings):
    """Return what is known of calls, how many were read as they ended, and how many of the others together."""
    with recording(integrations=["sklearn"], **settings):
        recorder = otelml.auto_instrument().recorder
        for inputs in INPUTS * 5:
            getattr(model, method)(inputs)
        calls = list(recorder._buffer)
        waiting = sum(call.seen is not None for call in calls)
        _sklearn_rows.read(calls)
        taken = waiting - sum(call.seen is not None for call in calls)
        return [plain(call.outcome()) for call in calls], len(calls) - waiting, taken


def alone(model, method):
    """Return what is known of the same calls, each read by itself."""
    with recording(integrations=["sklearn"]):
        getattr(model, method)(INPUTS[0])
        plan = otelml.auto_instrument().recorder._buffer[0].plan
        labels = model.classes_ if plan.labelled else None
        found = []
        for inputs in INPUTS * 5:
            call = otelml.prediction("model")
            call.observe(inputs=inputs, **facts(method, getattr(model, method)(inputs), labels, plan.kind))
            found.append(plain(call.outcome()))
        return found


def plain(seen):
    """Return what is known by name, with its types; arrays as lists."""
    seen.label  # noqa: B018 - made when it is asked for
    pairs = ((name, value) for name in _NAMES if (value := getattr(seen, name)) is not None)
    values = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in pairs}
    return {name: (type(value), value) for name, value in values.items()}


TOGETHER = {"booleans", "words", "float32", "classes", "numbers"}


@pytest.mark.parametrize(("name", "model", "method"), [(name, *each) for name, each in MODELS.items()], ids=MODELS)
def test_they_are_what_each_would_be(name, model, method):
    """Class, confidence, value, shapes, types and missing values are the same, in value and type."""
    found, at_once, taken = known(model, method)
    assert found == alone(model, method)
    assert at_once + taken == (25 if name in TOGETHER else 0)
    assert (at_once > 0) == (_sdk.native is not None and name in TOGETHER)


def test_missing_inputs_are_counted():
    """Each call has its own number of them."""

    class Lenient(LogisticRegression):
        def predict_proba(self, X):  # noqa: N803 - scikit-learn's name
            return super().predict_proba(np.nan_to_num(X))

    model = Lenient().fit(ROWS, ROWS[:, 0] > 0)
    with recording(integrations=["sklearn"]):
        recorder = otelml.auto_instrument().recorder
        for missing in range(4):
            model.predict_proba(np.array([[np.nan] * missing + [1.0] * (3 - missing)]))
        calls = list(recorder._buffer)
        _sklearn_rows.read(calls)
        assert [call.seen for call in calls] == [None] * 4
        assert [call.outcome().missing for call in calls] == [0, 1, 2, 3]


@pytest.mark.parametrize("capture", ["none", "payload"])
def test_where_less_or_more_is_kept_each_is_read_by_itself(capture):
    """Payloads are kept of all calls, or nothing is."""
    found, at_once, taken = known(*MODELS["booleans"], capture=capture)
    assert (at_once, taken) == (0, 0)
    assert ("input_payload" in found[0], "confidence" in found[0]) == (capture == "payload", capture == "payload")
