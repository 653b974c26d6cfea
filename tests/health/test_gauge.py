"""The metric of health checks: what each said last, and nothing while nobody asks."""

import threading

from otelml.health import Health

NAME = "otelml.health.status"


def points(telemetry):
    """Return the value of each check."""
    return {point.attributes["otelml.health.check"]: point.value for point in telemetry.points(NAME)}


def test_one_point_for_each_check_that_was_asked(health, telemetry):
    """1 where it passed, 0 where it failed or warned; collecting asks nobody, and no answer is no point."""
    calls = []
    health.check("db", lambda: calls.append(1))
    health.check("cache", lambda: False, critical=False)
    health.started()
    assert points(telemetry) == {}
    health.ready()
    assert points(telemetry) == {"db": 1, "cache": 0}
    assert [point.attributes["otelml.health.severity"] for point in telemetry.points(NAME)] == ["warn", "fail"]
    assert calls == [1]
    health.remove("cache")
    assert points(telemetry) == {"db": 1}


def test_an_answer_that_is_old_is_no_point(health, telemetry, monkeypatch):
    """Where nobody probes any more, the last answer vanishes instead of standing for ever."""
    health.model("delay", lambda _: 1, 0, every_seconds=60)
    health.ready()
    at = health.checks()[0].seen.at
    for later, seen in ((300, {"delay": 1}), (361, {})):
        monkeypatch.setattr("otelml.health.gauge.time", lambda now=at + later: now)
        assert points(telemetry) == seen


def test_asked_by_many_at_once_it_is_made_once(health, telemetry, caplog):
    """Twenty first questions at the same instant make one instrument: OpenTelemetry warns of a second one."""
    health.check("db", lambda: True)
    start = threading.Barrier(20)
    askers = [threading.Thread(target=lambda: (start.wait(), health.ready())) for _ in range(20)]
    for each in askers:
        each.start()
    for each in askers:
        each.join()
    assert points(telemetry) == {"db": 1}
    assert caplog.records == []


def test_two_healths_of_one_process_make_one_metric(health, telemetry):
    """Of two checks of one name the worse counts."""
    other = Health()
    health.check("db", lambda: True)
    other.check("db", lambda: False)
    health.ready()
    other.ready()
    assert points(telemetry) == {"db": 0}
