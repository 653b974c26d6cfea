"""Objectives and alerts over the API, against the formulas done by hand."""

import re
from pathlib import Path

import pytest
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

import otelml
from otelml.slo.rules import MINIMUM_ERRORS
from otelml.viewer.api import alerts as alert_module
from otelml.viewer.api.alerts import HELD, alerts
from otelml.viewer.api.parameters import Asked
from otelml.viewer.api.slos import slos
from otelml.viewer.store import Store

SECOND = 10**9
NOW = 1_700_000_000 * SECOND
HOUR = 3600
DAY = 24 * HOUR
UNITS = {"s": 1, "m": 60, "h": HOUR}


@pytest.fixture
def store():
    """Give an empty store."""
    with Store() as opened:
        yield opened


def add(store, name, points, *, kind="sum", **attributes):
    """Add points (seconds before NOW, value) of a series of model ``delay``, begun 40 days ago."""
    request = ExportMetricsServiceRequest()
    sent = request.resource_metrics.add()
    sent.resource.attributes.add(key="service.name").value.string_value = "delays"
    made = sent.scope_metrics.add().metrics.add(name=name)
    if kind == "sum":
        made.sum.aggregation_temporality, made.sum.is_monotonic = 2, True
    labels = {"ml.model.name": "delay", "ml.model.version": "1"} | {
        key.replace("_", "."): text for key, text in attributes.items()
    }
    for at, value in points:
        point = getattr(made, kind).data_points.add(as_double=value, time_unix_nano=NOW - at * SECOND)
        point.start_time_unix_nano = NOW - 40 * DAY * SECOND
        for key, text in labels.items():
            point.attributes.add(key=key).value.string_value = text
    store.add("metrics", request)


def objective(store, kind="availability"):
    """Return one objective as it stands now."""
    return next(row for row in slos(store, Asked({}, now_ns=NOW))["objectives"] if row["kind"] == kind)


def test_a_quiet_model_keeps_its_budget(store):
    """Without errors: all good, nothing used, no alert."""
    add(store, "ml.requests", [(2 * DAY, 0), (HOUR, 50_000), (60, 100_000)])
    row = objective(store)
    assert (row["total"], row["good"], row["sli"], row["budget_left"], row["state"]) == (100_000, 100_000, 1, 1, "ok")
    assert set(row["burn"]) == {"5m", "1h", "6h", "3d"}
    assert set(row["burn"].values()) == {0}


def test_burn_rates_are_of_their_own_windows(store):
    """1,000 of 10,000 calls fail in the last 5 minutes, none before: each window has its own ratio."""
    times = [(3 * DAY + 60, 0), (6 * HOUR + 60, 60_000), (HOUR + 60, 80_000), (330, 90_000), (10, 99_000)]
    add(store, "ml.requests", times)
    add(store, "ml.requests", [(3 * DAY + 60, 0), (330, 0), (10, 1000)], error_type="ValueError")
    row = objective(store)
    assert row["total"] == 100_000
    assert row["good"] == 99_000
    expected = {"5m": 1000 / 10_000, "1h": 1000 / 20_000, "6h": 1000 / 40_000, "3d": 1000 / 100_000}
    assert row["burn"] == pytest.approx({name: ratio / 0.001 for name, ratio in expected.items()})
    assert row["state"] == "page"
    assert row["budget_left"] == pytest.approx(1 - 0.01 / 0.001)
    found = slos(store, Asked({}, now_ns=NOW))["alerts"]
    assert ("AvailabilityBudgetBurn", "page") in {(alert["name"], alert["severity"]) for alert in found}
    assert "ModelErrorRatioHigh" in {alert["name"] for alert in found}


def test_few_errors_say_nothing(store):
    """Four failures of eight calls are no trend; five are."""
    for failed, state in ((MINIMUM_ERRORS - 1, "ok"), (MINIMUM_ERRORS, "page")):
        store.clear()
        add(store, "ml.requests", [(7 * DAY, 0), (HOUR * 7, 0), (10, 4)])
        add(store, "ml.requests", [(7 * DAY, 0), (HOUR * 7, 0), (10, failed)], error_type="ValueError")
        assert objective(store)["state"] == state


def test_a_fire_that_is_out_pages_nobody(store):
    """Errors of an hour ago burn the long window, not the short one; the budget stays used."""
    add(store, "ml.requests", [(DAY, 0), (HOUR + 600, 10_000), (HOUR - 600, 20_000), (10, 30_000)])
    failed = [(DAY, 0), (HOUR + 600, 0), (HOUR - 600, 2000), (310, 2000), (10, 2000)]
    add(store, "ml.requests", failed, error_type="ValueError")
    row = objective(store)
    assert row["burn"]["5m"] == 0
    assert row["burn"]["1h"] > 14.4
    assert row["state"] != "page" or row["burn"]["6h"] > 6


def test_the_chart_ends_where_the_budget_stands(store):
    """What is left over time falls, and its last value is what is left now."""
    add(store, "ml.requests", [(DAY, 0), (1000, 50_000), (500, 60_000), (10, 70_000)])
    add(store, "ml.requests", [(DAY, 0), (1000, 0), (500, 20), (10, 30)], error_type="ValueError")
    row = objective(store)
    known = row["budget"]
    assert known == sorted(known, reverse=True)
    assert known[-1] == pytest.approx(row["budget_left"])
    assert len(known) == len(row["t"])


