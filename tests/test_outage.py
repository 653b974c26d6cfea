"""An endpoint that is down is said once."""

import logging

from otelml.outage import Outage


def test_an_outage_is_said_once(caplog):
    """Ten failures of two signals give one warning with the reason; recovery and a new failure soon after give none."""
    now = [0.0]
    outage = Outage(clock=lambda: now[0])
    with caplog.at_level(logging.INFO, "otelml"):
        for _ in range(5):
            outage.failed("span", "connection refused")
            outage.failed("log", "connection refused")
        outage.worked("span")
        outage.worked("log")
        outage.failed("span", "again")
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]
    assert "span: connection refused" in caplog.records[0].getMessage()
    outage.worked("span")
    now[0] = 1000.0
    with caplog.at_level(logging.WARNING, "otelml"):
        outage.failed("span", "later")
    assert "span: later" in caplog.records[-1].getMessage()
