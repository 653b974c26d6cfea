"""The contract of every integration of a model library: one call counts once, and nothing else changes.

The results are the table of docs/integrations.md (``pytest tests/integrations/test_conformance.py --write-tables``).
"""

import asyncio
import copy
import gc
import inspect
import json
import os
import pickle
import subprocess
import sys
import threading
import weakref
from functools import cache
from pathlib import Path

import joblib
import numpy as np
import pytest
from conformance import CALLS, CASES, ELSEWHERE, ENVIRONMENT, INSTALLED, OWN, PACKAGES
from result_tables import INTEGRATIONS

import otelml
from otelml.testing import recording
from otelml.viewer.receiver import Receiver

HERE = Path(__file__).parent
THREADS = 4


def contract(column, *, where=lambda _: True):
    """Run a test for every call whose library is installed, as a column of the table."""
    cells = [
        pytest.param(name, marks=pytest.mark.conformance(name, column), id=name)
        for name, case in INSTALLED.items()
        if where(case)
    ]
    return pytest.mark.parametrize("name", cells)


@cache
def model_of(name):
    """Return a model, made once, without otelml."""
    return CASES[name].make()


def on(name):
    """Measure a call's library into memory, and scikit-learn, from which estimators of other libraries derive."""
    return recording(integrations={"sklearn", *CASES[name].names})


