"""The configuration as laid out in the state directory."""

import pytest
import yaml

from otelml.stack import laid_out, places, ports
from otelml.stack.errors import StackError

COLLECTOR = places.files() / "collector"


@pytest.fixture
def state(tmp_path):
    """A state directory."""
    made = places.State(tmp_path / "state")
    made.make()
    return made


def test_files_are_linked_and_targets_are_of_these_ports(state):
    """Prometheus reads the shipped file and rules through links, and scrapes where this stack's processes are."""
    for offset in (0, 1000):  # the second time over the first
        laid_out.lay_out(places.files(), state, ports.choose(offset, []))
    place = state.config / "prometheus"
    assert (place / "prometheus.yaml").resolve() == (COLLECTOR / "prometheus.yaml").resolve()
    assert (place / "rules").resolve() == (COLLECTOR / "rules").resolve()
    targets = yaml.safe_load((place / "targets" / "stack.yaml").read_text())
    assert {t["labels"]["job"]: t["targets"] for t in targets}["loki"] == ["127.0.0.1:4100"]
    told = yaml.safe_load((place / "targets" / "alertmanager.yaml").read_text())
    assert told == [{"targets": ["127.0.0.1:10093"]}]


def test_nobody_is_notified_unless_asked(state):
    """Without files in notify/ Alertmanager gets what is shipped."""
    laid_out.lay_out(places.files(), state, ports.DEFAULT)
    written = state.config / "alertmanager" / "alertmanager.yaml"
    assert yaml.safe_load(written.read_text()) == yaml.safe_load((COLLECTOR / "alertmanager.yaml").read_text())
    assert written.stat().st_mode & 0o777 == 0o600


def test_who_is_notified_is_merged(state):
    """Receivers of the same name gain integrations, new ones are added, routes of a team stand first."""
    for name in ("slack", "webhook", "team"):
        (state.notify / f"{name}.yaml").write_text((COLLECTOR / "notify" / f"{name}.yaml").read_text())
    for name in ("slack_url", "webhook_url", "watchdog_url", "vision_pagerduty_key", "vision_slack_url"):
        (state.notify / name).write_text("secret")
    laid_out.lay_out(places.files(), state, ports.DEFAULT)
    place = state.config / "alertmanager"
    config = yaml.safe_load((place / "alertmanager.yaml").read_text())
    receivers = {receiver["name"]: set(receiver) - {"name"} for receiver in config["receivers"]}
    assert receivers == {
        "page": {"slack_configs", "webhook_configs"},
        "ticket": {"slack_configs", "webhook_configs"},
        "watchdog": {"webhook_configs"},
        "none": set(),
        "vision-page": {"pagerduty_configs"},
        "vision-ticket": {"slack_configs"},
    }
    assert [route["receiver"] for route in config["route"]["routes"]][:2] == ["vision-page", "vision-ticket"]
    (told,) = config["receivers"][0]["slack_configs"]
    assert told["api_url_file"] == str(state.notify / "slack_url")  # Alertmanager looks from where it was started
    assert "secret" not in (place / "alertmanager.yaml").read_text()


def test_every_fault_in_notify_is_named(state):
    """A secret that is missing and a file that is no configuration: both in one message."""
    (state.notify / "slack.yaml").write_text((COLLECTOR / "notify" / "slack.yaml").read_text())
    (state.notify / "broken.yaml").write_text("receivers: [{no-name: 1}]")
    with pytest.raises(StackError) as error:
        laid_out.lay_out(places.files(), state, ports.DEFAULT)
    assert [fault.split(": ")[0].rsplit("/", 1)[1] for fault in error.value.faults] == ["broken.yaml", "slack.yaml"]
    assert f"write the secret into {state.notify / 'slack_url'}" in str(error.value)
