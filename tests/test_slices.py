"""Slices: exact counts by slice, off by default, and bounded whatever the application sends."""

import logging
import os
import signal
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from odd_values import Hostile

import otelml
from otelml import _labels, config, semconv
from otelml.errors import ConfigError
from otelml.series import Series
from otelml.slices import MAX_COMBINATIONS, MAX_REFUSED
from otelml.testing import recording

CARRIER, REGION = "ml.slice.carrier", "ml.slice.region"
MEASURED = (
    *("ml.requests", "ml.predictions", "ml.prediction.duration", "ml.prediction.confidence"),
    "ml.prediction.low_confidence",
)
RANDOM = np.random.default_rng(1)


def predict(n=1, model="delay", version="3", **slice_):
    """Make predictions of one slice; their confidence is low."""
    for _ in range(n):
        with otelml.prediction(model, version) as p:
            with p.stage("inference"):
                pass
            if slice_:
                p.slice(**slice_)
            p.result(classes="late", confidence=0.25)


def by(telemetry, name, *attributes):
    """Return the totals of a metric by the values of some attributes; None where a point has it not."""
    found = Counter()
    for p in telemetry.points(name):
        found[tuple(p.attributes.get(a) for a in attributes)] += p.count if p.value is None else p.value
    return dict(found)


@pytest.mark.telemetry(slices="carrier,region")
def test_exact_counts_by_slice(telemetry):
    """Each slice counts its own predictions; those without one count without one; the sum is all of them."""
    made = Counter()
    for _ in range(2000):
        carrier, region = RANDOM.choice(["AA", "B6", "UA"]), RANDOM.choice(["east", "west"])
        given = [{}, {"carrier": carrier}, {"carrier": carrier, "region": region}][RANDOM.integers(3)]
        predict(**given)
        made[given.get("carrier"), given.get("region")] += 1
    for name in MEASURED:
        assert by(telemetry, name, CARRIER, REGION) == dict(made), name
    assert by(telemetry, "ml.stage.duration", CARRIER) == {(None,): 2000}
    assert telemetry.total("ml.requests.active") == 0


@pytest.mark.telemetry(slices="carrier")
def test_slices_of_many_rows_and_failures(telemetry):
    """Rows, classes and errors count in the slice of their prediction."""
    with otelml.prediction("delay") as p:
        p.slice(carrier="AA")
        p.result(classes=["late", "late", "on_time"], confidence=[0.9, 0.8, 0.3])
    with suppress(ValueError), otelml.prediction("delay") as p:
        p.slice(carrier="B6")
        raise ValueError("no")
    assert by(telemetry, "ml.predictions", CARRIER, "ml.prediction.class") == {("AA", "late"): 2, ("AA", "on_time"): 1}
    assert by(telemetry, "ml.prediction.confidence", CARRIER) == {("AA",): 3}
    assert by(telemetry, "ml.prediction.low_confidence", CARRIER) == {("AA",): 1}
    assert by(telemetry, "ml.requests", CARRIER, "error.type") == {("AA", None): 1, ("B6", "ValueError"): 1}


@pytest.mark.telemetry(slices="carrier")
def test_slices_on_spans_and_events(telemetry):
    """The span and the event of a prediction say its slice; stages do not."""
    predict(carrier="AA")
    stage, root = telemetry.spans()
    assert root.attributes[CARRIER] == "AA"
    assert CARRIER not in stage.attributes
    assert telemetry.logs()[0].attributes[CARRIER] == "AA"


@pytest.mark.telemetry(slices="carrier,region")
def test_said_in_several_calls(telemetry):
    """Calls add up, the later value wins, None changes nothing, and whatever a value is, it becomes text."""
    with otelml.prediction("delay") as p:
        p.slice(carrier="AA")
        p.slice(region=7, carrier=None)
        p.slice(carrier="B6")
    with otelml.prediction("delay") as p:
        p.slice(carrier=Hostile(), region=True)
    assert by(telemetry, "ml.requests", CARRIER, REGION) == {("B6", "7"): 1, ("Hostile", "true"): 1}