def program(name, how, **environment):
    """Run a call in a process of its own; return what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL", "OMP_"))}
    path = os.pathsep.join([str(HERE.parents[1]), kept.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, HERE / "conformance.py", name, how],
        env={**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def same(one, other):
    """Assert that two answers are equal in value, dtype and type."""
    assert type(one) is type(other)
    if isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            same(*pair)
    elif isinstance(one, dict):
        same(list(one), list(other))
        same(list(one.values()), list(other.values()))
    elif isinstance(one, str | float):
        assert one == other
    else:
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(plain(one), plain(other))


def plain(answer):
    """Return an answer for NumPy: a tensor without what gradients need."""
    return answer.detach() if hasattr(answer, "detach") else answer


def test_every_library_is_here():
    """This environment has the library of every integration that it is for: the table has all its rows."""
    wanted = set(OWN) if ENVIRONMENT else set(PACKAGES) - ELSEWHERE
    missing = sorted(wanted - {case.package for case in INSTALLED.values()})
    if missing and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing)}; scripts/setup demo,config dev")
    assert missing == []


# What counts ----------------------------------------------------------------------------------------------------------


@contract("before")
def test_a_model_made_before(name):
    """A model that was there before otelml was switched on is measured."""
    assert program(name, "before") == CALLS


@contract("after")
def test_a_library_imported_after(name):
    """Otelml imports no library; one that the application imports later is measured from then on."""
    with Receiver() as receiver:
        assert program(name, "after", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_endpoint) == []
        assert receiver.store.total("ml.requests") == CALLS


@contract("once")
def test_a_call_counts_once(name):
    """One call is one request and one root span, with its rows, whatever the library calls in turn."""
    case = CASES[name]
    with on(name) as seen:
        case.call(model_of(name), case.given(5))
        roots = [span for span in seen.spans() if span.name.startswith("predict ")]
        assert len(roots) == seen.total("ml.requests") == 1
        assert seen.total("ml.predictions") == (1 if case.package == "onnxruntime" else 5)
        assert roots[0].attributes["ml.operation"] == (case.operation or case.method)
        assert sum(point.count for point in seen.points("ml.prediction.duration")) == 1


@contract("threads")
def test_threads(name):
    """Several threads on one model: every call counts."""
    case, model = CASES[name], model_of(name)
    with on(name) as seen:
        threads = [
            threading.Thread(target=lambda: [case.call(model, case.given(1)) for _ in range(10)])
            for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen.total("ml.requests") == 10 * THREADS


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@contract("processes", where=lambda case: case.forks)
def test_processes(name):
    """What a parent, a forked child and a spawned child call is counted, each in its own process."""
    with Receiver() as receiver:
        program(name, "processes", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_endpoint)
        points = receiver.store.latest("ml.requests")
        assert [point.value for point in points] == [CALLS] * 3
        assert len({point.resource["service.instance.id"] for point in points}) == 3


@contract("asyncio")
def test_asyncio(name):
    """Calls in coroutines and in threads of a loop count, each below the prediction that its task has open."""
    case, model = CASES[name], model_of(name)

    async def one(number, in_thread):
        with otelml.prediction(f"task{number}"):
            await asyncio.sleep(0)
            if in_thread:
                await asyncio.to_thread(case.call, model, case.given(1))
            else:
                case.call(model, case.given(1))

    async def several():
        await asyncio.gather(*(one(number, number % 2) for number in range(6)))

    with on(name) as seen:
        asyncio.run(several())
        roots = {span.span_id: span.name for span in seen.spans() if span.name.startswith("predict ")}
        assert sorted(roots.values()) == [f"predict task{number}" for number in range(6)]
        below = [roots[span.parent_id] for span in seen.spans() if span.name == "inference"]
        assert sorted(below) == sorted(roots.values())
        assert seen.total("ml.requests") == 6


@contract("errors")
def test_errors(name):
    """What the library raises reaches the application as it is, and counts as that type, once."""
    case, model = CASES[name], model_of(name)
    with pytest.raises(Exception) as bare:  # noqa: PT011 - whatever the library raises
        case.call(model, case.bad())
    with on(name) as seen:
        with pytest.raises(type(bare.value)) as raised:
            case.call(model, case.bad())
        (point,) = seen.points("ml.requests")
        assert point.value == 1
        assert point.attributes["error.type"].rpartition(".")[2] == type(bare.value).__name__
    assert type(raised.value) is type(bare.value)
    assert str(raised.value) == str(bare.value)


# What does not change -------------------------------------------------------------------------------------------------


@contract("answer")
def test_answers(name):
    """Answers are equal in value, dtype and type."""
    case, model = CASES[name], model_of(name)
    bare = case.call(model, case.given(20))
    with on(name):
        same(case.call(model, case.given(20)), bare)


@contract("copies", where=lambda case: case.copies)
def test_copies(name, tmp_path):
    """Models pickle, dump, copy and clone as before; what was pickled with otelml on is read without it."""
    case, model = CASES[name], model_of(name)
    bare = case.call(model, case.given(20))
    with on(name) as seen:
        joblib.dump(model, tmp_path / "model.joblib")
        pickled = pickle.dumps(model)
        copies = [pickle.loads(pickled), copy.deepcopy(model), joblib.load(tmp_path / "model.joblib")]  # noqa: S301 - ours
        for each in copies:
            assert type(each) is type(model)
            same(case.call(each, case.given(20)), bare)
        assert seen.total("ml.requests") == len(copies)
        if hasattr(model, "get_params") and hasattr(type(model), "__sklearn_clone__"):
            from sklearn.base import clone  # noqa: PLC0415 - only where the model is scikit-learn's

            assert clone(model).get_params().keys() == model.get_params().keys()
    assert b"otelml" not in pickled
    same(case.call(pickle.loads(pickled), case.given(20)), bare)  # noqa: S301 - ours


def shape(model, method):
    """Return what inspection shows of a model and its method."""
    function = getattr(type(model), method)
    told = [getattr(function, what, None) for what in ("__doc__", "__name__", "__qualname__", "__module__")]
    kinds = [inspect.isfunction(function), inspect.ismethod(getattr(model, method)), callable(function)]
    return [str(inspect.signature(function)), *told, *kinds, dir(type(model)), type(model).__mro__, dir(model)]


@contract("shape")
def test_shape(name):
    """Signature, docstring, names, ``dir``, ``hasattr`` and classes are those without otelml."""
    case, model = CASES[name], model_of(name)
    before = shape(model, case.method)
    with on(name):
        assert shape(model, case.method) == before
        assert hasattr(model, case.method)
        assert not hasattr(model, "predict_nothing")


@contract("undone")
def test_undone(name):
    """Afterwards the very functions of the library are back, and nothing is counted."""
    case, model = CASES[name], model_of(name)
    owner = next(kind for kind in type(model).__mro__ if case.method in vars(kind))
    before = vars(owner)[case.method]
    with on(name) as seen:
        pass
    assert vars(owner)[case.method] is before
    case.call(model, case.given(1))
    assert seen.total("ml.requests") == 0


@contract("lean", where=lambda case: case.arrays)
def test_nothing_is_kept_alive(name):
    """Inputs and answers end when the application lets go of them."""
    case, model = CASES[name], model_of(name)
    with on(name):
        arguments = case.given(10)
        answer = case.call(model, arguments)
        kept = [weakref.ref(each) for each in arrays([*arguments, answer])]
        assert kept
        del arguments, answer
        gc.collect()
        assert [each() for each in kept] == [None] * len(kept)


def arrays(values):
    """Return all arrays and tensors in values."""
    found = []
    for value in values:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        found += [value] if hasattr(value, "__array__") else arrays(inner)
    return found


# The table ------------------------------------------------------------------------------------------------------------


def test_the_page_has_every_call():
    """The table of docs/integrations.md has a row for each call, and no failure."""
    lines = INTEGRATIONS.in_page()
    assert INTEGRATIONS.rows(lines) == sorted(CASES, key=str.lower)
    assert "FAILED" not in "".join(lines)
    assert all(package in PACKAGES for package in (case.package for case in CASES.values()))
