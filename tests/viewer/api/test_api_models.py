"""Models over the API: what real processes counted, from counters, histograms and gauges."""

import numpy as np
import pytest

from otelml.viewer.api.parameters import BadRequestError, NotFoundError


def failures(*counts):
    """Return how many of the calls of each process fail: the fourth of each ten."""
    return sum(len(range(3, count, 10)) for count in counts)


def test_every_model_and_version_has_a_row(served):
    """Requests, rows, errors and shares are those of the processes, instances of one version added up."""
    rows = {(row["model"], row["version"]): row for row in served.get("models")["models"]}
    assert set(rows) == {("delay", "1"), ("delay", "2")}
    one, two = rows["delay", "1"], rows["delay", "2"]
    assert (one["requests"], two["requests"]) == (70, 50)
    assert (one["errors"], two["errors"]) == (failures(40, 30), failures(50))
    assert one["rows"] == 70 - failures(40, 30)
    assert one["error_share"] == pytest.approx(0.1)
    assert one["service"] == ["delays"]
    assert one["last_ns"] < two["last_ns"] < served.now


def test_latency_is_that_of_the_spans(served):
    """Quantiles of histograms are within their bucket of the exact ones of spans."""
    row = next(row for row in served.get("models")["models"] if row["version"] == "2")
    sql = "SELECT quantile_disc(duration_ns, 0.5) / 1e9 FROM spans WHERE name = 'predict delay' AND version = '2'"
    ((exact,),) = served.store.query(sql)
    assert 0.001 < exact < 0.1
    assert row["p50_s"] == pytest.approx(exact, rel=1.5)
    assert row["p50_s"] <= row["p95_s"] <= row["p99_s"]


def test_confidence_is_the_mean_of_what_was_said(served):
    """Of each version: the sum of the histogram over its count."""
    row = next(row for row in served.get("models")["models"] if row["version"] == "2")
    said = [0.45 if i % 5 == 0 else 0.9 for i in range(50) if i % 10 != 3]
    assert row["confidence_mean"] == pytest.approx(np.mean(said), rel=1e-6)


def test_charts_add_up_to_the_counters(served):
    """The rates of the traffic, by the seconds they cover, give the requests; the bins of latency their number."""
    found = served.get("model", model="delay", version="1", from_=-600 * 10**9)
    assert found["traffic"]["requests"] == 70
    assert found["latency"]["count"] == 70
    assert max(value or 0 for value in found["traffic"]["requests_per_s"]) > 0
    assert all(value is None or value >= 0 for value in found["traffic"]["requests_per_s"])
    assert found["answer"].startswith("70 requests in the last 10 min, 10.00% failed; p95 ")


def test_stages_classes_and_confidence_of_a_model(served):
    """Counts by stage and class, and the heatmap's sum, are what was recorded."""
    found = served.get("model", model="delay", version="2")
    stages = {row["stage"]: row for row in found["stages"]}
    assert list(stages) == ["preprocessing", "inference"]
    assert {row["count"] for row in stages.values()} == {50}
    assert stages["inference"]["share"] > stages["preprocessing"]["share"]
    assert sum(row["share"] for row in stages.values()) == pytest.approx(1.0)
    good = [i for i in range(50) if i % 10 != 3]
    late = sum(i % 4 == 0 for i in good)
    assert {row["class"]: row["rows"] for row in found["classes"]} == {"late": late, "on time": len(good) - late}
    heat = {row["class"]: sum(map(sum, row["counts"])) for row in found["confidence"]}
    assert heat == pytest.approx({"late": late, "on time": len(good) - late})


def test_errors_lead_to_a_trace(served):
    """Errors are counted by type, each with a trace that has one."""
    ((error,),) = [served.get("model", model="delay", version="2")["errors"]]
    assert (error["type"], error["count"]) == ("ValueError", 5)
    trace = served.get("trace", id=error["trace_id"])
    assert any(span["status"] == "error" for span in trace["spans"])
    assert [log["body"] for log in trace["logs"] if log["severity_text"] == "WARN"] == [
        log["body"] for log in trace["logs"] if "will fail" in str(log["body"])
    ]


