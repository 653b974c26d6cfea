"""Traces over the API equal what SQL says: lists, pages, the scatter, completion, one trace, two compared."""

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelml.viewer.api import traces
from otelml.viewer.api.parameters import Asked, BadRequestError, NotFoundError
from otelml.viewer.api.trace import critical_path
from otelml.viewer.store import Store

MANY = 30_000


def test_the_latest_come_first_with_what_sql_says(served):
    """Names, spans, errors and durations of each trace are those of its rows."""
    found = served.get("traces", model="delay", limit=10)
    assert len(found["traces"]) == 10
    starts = [row["start_ns"] for row in found["traces"]]
    assert starts == sorted(starts, reverse=True)
    for row in found["traces"]:
        sql = """
            SELECT count(*), count(*) FILTER (status = 'error'), (max(end_ns) - min(start_ns)) / 1e9, min(start_ns)
            FROM spans WHERE trace_id = ?
        """
        ((spans, errors, seconds, start),) = served.store.query(sql, [row["trace_id"]])
        assert (row["spans"], row["errors"], row["start_ns"]) == (spans, errors, start)
        assert row["duration_s"] == pytest.approx(seconds)
        assert (row["service"], row["services"], row["model"]) == ("delays", ["delays"], "delay")


def test_pages_have_every_trace_once(served):
    """Following ``next`` to its end gives all traces that SQL counts, none twice."""
    seen, cursor = [], 0
    while cursor is not None:
        found = served.get("traces", name="predict delay", limit=17, cursor=cursor)
        seen += [row["trace_id"] for row in found["traces"]]
        cursor = found["next"]
    ((count,),) = served.store.query("SELECT count(DISTINCT trace_id) FROM spans WHERE name = 'predict delay'")
    assert len(seen) == len(set(seen)) == count == found["total"] == 120
    assert found["total_exact"] is True


@pytest.fixture
def many():
    """Give a store of 30,000 traces of two spans each, a microsecond apart; the traces' numbers are their ids."""
    request = ExportTraceServiceRequest()
    sent = request.resource_spans.add().scope_spans.add().spans
    for number in range(1, MANY + 1):
        for part in range(2):
            span = sent.add(name="call", trace_id=number.to_bytes(16), span_id=(2 * number + part).to_bytes(8))
            span.parent_span_id = (2 * number).to_bytes(8) if part else b""
            span.start_time_unix_nano = number * 1000
            span.end_time_unix_nano = number * 1000 + number
            span.attributes.add(key="number").value.int_value = number
    with Store() as store:
        store.add("traces", request)
        yield store


def test_of_very_many_spans_a_share_is_looked_at(many, monkeypatch):
    """The latest are as exact as ever, the total is about right and said to be so, and every point is a trace."""
    monkeypatch.setattr(traces, "LOOKED_AT", MANY)
    asked = {"from": "1", "to": str(10**9), "name": "call"}
    found = traces.traces(many, Asked(asked, now_ns=10**9))
    assert [int(row["trace_id"], 16) for row in found["traces"]] == list(range(MANY, MANY - 100, -1))
    assert (found["share"], found["total_exact"]) == (0.5, False)
    assert 100 <= found["total"] <= 2 * MANY
    drawn = {int(trace_id, 16): (start, seconds) for start, seconds, _, trace_id in found["scatter"]}
    assert drawn == {number: (number * 1000, pytest.approx(number / 1e9)) for number in drawn}
    whole = traces.traces(many, Asked({**asked, "whole": "1"}, now_ns=10**9))
    assert whole["share"] == 1
    assert whole["total"] == pytest.approx(MANY, rel=0.1)
    assert MANY in {int(trace_id, 16) for *_, trace_id in whole["scatter"]}


def test_few_that_match_among_very_many_are_all_there(many, monkeypatch):
    """What is found by its attribute alone is counted and drawn exactly, however little is looked at otherwise."""
    monkeypatch.setattr(traces, "LOOKED_AT", 10)
    found = traces.traces(many, Asked({"from": "1", "to": str(10**9), "q": "number=17"}, now_ns=10**9))
    assert (found["total"], found["total_exact"], found["share"]) == (1, True, 1)
    assert [int(trace_id, 16) for *_, trace_id in found["scatter"]] == [17]


