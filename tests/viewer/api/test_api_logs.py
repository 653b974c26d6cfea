"""Log records over the API equal what SQL says: search, severity, pages, the live tail, counts over time."""

import pytest

from otelml.viewer.api.parameters import BadRequestError


def test_severity_is_the_least_one(served):
    """``severity=warn`` leaves warnings and errors, as SQL counts them."""
    found = served.get("logs", severity="warn", limit=1000)
    ((count,),) = served.store.query("SELECT count(*) FROM logs WHERE severity >= 13")
    assert found["total"] == len(found["logs"]) == count > 12
    assert {log["severity"] >= 13 for log in found["logs"]} == {True}


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ('"will fail"', "contains(body, 'will fail')"),
        ("event=ml.outcome", "event_name = 'ml.outcome'"),
        ("severity=warn", "severity BETWEEN 13 AND 16"),
        ("severity<warn", "severity < 13"),
        (
            "event=ml.prediction error.type=ValueError",
            "event_name = 'ml.prediction' AND contains(attributes, 'ValueError')",
        ),
        ("ml.outcome.correct=false", 'contains(attributes, \'"ml.outcome.correct":"false"\')'),
        ("body~WILL", "contains(body, 'will')"),
    ],
)
def test_searches_find_what_sql_finds(served, query, where):
    """Each kind of term leaves the records that a query written by hand leaves."""
    ((count,),) = served.store.query(f"SELECT count(*) FROM logs WHERE {where}")  # noqa: S608
    assert served.get("logs", q=query)["total"] == count > 0


def test_pages_have_every_record_once(served):
    """Following ``next`` to its end gives every record, the latest first, none twice."""
    seen, cursor = [], ""
    while cursor is not None:
        found = served.get("logs", limit=50, cursor=cursor)
        seen += [log["id"] for log in found["logs"]]
        cursor = found["next"]
    ((count,),) = served.store.query("SELECT count(*) FROM logs")
    assert len(seen) == len(set(seen)) == count == found["total"]
    times = [int(each.partition("-")[0]) for each in seen]
    assert times == sorted(times, reverse=True)


def test_the_tail_has_what_came_after(served):
    """With the id of a record, those that are later and no others."""
    logs = served.get("logs", limit=10)["logs"]
    later = served.get("logs", tail_after=logs[4]["id"])["logs"]
    assert [log["id"] for log in later] == [log["id"] for log in logs[:4]]


def test_counts_over_time_add_up(served):
    """Bins by severity sum up to the records of each."""
    counts = served.get("logs")["counts"]
    sql = "SELECT count(*) FILTER (severity BETWEEN 9 AND 12), count(*) FILTER (severity BETWEEN 13 AND 16) FROM logs"
    ((info, warn),) = served.store.query(sql)
    assert sum(counts["by_severity"]["info"]) == info
    assert sum(counts["by_severity"]["warn"]) == warn
    assert len(counts["t"]) == len(counts["by_severity"]["warn"])


def test_an_id_that_is_none_is_refused(served):
    """The fault says what it should be."""
    with pytest.raises(BadRequestError, match="the id of a log record"):
        served.get("logs", cursor="1 OR 1=1")


def test_records_have_what_was_sent(served):
    """Attributes, resource and ids come as they were sent."""
    (log,) = served.get("logs", q="event=ml.prediction error.type=ValueError", limit=1)["logs"]
    assert log["attributes"]["ml.model.name"] == "delay"
    assert log["resource"]["service.name"] == "delays"
    assert len(log["trace_id"]) == 32
    assert log["severity_text"] == "ERROR"
