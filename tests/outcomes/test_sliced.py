"""Outcomes by slice: exact counts on both kinds of database, bounded whatever another process has written."""

import json
from collections import Counter

import numpy as np
import pytest
from recorded_outcomes import recorded, sums, written

import otelml
from otelml import semconv
from otelml.outcomes import joining
from otelml.outcomes.database import connect
from otelml.outcomes.rows import Actual, Predicted
from otelml.slices import MAX_COMBINATIONS

CARRIER, REGION, CORRECT = "ml.slice.carrier", "ml.slice.region", "ml.outcome.correct"
SLICE = (CARRIER, REGION)
NOW = 1_700_000_000.0


def elsewhere(address, slices_):
    """Let a process that tells nothing write predictions, each with its slice and a truth that it is right."""
    database = connect(address)
    rows = [
        Predicted(f"p{i}", "delay", "3", NOW, "late", None, 0.9, "", "", 0.01, None, part)
        for i, part in enumerate(slices_)
    ]
    truths = [Actual(row.id, "late", None, NOW + 60) for row in rows]
    joining.write(database, rows, truths, NOW + 100, report=False)
    database.close()


def test_exact_counts(settings):
    """Each slice counts its own outcomes, right and wrong; those without one count without one; the gauges see all."""
    random, made, values = np.random.default_rng(1), Counter(), Counter()
    with recorded(**settings, slices="carrier,region") as telemetry:
        for i in range(600):
            carrier, region = random.choice(["AA", "B6", "UA"]), random.choice(["east", "west"])
            given = [{}, {"carrier": carrier}, {"region": region, "carrier": carrier}][random.integers(3)]
            right, where = bool(random.random() < 0.8), (given.get("carrier"), given.get("region"))
            with otelml.prediction("delay", "3", prediction_id=f"p{i}") as p:
                p.slice(**given)
                p.result(classes="late", confidence=0.9)
            otelml.record_outcome(f"p{i}", "late" if right else "on_time")
            made[*where, "true" if right else "false"] += 1
            with otelml.prediction("minutes", "1", prediction_id=f"v{i}") as p:
                p.slice(**given)
                p.result(values=10.0)
            otelml.record_outcome(f"v{i}", 12.0)
            values[where] += 1
        assert written(telemetry)
        classes = {key: n for key, n in sums(telemetry, "ml.outcomes", *SLICE, CORRECT).items() if key[2]}
        assert classes == dict(made)
        assert sums(telemetry, "ml.outcome.confidence", *SLICE, CORRECT) == dict(made)
        assert sums(telemetry, "ml.outcome.error", *SLICE) == dict(values)
        assert sums(telemetry, "ml.outcome.squared_error", *SLICE) == {key: 4.0 * n for key, n in values.items()}
        assert sums(telemetry, "ml.outcome.delay", *SLICE) == {(None, None): 1200}
        right = sum(n for (*_, correct), n in made.items() if correct == "true")
        assert sums(telemetry, "ml.quality.accuracy", *SLICE) == {(None, None): right / 600}
        assert telemetry.drops.counts() == {}


def test_rows_events_and_spans(settings):
    """Each row of a prediction has its slice; so have the outcome's event and span, and the variant of its version."""
    with recorded(**settings, slices="carrier") as telemetry:
        with otelml.prediction("delay", "4", variant="canary", prediction_id="p") as p:
            p.slice(carrier="AA")
            p.result(classes=["late", "on_time"])
        otelml.record_outcome("p", ["late", "late"])
        assert written(telemetry)
        assert sums(telemetry, "ml.outcomes", CARRIER, CORRECT) == {("AA", "true"): 1, ("AA", "false"): 1}
        wanted = {CARRIER: "AA", "feature_flag.key": "delay", "feature_flag.result.variant": "canary"}
        told = [span for span in telemetry.spans() if span.name == "outcome"]
        told += [log for log in telemetry.logs() if log.event == "ml.outcome"]
        assert [wanted.items() <= one.attributes.items() for one in told] == [True] * 4
        assert set(told[0].attributes) <= {*semconv.SPAN_OUTCOME.attributes, CARRIER}
        assert not [p for p in telemetry.metrics() if "feature_flag.key" in p.attributes]


@pytest.mark.parametrize(("names", "seen"), [("carrier", ("AA", None)), ("region", (None, "east")), ("", (None, None))])
def test_names_are_those_of_the_reader(settings, names, seen):
    """What another process wrote is counted by the names that OTELML_SLICES allows here; others are no drops."""
    elsewhere(settings["outcomes_database"], ['{"carrier":"AA","region":"east"}'] * 3)
    with recorded(**settings, slices=names) as telemetry:
        assert written(telemetry)
        assert sums(telemetry, "ml.outcomes", *SLICE) == {seen: 3}
        assert telemetry.drops.counts() == {}


def test_another_process_is_bounded(settings):
    """Of 60 values and of 400 combinations from the database 20 and 50 are kept; the rest is other, and none lost."""
    many = [json.dumps({"carrier": f"c{i % 60}", "region": f"r{i % 20}"}) for i in range(400)]
    many += [json.dumps({"carrier": f"c{i % 20}", "region": f"r{i // 20}"}) for i in range(400)]
    elsewhere(settings["outcomes_database"], many)
    with recorded(**settings, slices="carrier,region") as telemetry:
        assert written(telemetry)
        counts = sums(telemetry, "ml.outcomes", *SLICE)
        assert sum(counts.values()) == 800
        assert len(counts) == MAX_COMBINATIONS + 1
        assert {carrier for carrier, _ in counts} <= {*(f"c{i}" for i in range(60)), "other"}
        assert len({carrier for carrier, _ in counts}) <= semconv.attribute(CARRIER).limit + 1
        assert counts["other", "other"] > 0


@pytest.mark.parametrize("rubbish", ["", "{", "[1]", "null", '"AA"', '{"carrier":null}', '{"other":"AA"}'])
def test_rubbish_is_no_slice(settings, rubbish):
    """What is no slice in the database counts for the whole model."""
    elsewhere(settings["outcomes_database"], [rubbish])
    with recorded(**settings, slices="carrier") as telemetry:
        assert written(telemetry)
        assert sums(telemetry, "ml.outcomes", *SLICE) == {(None, None): 1}


def test_any_value_is_one_label(settings):
    """A value that is no text becomes one, as everywhere."""
    elsewhere(settings["outcomes_database"], [json.dumps({"carrier": value}) for value in (True, ["x"], "y" * 300)])
    with recorded(**settings, slices="carrier") as telemetry:
        assert written(telemetry)
        assert sums(telemetry, "ml.outcomes", CARRIER) == {("true",): 1, ("['x']",): 1, ("y" * 128,): 1}