def test_drift_is_of_all_instances_together(served):
    """Every prediction saw 0.9: the feature's bins hold the sum of both instances, against an even reference."""
    (row,) = (row for row in served.get("model", model="delay", version="1")["drift"] if row["feature"] == "distance")
    assert row["kind"] == "number"
    assert row["observed"] == 70 - failures(40, 30)
    assert sum(row["now"]) == pytest.approx(1.0)
    assert max(row["now"]) == 1.0
    assert sum(row["reference"]) == pytest.approx(1.0, abs=1e-6)
    assert row["psi"] > 1
    assert row["ks"] > 0.7
    assert (row["missing_share"], row["reference_missing_share"]) == (0, 0)


def test_quality_counts_the_outcomes(served):
    """Truths that were told are counted, and the accuracy is theirs."""
    quality = served.get("model", model="delay", version="2")["quality"]
    good = [i for i in range(50) if i % 10 != 3]
    assert quality["outcomes"] == len(good)
    right = sum((i % 4 == 0) == (i % 2 == 0) for i in good)
    known = [value for value in quality["measured"]["accuracy"] if value is not None]
    assert known[-1] == pytest.approx(right / len(good))


def test_two_versions_side_by_side(served):
    """The figures of both, their ratio, which is better, and whether the error shares differ by more than chance."""
    found = served.get("compare", model="delay", a="1", b="2")
    rows = {row["what"]: row for row in found["rows"]}
    assert (rows["requests"]["a"], rows["requests"]["b"], rows["requests"]["better"]) == (70, 50, None)
    assert rows["requests"]["ratio"] == pytest.approx(50 / 70)
    assert rows["error_share"]["a"] == rows["error_share"]["b"] == pytest.approx(0.1)
    assert rows["error_share"]["p_value"] == pytest.approx(1.0)
    first, second = rows["p95_s"]["a"], rows["p95_s"]["b"]
    assert rows["p95_s"]["better"] == (None if first == second else "a" if first < second else "b")
    assert served.get("compare", model="delay")["b"]["version"] == "2"


def test_what_is_not_there_is_said(served):
    """Unknown models and versions are named, with those that there are."""
    with pytest.raises(NotFoundError, match="no model 'train'"):
        served.get("model", model="train")
    with pytest.raises(NotFoundError, match="no version '3'") as raised:
        served.get("model", model="delay", version="3")
    assert "'2', '1'" in raised.value.fix


def test_every_fault_of_a_request_is_told_at_once(served):
    """The message has each bad parameter with its value, and the fix says what to write."""
    with pytest.raises(BadRequestError) as raised:
        served.get("model", from_="yesterday", to=0, colour="red")
    text = str(raised.value)
    assert "model=''" in text
    assert "from='yesterday' is not a whole number" in text
    assert "to='0'" in text
    assert "colour: there is no such parameter" in text
    assert "give from as a whole number" in raised.value.fix
    assert len(raised.value.faults) == 4


def test_a_model_without_metrics_is_shown_by_its_spans(served):
    """Spans alone give requests, errors and exact quantiles."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: PLC0415

    from otelml.viewer.api.models import models  # noqa: PLC0415
    from otelml.viewer.api.parameters import Asked  # noqa: PLC0415
    from otelml.viewer.store import Store  # noqa: PLC0415

    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for i in range(1, 11):
        span = scope.spans.add(name="predict x", trace_id=bytes([i] * 16), span_id=bytes([i] * 8))
        span.start_time_unix_nano, span.end_time_unix_nano = 10**18, 10**18 + i * 10**6
        span.status.code = 2 if i == 4 else 0
        span.attributes.add(key="ml.model.name").value.string_value = "x"
    with Store() as store:
        store.add("traces", request)
        (row,) = models(store, Asked({}, now_ns=10**18 + 10**9))["models"]
    assert (row["model"], row["requests"], row["errors"]) == ("x", 10, 1)
    assert (row["p50_s"], row["p99_s"]) == (0.005, 0.010)
