"""Metrics over the API: each kind with what can be asked of it, exemplars that lead to traces, CSV."""

import csv
import io

import pytest

from otelml.viewer.api.parameters import BadRequestError, NotFoundError
from otelml.viewer.api.routes import answer
from otelml.viewer.api.tables import to_csv


def test_every_metric_is_listed(served):
    """Names, kinds and the number of series are those of the store."""
    found = {row["name"]: row for row in served.get("metrics")["metrics"]}
    assert list(found) == served.store.metric_names
    requests = found["ml.requests"]
    assert (requests["kind"], requests["unit"], requests["services"]) == ("sum", "{request}", ["delays"])
    assert sum(row["series"] for row in found.values()) == served.store.query("SELECT count(*) FROM series")[0][0]


def test_kinds_have_their_statistics(served):
    """What is asked by default, and what can be asked."""
    assert served.get("metric", name="ml.requests")["stats"] == ["rate"]
    assert served.get("metric", name="process.uptime")["stats"] == ["value"]
    assert served.get("metric", name="ml.prediction.duration")["stats"][0] == "p95"
    with pytest.raises(BadRequestError, match="one of rate"):
        served.get("metric", name="ml.requests", stat="p95")
    with pytest.raises(NotFoundError, match="no metric"):
        served.get("metric", name="ml.nothing")


def test_lines_by_an_attribute(served):
    """A line for each value; ``where`` leaves the others out."""
    found = served.get("metric", name="ml.stage.duration", by="ml.stage", stat="mean")
    assert [line["label"] for line in found["series"]] == ["inference", "preprocessing"]
    assert min(v for v in found["series"][0]["values"] if v is not None) >= 0.002
    one = served.get("metric", name="ml.requests", by="ml.model.version", where="ml.model.version=2")
    assert [line["label"] for line in one["series"]] == ["2"]
    each = served.get("metric", name="ml.requests", by="*")
    assert len(each["series"]) == 4  # two versions, each with and without errors
    with pytest.raises(BadRequestError, match="key=value"):
        served.get("metric", name="ml.requests", where="nonsense")


def test_a_heatmap_counts_every_call(served):
    """The bins of time and bucket add up to the calls; edges rise."""
    heat = served.get("metric", name="ml.prediction.duration", stat="heatmap")["heatmap"]
    assert sum(map(sum, heat["counts"])) == pytest.approx(120)
    assert heat["edges"] == sorted(heat["edges"])
    assert len(heat["edges"]) == len(heat["counts"][0]) + 1


def test_exemplars_lead_to_their_traces(served):
    """Each has the trace that it was measured in."""
    found = served.get("metric", name="ml.prediction.duration")["exemplars"]
    assert found
    for exemplar in found[:5]:
        trace = served.get("trace", id=exemplar["trace_id"])
        assert any(span["name"] == "predict delay" for span in trace["spans"])


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("models", {}),
        ("model", {"model": "delay"}),
        ("compare", {"model": "delay"}),
        ("traces", {}),
        ("logs", {}),
        ("metrics", {}),
        ("metric", {"name": "ml.requests", "by": "ml.model.version"}),
        ("slos", {}),
        ("health", {}),
        ("attributes", {}),
        ("values", {"key": "ml.stage"}),
        ("sql", {"query": "SELECT 1 AS a, 'b' AS b"}),
    ],
)
def test_every_table_is_csv_too(served, name, given):
    """The same rows as in the JSON, with a head."""
    text = answer(served.store, name, given | {"format": "csv"}, served.now)
    rows = list(csv.reader(io.StringIO(text)))
    assert name == "health" or len(rows) > 1
    assert len({len(row) for row in rows}) <= 1


def test_what_a_spreadsheet_would_run_is_kept_from_it():
    """Texts that begin like a formula get a quote first; numbers stay numbers."""
    text = to_csv([{"a": "=HYPERLINK(1)", "b": -1.5, "c": "@x", "d": "fine", "e": None, "f": ["x"]}])
    assert list(csv.reader(io.StringIO(text)))[1] == ["'=HYPERLINK(1)", "-1.5", "'@x", "fine", "", '["x"]']
