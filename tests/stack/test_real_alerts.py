"""From a fault to whoever is told: Prometheus' rules, Alertmanager's routes and a webhook, all as they are shipped.

First with every duration as it is: pages without `for:` are out within two minutes. What takes longer (resolving,
silence) is then seen with all durations divided by 30: the same files otherwise, as the first test here shows.
"""

import re
import shutil
import time
from contextlib import ExitStack, closing

import pytest
import shortened
from load import environment, start
from panel_queries import panel_queries
from running_stack import Stack, eventually
from webhook import Webhook

from otelml.stack import native, places, processes, web

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
COLLECTOR = places.files() / "collector"
QUICKER = 30
SHIPPED = [COLLECTOR / "prometheus.yaml", COLLECTOR / "alertmanager.yaml", *sorted(COLLECTOR.glob("rules/*.yaml"))]
BURN = {"alertname": "FlightDelayAvailabilityBudgetBurn", "severity": "page"}
ERRORS = {"alertname": "ModelErrorRatioHigh", "severity": "page"}
LOSS = {"alertname": "CollectorLosingData", "reason": "permanent", "signal": "metrics"}
STOPPED = {"alertname": "ServiceStoppedReporting", "job": "flights-predictions"}
DRIFT = {"alertname": "FeatureDrift", "severity": "ticket", "job": "drifting", "ml_feature_name": "size"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
@pytest.mark.parametrize("what", [shortened.BEATS, shortened.TIMES], ids=["beats", "times"])
def test_only_durations_are_shorter(path, what):
    """A hurried file differs from the shipped one in durations alone, and each is a thirtieth."""
    text = path.read_text()
    hurried = shortened.shortened(text, QUICKER, what)
    assert what.sub(r"\1", hurried) == what.sub(r"\1", text)
    before, after = (
        [shortened.milliseconds(n, unit, 1) for _, n, unit in what.findall(each)] for each in (text, hurried)
    )
    assert [QUICKER * each for each in after] == pytest.approx(before, abs=QUICKER / 2)  # whole milliseconds
    assert path.parent.name != "rules" or what is shortened.BEATS or before


def test_no_duration_is_left_out():
    """Nothing else in the rules reads as a duration in a selector, an offset or a `for:`."""
    for path in SHIPPED:
        left = shortened.TIMES.sub(r"\1", path.read_text())
        left = re.sub(r"#.*", "", left)
        assert re.findall(r"\[\d+\w*\]|offset \d|for: \d|interval: \d|wait: \d", left) == []


@pytest.fixture(scope="module")
def told():
    """What Alertmanager tells a webhook."""
    with closing(Webhook()) as webhook:
        yield webhook


@pytest.fixture(scope="module")
def stack(tmp_path_factory, told):
    """A stack whose Alertmanager tells a webhook, by the example in collector/notify."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    stack.state.make()
    shutil.copy(COLLECTOR / "notify" / "webhook.yaml", stack.state.notify)
    for name, path in (("webhook_url", "/alerts"), ("watchdog_url", "/watchdog")):
        (stack.state.notify / name).write_text(told.url + path)
        (stack.state.notify / name).chmod(0o600)
    try:
        stack.up()
        yield stack
    finally:
        native.down(stack.state)


@pytest.fixture(scope="module")
def service(stack, tmp_path_factory):
    """A service under load; returns (its process, the file that makes it fail)."""
    fault = tmp_path_factory.mktemp("fault") / "exists"
    with ExitStack() as cleanup:
        program = places.files() / "tests/stack/faulty.py"
        yield start(cleanup, program, fault, **environment(stack)), fault


def firing(stack, **labels):
    """Return the alerts with these labels that Alertmanager holds as active."""
    found = web.json_of(stack.url("alertmanager", "/api/v2/alerts"), {"active": "true"}) or ()
    return [each for each in found if labels.items() <= each["labels"].items()]


def seconds_until(ready, limit):
    """Return after how many seconds something held."""
    begun = time.monotonic()
    assert eventually(ready, limit)
    return time.monotonic() - begun


def test_a_fault_and_a_loss_page_within_two_minutes(stack, service, told):
    """As shipped: half of the calls fail, and a backend refuses points for good; both reach the API and the webhook."""
    _, fault = service
    assert eventually(lambda: stack.number('sum(ml_requests_total{job="flights-predictions"})') > 20)
    assert firing(stack, severity="page") == []
    fault.touch()
    sender = stack.sender("poisoned")
    sender.deliver("metrics", sender.metric(100), 100)
    assert eventually(lambda: stack.points("poisoned"))
    sender.deliver("metrics", sender.metric(100, age=30 * 3600), 100)
    for alert in (BURN, LOSS):
        assert seconds_until(lambda alert=alert: firing(stack, **alert), 120) < 120
        assert eventually(lambda alert=alert: told.heard("/alerts", "firing", **alert), 30)
    (lost,) = firing(stack, **LOSS)
    assert re.match(r"The collector lost 1\d\d items of metrics", lost["annotations"]["summary"])  # and its neighbours
    assert told.heard("/watchdog", "firing", alertname="Watchdog")
    (shown,) = [each.query for each in panel_queries() if each.panel == "Refused for good"]
    assert stack.number(shown) >= 100  # the first failure, which is all that its counter ever saw


def test_the_fault_fires_for_its_time_and_resolves(stack, service, told):
    """In a hurry: the ratio pages after its `for:`, and everything resolves once no call fails, for API and webhook."""
    _, fault = service
    shortened.hurry(stack, QUICKER, shortened.TIMES)
    seconds_until(lambda: firing(stack, **ERRORS) and told.heard("/alerts", "firing", **ERRORS), 60)
    fault.unlink()
    for alert in (ERRORS, BURN, LOSS):
        seconds_until(lambda alert=alert: not firing(stack, **alert), 60)
        assert eventually(lambda alert=alert: told.heard("/alerts", "resolved", **alert), 30)


def test_drift_fires_for_its_time_and_resolves(stack, tmp_path, told):
    """In a hurry: one of two features is shifted by a standard deviation; it alone is told, and resolves."""
    shift = tmp_path / "exists"
    shift.touch()
    with ExitStack() as cleanup:
        start(cleanup, places.files() / "tests/stack/drifting.py", shift, **environment(stack))
        held = 30 * 60 / QUICKER
        assert held < seconds_until(lambda: firing(stack, **DRIFT), 120) < 120
        assert eventually(lambda: told.heard("/alerts", "firing", **DRIFT), 30)
        assert [each["labels"]["ml_feature_name"] for each in firing(stack, alertname="FeatureDrift")] == ["size"]
        assert stack.number('max(ml_feature_rows_total{job="drifting"})') >= 500
        shift.unlink()
        seconds_until(lambda: not firing(stack, **DRIFT), 90)
        assert eventually(lambda: told.heard("/alerts", "resolved", **DRIFT), 30)
        assert stack.number('feature:ml_feature_observations:psi1h{job="drifting",ml_feature_name="size"}') < 0.3


def test_a_killed_service_is_told_though_its_gauges_stay(stack, service, told):
    """In a hurry: SIGKILL; silence pages after 3 to 5 of its minutes, while its last values still stand."""
    process, _ = service
    assert firing(stack, **STOPPED) == []
    process.kill()
    process.wait()
    minutes = seconds_until(lambda: firing(stack, **STOPPED), 30) * QUICKER / 60
    assert 2.5 <= minutes <= 6
    for gauge in ("ml_requests_active", "process_uptime_seconds", "target_info"):  # the last by span metrics
        assert stack.number(f'count({gauge}{{job="flights-predictions"}})') == 1
    assert eventually(lambda: told.heard("/alerts", "firing", **STOPPED), 30)
    assert processes.find("otelcol", stack.state.run)
