"""The demo's data and model: real flights, in order, with what is missing left out."""

import math
from contextlib import closing
from itertools import islice, pairwise

import pytest

pytest.importorskip("sklearn", reason="the demo's packages are missing: pip install 'otelml[demo]'")

from otelml.demo import data, training
from otelml.demo.features import FEATURES, features


@pytest.fixture(scope="module")
def store():
    """The SQLite file made from the package's CSV files."""
    return data.ensure_store()


def test_all_flights_are_there(store):
    """The year has 336,776 flights, 2,512 of them without a tail number."""
    with closing(data.open_store(store)) as connection:
        count = connection.execute("SELECT COUNT(*), COUNT(tailnum) FROM flights").fetchone()
    assert tuple(count) == (336_776, 336_776 - 2_512)


def test_flights_come_in_time_order_without_what_they_lack(store):
    """Requests are in the order of departure, and a missing tail number is absent, not null."""
    departures = list(data.flights_from(store, "2013-04-01", 5000))
    flights = [departure.body for departure in departures]
    assert len(flights) == 5000
    assert all(a.departs <= b.departs for a, b in pairwise(departures))
    assert all(a["time_hour"] <= b["time_hour"] for a, b in pairwise(flights))
    assert {len(flight) for flight in flights} == {len(data.FLIGHT), len(data.FLIGHT) - 1}


def test_late_is_more_than_a_quarter_of_an_hour():
    """15 minutes is on time, 16 is late, and a flight that never arrived has no label."""
    assert [data.is_late(x) for x in (-5.0, 15.0, 16.0, None)] == [0, 0, 1, None]


def test_the_share_of_late_flights_is_the_real_one(store):
    """22.8 % of the flights that arrived in January to March 2013 were late."""
    with closing(data.open_store(store)) as connection:
        delays = connection.execute("SELECT arrival_delay FROM flights WHERE date <= '2013-03-31'").fetchall()
    labels = [label for (delay,) in delays if (label := data.is_late(delay)) is not None]
    assert round(sum(labels) / len(labels), 3) == 0.228


def test_a_landing_is_the_real_one(store):
    """UA 1545 of 2013-01-01 left EWR at 5:15 (UTC-5) with 2 minutes' delay and flew 227; cancelled ones never land."""
    first = next(data.flights_from(store, "2013-01-01", 1))
    assert (first.body["carrier"], first.body["flight"], first.late) == ("UA", 1545, False)
    assert first.departs == 1357035300
    assert first.lands == first.departs + (2 + 227) * 60
    flights = list(data.flights_from(store, "2013-01-01"))
    assert sum(flight.lands is None for flight in flights) == sum(flight.late is None for flight in flights) == 9430


def test_unknown_weather_and_plane_are_missing_values(store):
    """A flight without records still has every feature: NaN for numbers, ``unknown`` for categories."""
    flight = next(data.flights_from(store, "2013-04-01", 1)).body
    row = features(flight, None, None)
    assert tuple(row) == FEATURES
    assert math.isnan(row["temp"])
    assert row["model"] == "unknown"


def test_the_model_is_calibrated_on_missing_values_too(store):
    """Trained on a slice, it gives probabilities near the real share, also where everything is missing."""
    inputs, labels = training.examples(store, "2013-01-01", "2013-01-10")
    model = training.fit(inputs, labels)
    quality = training.judge(model, inputs, labels)
    assert 0.6 < quality.auc < 1
    assert quality.brier < quality.base_rate * (1 - quality.base_rate)
    bare = [features(flight.body, None, None) for flight in islice(data.flights_from(store, "2013-04-01"), 50)]
    probabilities = model.predict_proba(training.frame(bare))[:, 1]
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