def test_off_by_default(telemetry, caplog):
    """Without the setting nothing is measured by slice; each name is told and counted once, and not without bound."""
    with caplog.at_level(logging.WARNING):
        predict(50, carrier="AA")
        for i in range(100):
            predict(**{f"name{i}": "x"})
    assert by(telemetry, "ml.requests", CARRIER) == {(None,): 150}
    assert telemetry.total("otelml.dropped", {"otelml.what": "slice", "otelml.where": "not_allowed"}) == MAX_REFUSED
    assert sum("OTELML_SLICES" in r.getMessage() for r in caplog.records) == MAX_REFUSED


@pytest.mark.telemetry(slices="carrier")
def test_too_late(telemetry):
    """After the end of the prediction a slice is counted as dropped, and changes nothing."""
    with otelml.prediction("delay") as p:
        pass
    p.slice(carrier="AA")
    assert by(telemetry, "ml.requests", CARRIER) == {(None,): 1}
    assert telemetry.total("otelml.dropped", {"otelml.what": "slice", "otelml.where": "late"}) == 1


@pytest.mark.telemetry(slices="carrier,region")
def test_bounded_under_attack(telemetry):
    """Ten thousand values make as many series as the limits say; every prediction is still counted, once."""
    limit = semconv.attribute(CARRIER).limit
    for i in range(10_000):
        predict(carrier=f"c{i}", region=f"r{i % 7}")
    for name in MEASURED:
        counts = by(telemetry, name, CARRIER, REGION)
        assert sum(counts.values()) == 10_000, name
        assert len(counts) <= MAX_COMBINATIONS + 1
        assert len({carrier for carrier, _ in counts}) <= limit + 1
    assert _labels.folded()[CARRIER] > 9000


@pytest.mark.telemetry(slices="carrier,region")
def test_combinations_are_bounded_too(telemetry):
    """Twenty times twenty allowed values make 50 combinations, the rest is other; folded ones are counted."""
    for i in range(400):
        predict(carrier=f"c{i // 20}", region=f"r{i % 20}")
    counts = by(telemetry, "ml.requests", CARRIER, REGION)
    assert counts.pop(("other", "other")) == 400 - MAX_COMBINATIONS
    assert set(counts.values()) == {1}
    assert len(counts) == MAX_COMBINATIONS
    assert _labels.folded() == {CARRIER: 350, REGION: 350}
    predict(carrier="c0", region="r0")
    assert by(telemetry, "ml.requests", CARRIER, REGION)["c0", "r0"] == 2


@pytest.mark.telemetry(slices="carrier")
def test_exact_over_threads(telemetry):
    """Eight threads that bring 30 new values at once stay within the limit and lose nothing."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: predict(carrier=f"c{i % 30}"), range(3000)))
    counts = by(telemetry, "ml.requests", CARRIER)
    assert sum(counts.values()) == 3000
    assert len(counts) == semconv.attribute(CARRIER).limit + 1
    assert telemetry.total("ml.requests.active") == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.telemetry(slices="carrier")
def test_a_fork_holds_no_lock(telemetry):
    """A child forked while another thread holds the lock of slices can still make new ones."""
    slices = telemetry.runtime.recorder.slices
    held, go_on = threading.Event(), threading.Event()

    def hold():
        with slices._lock:
            held.set()
            go_on.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends it where it hangs
        slices.after_fork()
        slices.of(Series("m", None), {"carrier": "AA"})
        os._exit(0)
    go_on.set()
    holder.join(30)
    assert os.waitpid(child, 0)[1] == 0


def calls(function):
    """Return how many Python functions a call runs."""
    ran = 0

    def count(_, event, __):
        nonlocal ran
        ran += event == "call"

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return ran


def test_those_that_use_none_pay_nothing():
    """A prediction without a slice runs as many functions whether slices are on or off; with one, few more."""
    found = []
    for settings in ({}, {"slices": "carrier"}):
        with recording(**settings):
            predict(3)
            found.append(calls(predict))
            predict(3, carrier="AA")
            sliced = calls(lambda: predict(carrier="AA"))
    assert found[0] == found[1]
    assert sliced - found[1] <= 9


@pytest.mark.parametrize("names", ["Carrier", "a b", "ml.x", ",".join("abcdef"), "1a"])
def test_names_are_checked_at_the_start(names):
    """A name that is no name, or too many of them, is a fault of the settings."""
    with pytest.raises(ConfigError, match="OTELML_SLICES"):
        config.load({}, {"OTELML_SLICES": names})
    assert config.load({"slices": ["carrier", "home_region"]}, {}).slices == ("carrier", "home_region")