def test_attributes_of_very_many_spans_are_searched_page_by_page(many, monkeypatch):
    """Each page says back to when it searched; going on finds the one trace at the end, once, and ``whole`` at once."""
    monkeypatch.setattr(traces, "SEARCHED", 20_000)
    asked = {"from": "1", "to": str(10**9), "q": "number=17"}
    pages = [traces.traces(many, Asked(asked, now_ns=10**9))]
    while pages[-1]["next"]:
        pages.append(traces.traces(many, Asked({**asked, "cursor": pages[-1]["next"]}, now_ns=10**9)))
    since = [page["searched_from_ns"] for page in pages]
    assert since == sorted(since, reverse=True)
    assert since[-1] == 1
    assert ["notes" in page for page in pages] == [True, True, False]
    assert [int(row["trace_id"], 16) for page in pages for row in page["traces"]] == [17]
    assert not any(page["total_exact"] for page in pages)
    whole = traces.traces(many, Asked({**asked, "whole": "1"}, now_ns=10**9))
    assert [int(row["trace_id"], 16) for row in whole["traces"]] == [17]
    assert (whole["total"], whole["total_exact"], whole["next"]) == (1, True, None)


def test_what_many_spans_have_is_paged_alike(many, monkeypatch):
    """Pages of a search whose matches are more than a page have every trace once, the latest first."""
    monkeypatch.setattr(traces, "SEARCHED", 20_000)
    asked, cursor, seen = {"from": "1", "to": str(10**9), "q": "number>29990", "limit": "7"}, "0", []
    while cursor:
        found = traces.traces(many, Asked({**asked, "cursor": cursor}, now_ns=10**9))
        seen += [int(row["trace_id"], 16) for row in found["traces"]]
        cursor = found["next"]
    assert seen == list(range(MANY, 29_990, -1))


def test_errors_and_durations_choose(served):
    """``errors`` and ``min_s`` leave those that SQL leaves."""
    found = served.get("traces", errors=1, limit=1000)
    ((count,),) = served.store.query("SELECT count(DISTINCT trace_id) FROM spans WHERE status = 'error'")
    assert found["total"] == len(found["traces"]) == count == 12
    ((median,),) = served.store.query(
        "SELECT quantile_disc(duration_ns, 0.5) FROM spans WHERE parent_id = '' AND duration_ns > 0"
    )
    slow = served.get("traces", min_s=median / 1e9, limit=1000)
    sql = "SELECT count(DISTINCT trace_id) FROM spans WHERE parent_id = '' AND duration_ns >= ?"
    assert slow["total"] == served.store.query(sql, [median])[0][0]


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("version=2 name~predict", "version = '2' AND contains(name, 'predict')"),
        ("duration>1us", "duration_ns > 1000"),
        ("duration<=60s stage=inference", "duration_ns <= 60000000000 AND stage = 'inference'"),
        ("ml.prediction.class=late", 'attributes LIKE \'%"ml.prediction.class":"late"%\''),
        ('ml.prediction.class="on time"', 'attributes LIKE \'%"ml.prediction.class":"on time"%\''),
        ("ml.prediction.confidence<0.5", "attributes LIKE '%confidence\":0.45%'"),
        ("error.type=ValueError inference", "false"),
        ("status=error", "status = 'error'"),
        (
            "ml.prediction.class!=late name=outcome",
            "name = 'outcome'",
        ),
        ("ml.stage= name=outcome", "name = 'outcome'"),
    ],
)
def test_searches_find_what_sql_finds(served, query, where):
    """Each kind of term leaves the traces that a query written by hand leaves."""
    ((count,),) = served.store.query(f"SELECT count(DISTINCT trace_id) FROM spans WHERE {where}")  # noqa: S608
    assert served.get("traces", q=query)["total"] == count
    assert count > 0 or where == "false"


@pytest.mark.parametrize("sign", [">", "<="])
def test_searches_by_duration(served, sign):
    """Spans above the median, and those up to it, are told apart whatever they took."""
    ((median,),) = served.store.query("SELECT CAST(median(duration_ns) AS BIGINT) FROM spans")
    sql = f"SELECT count(DISTINCT trace_id) FROM spans WHERE duration_ns {sign} ?"  # noqa: S608 - the two above
    ((count,),) = served.store.query(sql, (median,))
    assert served.get("traces", q=f"duration{sign}{median}ns")["total"] == count > 0


@pytest.mark.parametrize("query", ['"open', "duration>soon", "duration~5", "x" * 5000, " ".join(["a=b"] * 40)])
def test_searches_that_cannot_be_read_are_refused(served, query):
    """The fault names the parameter."""
    with pytest.raises(BadRequestError, match="q="):
        served.get("traces", q=query)


def test_values_reach_sql_as_parameters_only(served):
    """What would end a text, a path or a statement in SQL finds nothing, and breaks nothing."""
    for hostile in ("'; DROP TABLE spans; --", '"quoted".key=x', "a'b=c", "$.x[0]=1", "a/b~c=1", "%'='%", "\x00=\x00"):
        quoted = hostile.replace('"', '\\"')
        assert served.get("traces", q=f'"{quoted}"')["total"] == 0
        assert served.get("values", key=hostile)["values"] == []
        assert served.get("attributes", prefix=hostile)["keys"] == []
    assert served.store.query("SELECT count(*) > 0 FROM spans") == [(True,)]