def test_alerts_are_those_that_hold(store):
    """Of gauges and counters by their thresholds, with a runbook each; what is fine says nothing."""
    assert alerts(store, NOW) == []
    add(store, "ml.drift.detected", [(20, 1)], kind="gauge", ml_feature_name="distance")
    add(store, "otelml.dropped", [(1200, 0), (700, 0), (20, 7)], otelml_where="queue")
    add(store, "otelml.health.status", [(20, 0)], kind="gauge", otelml_health_check="db", otelml_health_severity="fail")
    found = {alert["name"]: alert for alert in alerts(store, NOW)}
    assert set(found) == {"FeatureDrift", "TelemetryDropped", "HealthCheckFailing"}
    assert next(iter(found)) == "HealthCheckFailing"
    assert found["HealthCheckFailing"]["severity"] == "page"
    assert found["FeatureDrift"]["summary"] == "delay 1: 1 features have drifted: distance"
    assert "7 times in 10 minutes" in found["TelemetryDropped"]["summary"]
    assert all("docs/runbooks.md#" in alert["runbook"] for alert in found.values())
    later = {alert["name"] for alert in alerts(store, NOW + HOUR * SECOND)}
    assert later == {"ServiceStoppedReporting"}


def test_the_times_are_those_of_the_shipped_rules():
    """An alert that a rule has here as well waits for as long as that rule does."""
    shipped = {}
    for path in (Path(otelml.__file__).parents[1] / "collector" / "rules").glob("*.yaml"):
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    key = rule["alert"], rule["labels"]["severity"]
                    shipped[key] = UNITS[rule.get("for", "0s")[-1]] * int(rule.get("for", "0s")[:-1])
    assert {key: shipped[key] for key in HELD} == HELD
    mine = re.findall(r'_alert\("?(\w+)', Path(alert_module.__file__).read_text("utf-8"))
    others = {key: wait for key, wait in shipped.items() if key[0] in mine and key not in HELD}
    assert others
    assert set(others.values()) == {0}


@pytest.mark.parametrize(("minutes", "state"), [(2, "pending"), (29, "pending"), (31, "firing"), (300, "firing")])
def test_an_alert_fires_when_its_condition_has_held(store, minutes, state):
    """Drift must last for half an hour, as its rule says; until then it is pending since it began."""
    add(store, "ml.drift.detected", [(60 * m, 1) for m in range(minutes + 1)], kind="gauge", ml_feature_name="distance")
    (alert,) = alerts(store, NOW)
    assert (alert["name"], alert["state"]) == ("FeatureDrift", state)
    assert NOW - alert["since_ns"] == pytest.approx(min(minutes, 30) * 60 * SECOND, abs=240 * SECOND)
    assert "of" not in alert


def test_a_condition_that_was_interrupted_begins_anew(store):
    """Failing, well for a while, and failing again: what counts is since then."""
    points = [(60 * m, float(6 <= m <= 12)) for m in range(20)]
    add(store, "otelml.health.status", points, kind="gauge", otelml_health_check="db", otelml_health_severity="warn")
    (alert,) = alerts(store, NOW)
    assert (alert["name"], alert["severity"], alert["state"]) == ("HealthCheckFailing", "ticket", "pending")
    assert NOW - alert["since_ns"] == pytest.approx(5 * 60 * SECOND, abs=60 * SECOND)


def test_calls_that_fail_for_long_enough_page(store):
    """Counters: a tenth of the calls has failed for a quarter of an hour, or for two minutes."""
    minutes = range(20, -1, -1)
    add(store, "ml.requests", [(60 * m, 90 * (20 - m)) for m in minutes])
    add(store, "ml.requests", [(60 * m, 10 * (20 - m)) for m in minutes], error_type="ValueError")
    (alert,) = [each for each in alerts(store, NOW) if each["name"] == "ModelErrorRatioHigh"]
    assert (alert["severity"], alert["state"]) == ("page", "firing")
    store.clear()
    add(store, "ml.requests", [(60 * m, 90 * (20 - m)) for m in minutes])
    failed = [(60 * m, 30 * max(0, 2 - m)) for m in minutes]
    add(store, "ml.requests", failed, error_type="ValueError")
    (alert,) = [each for each in alerts(store, NOW) if each["name"] == "ModelErrorRatioHigh"]
    assert alert["state"] == "pending"


def test_of_a_real_service(served):
    """A tenth of the calls fail: availability pages; latency holds; a fifth of low confidence is too much."""
    rows = {(row["kind"], row["version"]): row for row in served.get("slos")["objectives"]}
    one = rows["availability", "1"]
    assert (one["total"], one["good"], one["state"]) == (70, 63, "page")
    assert rows["latency", "2"]["total"] == 45
    quality = rows["quality", "2"]
    good = [i for i in range(50) if i % 10 != 3]
    low = sum(i % 5 == 0 for i in good)
    assert (quality["total"], quality["good"]) == (len(good), len(good) - low)
