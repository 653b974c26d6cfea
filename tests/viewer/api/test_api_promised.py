"""Objectives of a user's own file, worked out on a store: the same figures as the usual ones, by other words."""

import subprocess
import sys
from pathlib import Path

import pytest

import otelml
from otelml.slo.specification import SpecError
from otelml.viewer.api.parameters import Asked
from otelml.viewer.api.promised import PromiseError, promises
from otelml.viewer.api.slos import slos

SHIPPED = Path(otelml.__file__).parents[1] / "collector" / "slo.yaml"


def delays():
    """Return the shipped objectives for the service and the model of the tests."""
    text = SHIPPED.read_text("utf-8")
    return text.replace("flights-predictions", "delays").replace("flight-delay", "delay")


def objective(query, total="sum(rate(ml_requests_total[{{.window}}]))"):
    """Return a specification with one objective."""
    events = f"{{events: {{error_query: {query!r}, total_query: {total!r}}}}}"
    return (
        "version: prometheus/v1\nservice: shop\nslos:\n"
        f"  - {{name: calls, objective: 99, sli: {events}, alerting: {{name: ShopBurns}}}}\n"
    )


def test_the_shipped_objectives_are_those_of_every_model(served):
    """Both versions together: what the file counts is the sum of what the page counts for each version."""
    asked = Asked({}, now_ns=served.now)
    ours = slos(served.store, Asked({}, now_ns=served.now))["objectives"]
    theirs = slos(served.store, asked, promises(delays()))
    assert {row["kind"] for row in theirs["objectives"]} == {"availability", "latency", "quality"}
    for row in theirs["objectives"]:
        same = [each for each in ours if each["kind"] == row["kind"]]
        assert len(same) == 2
        assert (row["total"], row["good"]) == (sum(s["total"] for s in same), sum(s["good"] for s in same))
        assert (row["name"], row["version"]) == (f"delays {row['kind']}", "")
        assert row["description"].endswith(".") or "(" in row["description"]
    alert = next(each for each in theirs["alerts"] if "Availability" in each["name"])
    assert alert["name"] == "FlightDelayAvailabilityBudgetBurn"
    assert alert["runbook"].endswith("#flightdelayavailabilitybudgetburn")


@pytest.mark.parametrize(
    ("query", "bad"),
    [
        ('sum(rate(ml_requests_total{error_type!=""}[{{.window}}]))', 12),
        ('sum(increase(ml_requests_total{error_type=~"Value.+",ml_model_version!~"2"}[{{ .window }}]))', 7),
        (
            (
                'sum(rate(ml_requests_total{job="delays"}[{{.window}}]))'
                ' - sum(rate(ml_requests_total{error_type=""}[{{.window}}]))'
            ),
            12,
        ),
        ('sum(rate(ml_requests_total{job="nobody"}[{{.window}}]))', 0),
        ("sum(rate(ml_prediction_duration_seconds_count[{{.window}}]))", 120),
        ('sum(rate(ml_prediction_duration_seconds_bucket{le="+Inf"}[{{.window}}]))', 120),
        ("sum(rate(nobody_total[{{.window}}]))", 0),
    ],
)
def test_queries_count_events(served, query, bad):
    """Matchers of every kind, differences, and the parts of a histogram, by Prometheus's names."""
    (row,) = slos(served.store, Asked({}, now_ns=served.now), promises(objective(query)))["objectives"]
    assert (row["total"], row["total"] - row["good"], row["objective"]) == (120, bad, 0.99)


@pytest.mark.parametrize(
    "query",
    [
        "sum by (ml_model_name) (rate(ml_requests_total[{{.window}}]))",
        "sum(rate(ml_requests_total[{{.window}}])) / 2",
        'sum(rate(ml_requests_total{error_type=~"("}[{{.window}}]))',
        "sum(rate(ml_requests_total{error_type}[{{.window}}]))",
        'slo:ratio{window="{{.window}}"}',
    ],
)
def test_other_queries_are_named(query):
    """What can't be worked out is said when the file is read, with what can be."""
    with pytest.raises(PromiseError, match="calls: its queries can't be worked out here; write them as sum"):
        promises(objective(query))


def test_a_specification_at_fault_is_refused(tmp_path):
    """The reader of ``otelml slo generate`` says what is wrong, and the command ends with it."""
    with pytest.raises(SpecError):
        promises("version: other")
    path = tmp_path / "slo.yaml"
    path.write_text("version: other\n")
    command = [sys.executable, "-m", "otelml", "view", "--no-browser", "--port", "0", "--slo", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"otelml view: {path}: ")