def test_the_scatter_has_every_trace_of_few(served):
    """A point for each trace with its longest span that matches, and whether one has failed."""
    points = served.get("traces", name="predict delay")["scatter"]
    columns = "trace_id, max(duration_ns) / 1e9, bool_or(status = 'error')"
    sql = f"SELECT {columns} FROM spans WHERE name = 'predict delay' GROUP BY trace_id"  # noqa: S608 - constants
    expected = {trace: (pytest.approx(seconds), int(bad)) for trace, seconds, bad in served.store.query(sql)}
    assert {trace: (seconds, bad) for _, seconds, bad, trace in points} == expected


def test_completion_offers_keys_and_values(served):
    """Keys and values that begin with what was typed, with how often they stand in rows."""
    keys = {row["key"]: row["count"] for row in served.get("attributes", prefix="ML.stage")["keys"]}
    assert keys == {"ml.stage": 240}
    values = {row["value"]: row["count"] for row in served.get("values", key="ml.stage")["values"]}
    assert values == {"preprocessing": 120, "inference": 120}
    assert [row["value"] for row in served.get("values", key="version", signal="metrics", prefix="2")["values"]] == [
        "2"
    ]
    assert any(row["key"] == "service.instance.id" for row in served.get("attributes", signal="logs")["keys"])


def test_one_trace_in_the_order_of_the_waterfall(served):
    """Parents before children, depths, logs in place; the critical path is as long as the trace."""
    trace_id = served.get("traces", q="name~predict", errors=1, limit=1)["traces"][0]["trace_id"]
    found = served.get("trace", id=trace_id.upper())
    names = [(span["depth"], span["name"]) for span in found["spans"]]
    assert names == [(0, "predict delay"), (1, "preprocessing"), (1, "inference")]
    assert not any(span["orphan"] for span in found["spans"])
    assert any("will fail" in str(log["body"]) for log in found["logs"])
    critical = sum(end - start for span in found["spans"] for start, end in span["critical"])
    assert critical / 1e9 == pytest.approx(found["duration_s"])


def test_links_are_followed_both_ways(served):
    """An outcome's span links to its prediction, which knows what links to it."""
    (row,) = served.get("traces", name="outcome", limit=1)["traces"]
    outcome = served.get("trace", id=row["trace_id"])
    (link,) = outcome["spans"][0]["links"]
    assert link["known"] is True
    prediction = served.get("trace", id=link["trace_id"])
    assert (row["trace_id"], "outcome") in {(span["trace_id"], span["name"]) for span in prediction["linked_from"]}


def test_an_unknown_trace_is_not_found(served):
    """And an id that is none is a bad request."""
    with pytest.raises(NotFoundError, match="no trace"):
        served.get("trace", id="0" * 32)
    with pytest.raises(BadRequestError, match="32 hexadecimal"):
        served.get("trace", id="../../etc/passwd")


def test_two_traces_compared_by_path(served):
    """Paths of both with their seconds and ratio."""
    a, b = (row["trace_id"] for row in served.get("traces", name="inference", limit=2)["traces"])
    rows = {row["path"]: row for row in served.get("compare-traces", a=a, b=b)["rows"]}
    row = rows["predict delay > inference"]
    sql = "SELECT duration_ns / 1e9 FROM spans WHERE name = 'inference' AND trace_id = ?"
    assert row["a_s"] == pytest.approx(served.store.query(sql, [a])[0][0])
    assert row["ratio"] == pytest.approx(row["b_s"] / row["a_s"])


def row(name, parent, start, end, depth):
    """Return a span as the waterfall has it."""
    return {"span_id": name, "parent_id": parent, "start_ns": start, "duration_ns": end - start, "depth": depth}


def test_the_critical_path_of_a_trace_by_hand():
    """Of parallel children the one that ends last counts, then what ran before it; an overrun does not."""
    spans = [
        row("root", "", 0, 100, 0),
        row("first", "root", 5, 40, 1),
        row("short", "root", 45, 60, 1),
        row("long", "root", 42, 90, 1),
        row("late", "root", 80, 130, 1),
        row("inner", "long", 50, 70, 2),
    ]
    critical_path(spans)
    found = {span["span_id"]: span["critical"] for span in spans}
    assert found == {
        "root": [[0, 5], [40, 42], [90, 100]],
        "first": [[5, 40]],
        "short": [],
        "long": [[42, 50], [70, 90]],
        "late": [],
        "inner": [[50, 70]],
    }
