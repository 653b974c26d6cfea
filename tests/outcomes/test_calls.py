"""Error rates: every call is counted once beside the predictions, whatever becomes of it and of the database."""

import time
from contextlib import suppress

import pytest
from recorded_outcomes import recorded, sums, written

import otelml
from otelml import cli
from otelml.outcomes import calls, joining
from otelml.outcomes.comparison import ALIKE, WORSE, compare
from otelml.outcomes.database import connect
from otelml.outcomes.joining import Bounds

MINUTE = 1_700_000_040


def predict(n, version="3", *, failed=0, error=ValueError, **more):
    """Make n calls, of which the first ``failed`` raise."""

    def model(i):
        if i < failed:
            raise error("no")
        return "late"

    for i in range(n):
        with suppress(error), otelml.prediction("delay", version, **more) as p:
            p.result(classes=model(i), confidence=0.9)


def row(database, first="3", second="4", since=0.0):
    """Return the row of the error rate, or None."""
    found = compare(database, "delay", (first, second), since).rows
    return next((each for each in found if each.what == "error rate"), None)


def fill(database, version, ended, failed, at=MINUTE):
    """Write numbers of calls."""
    counts = {("delay", version, at, ""): ended - failed, ("delay", version, at, "ValueError"): failed}
    calls._write(database, +calls.Counter(counts))


def test_error_rate(settings):
    """Calls that failed are counted by error, those with many rows and with none once; nothing waits for a truth."""
    with recorded(**settings) as telemetry:
        predict(80, "3", failed=2)
        predict(40, "4", failed=30)
        predict(20, "4", failed=20, error=KeyError)
        with otelml.prediction("delay", "3") as p:
            p.result(classes=["late"] * 50)
        with otelml.prediction("delay", "3"):
            pass
        assert written(telemetry)
        database = connect(settings["outcomes_database"])
        by_error = "SELECT version, error, SUM(n) FROM otelml_calls GROUP BY 1, 2 ORDER BY 1, 2"
        assert [(*key, int(n)) for *key, n in database.select(by_error)] == [
            *(("3", "", 80), ("3", "ValueError", 2)),
            *(("4", "", 10), ("4", "KeyError", 20), ("4", "ValueError", 30)),
        ]
        found = row(database)
        assert (found.cases, found.first, found.second, found.verdict) == ((82, 60), 2 / 82, 50 / 60, WORSE)
        assert found.difference == pytest.approx(found.second - found.first)
        assert 0 < found.lower < found.difference < found.upper < 1
        assert row(database, since=time.time() + 61) is None
        joining.forget(database, Bounds(10**6, 3600.0, 3600.0), time.time() + 7200, report=False)
        assert database.select("SELECT n FROM otelml_calls") == []
        missing = database.select("SELECT version, n FROM otelml_outcome_tallies WHERE what = 'missing' ORDER BY 1")
        assert missing == [("3", 78 + 50), ("4", 10)]
        database.close()
        assert telemetry.drops.counts() == {}


def test_second_attempt_under_the_same_id(settings):
    """A call that failed leaves its id to the attempt that succeeds: it is kept, joined, and no repeated one."""
    with recorded(**settings) as telemetry:
        predict(1, failed=1, prediction_id="flight-1")
        predict(1, prediction_id="flight-1")
        otelml.record_outcome("flight-1", "late")
        assert written(telemetry)
        assert sums(telemetry, "ml.outcomes", "ml.outcome.correct") == {("true",): 1}
        assert telemetry.drops.counts() == {}


def test_rates_alike(database):
    """Equal rates are not told apart; under 30 calls nothing is said."""
    fill(database, "3", 5000, 50)
    fill(database, "4", 1000, 11)
    fill(database, "5", 29, 29)
    assert row(database).verdict == ALIKE
    assert row(database, "3", "5").difference is None


def test_since_is_by_the_minute(database):
    """Counts are kept by minute: the one in which a time lies counts whole."""
    fill(database, "3", 100, 1, MINUTE)
    fill(database, "3", 10, 1, MINUTE + 60)
    for since, wanted in ((MINUTE + 59.5, (110, 2)), (MINUTE + 60.5, (10, 1)), (MINUTE + 120.5, (0, 0))):
        assert calls.counted(database, "delay", "3", since) == wanted


def test_version_that_only_fails(address, capsys):
    """A version without any prediction can be compared by its errors."""
    database = connect(address)
    fill(database, "3", 500, 5)
    fill(database, "4", 60, 60)
    database.close()
    assert cli.main(["compare", "delay", "3", "4", "--database", address]) == 1
    said = capsys.readouterr().out
    assert "error rate" in said
    assert "worse" in said


def test_bounded_by_rows(database):
    """Minutes beyond the bound of rows go, the oldest first."""
    for i in range(10):
        fill(database, "3", 5, 0, MINUTE + 60 * i)
    joining.forget(database, Bounds(6, 1e9, 1e9), MINUTE + 600, report=True)
    assert database.select("SELECT MIN(time), MAX(time) FROM otelml_calls") == [(MINUTE + 240, MINUTE + 540)]


def test_database_is_away(tmp_path):
    """Counts wait for the database, and are there once when it is back."""
    place = tmp_path / "later"
    with recorded(outcomes_database=str(place / "o.db"), outcomes_spool=str(tmp_path / "spool")) as telemetry:
        predict(5, failed=2)
        assert not written(telemetry)
        predict(5)
        assert not written(telemetry)
        place.mkdir()
        assert written(telemetry)
        assert written(telemetry)
        database = connect(str(place / "o.db"))
        assert calls.counted(database, "delay", "3", 0.0) == (10, 2)
        database.close()
        assert telemetry.drops.counts() == {}


def test_what_is_lost_is_counted(tmp_path, monkeypatch):
    """Calls beyond the bound while the database is away, and those left at the end, are counted as dropped."""
    monkeypatch.setattr(calls, "MAX_WAITING", 2)
    settings = {"outcomes_database": str(tmp_path / "no" / "o.db"), "outcomes_spool": str(tmp_path / "spool")}
    with recorded(**settings) as telemetry:
        for version in "3456":
            predict(5, version)
        assert not written(telemetry)
        telemetry.runtime.outcomes.stop(5)
        drops = telemetry.drops.counts()
    assert drops["call", "outcomes_buffer"] == drops["call", "shutdown"] == 10
