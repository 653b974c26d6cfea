"""`otelml slo generate`: what Sloth's specification becomes, what is refused, and that the demo's rules are fresh."""

import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import otelml
from otelml.cli import main
from otelml.slo.rules import PERIOD_DAYS, WINDOWS, groups, render
from otelml.slo.specification import BURNS, SpecError, read

ROOT = Path(otelml.__file__).parents[1]
SPEC = {
    "version": "prometheus/v1",
    "service": "shop",
    "labels": {"owner": "us", "tier": "2"},
    "slos": [
        {
            "name": "availability",
            "objective": 99.9,
            "description": "Calls succeed.",
            "sli": {
                "events": {
                    "error_query": 'sum(rate(calls_total{code=~"5.."}[{{.window}}]))',
                    "total_query": "sum(rate(calls_total[{{ .window }}]))",
                }
            },
            "alerting": {
                "name": "ShopFails",
                "labels": {"category": "availability"},
                "annotations": {"summary": "Too many failures"},
                "page_alert": {"labels": {"severity": "wake", "routing": "us"}},
                "ticket_alert": {"labels": {"severity": "chat"}},
            },
        }
    ],
}


def spec(**changes):
    """Return the text of a specification whose one objective has other fields; None takes a field away."""
    slo = {key: value for key, value in (SPEC["slos"][0] | changes).items() if value is not None}
    return yaml.safe_dump(SPEC | {"slos": [slo]})


def made(text):
    """Return {group: rules} of what a specification becomes."""
    return {group["name"]: group["rules"] for group in yaml.safe_load(render(read(text)))["groups"]}


def faults(text):
    """Return what is said to be wrong with a specification."""
    with pytest.raises(SpecError) as caught:
        read(text)
    return caught.value.faults


# Sloth's structure --------------------------------------------------------------------------------------------------


def test_groups_and_series_are_sloths():
    """Groups, recorded names and labels are those that Sloth writes for the same file; ours come beside them."""
    content = made(spec())
    assert list(content) == [
        "sloth-slo-sli-recordings-shop-availability",
        "sloth-slo-meta-recordings-shop-availability",
        "sloth-slo-alerts-shop-availability",
    ]
    indicators, facts, alerts = content.values()
    windows = ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"]
    own = [rule["record"] for rule in indicators if not rule["record"].startswith("slo:sli_error:ratio_rate")]
    assert [rule["record"] for rule in indicators if rule["record"] not in own] == [
        f"slo:sli_error:ratio_rate{window}" for window in windows
    ]
    assert own == [
        *(f"slo:sli_error:increase{window}" for window in ("1h", "6h", "1d", "3d")),
        "slo:sli_error:rate5m",
        "slo:sli_total:rate5m",
    ]
    assert [rule["record"] for rule in facts] == [
        "slo:objective:ratio",
        "slo:error_budget:ratio",
        "slo:time_period:days",
        "slo:current_burn_rate:ratio",
        "slo:period_burn_rate:ratio",
        "slo:period_error_budget_remaining:ratio",
        "sloth_slo_info",
    ]
    assert [rule["alert"] for rule in alerts] == ["ShopFails", "ShopFails"]
    assert [rule["labels"]["sloth_severity"] for rule in alerts] == ["page", "ticket"]


def test_labels_are_sloths():
    """Every series has the identity and the labels of the file; an indicator its window; the information its facts."""
    indicators, facts, _ = made(spec()).values()
    identity = {
        "sloth_id": "shop-availability",
        "sloth_service": "shop",
        "sloth_slo": "availability",
        "owner": "us",
        "tier": "2",
    }
    for rule in indicators:
        window = re.search(r"\d+[mhd]$", rule["record"])[0]
        assert rule["labels"] == identity | {"sloth_window": window}
    assert all(rule["labels"] == identity for rule in facts[:-1])
    more = {"sloth_mode": "otelml", "sloth_objective": "99.9", "sloth_spec": "prometheus/v1"}
    assert facts[-1]["labels"] == identity | more
    labels = spec(labels={"tier": "1", "sloth_slo": "other"})
    assert made(labels)["sloth-slo-meta-recordings-shop-availability"][0]["labels"] == identity | {"tier": "1"}


@pytest.mark.parametrize(
    ("at", "pairs"), [(0, ["5m 1h 14.4", "30m 6h 6"]), (1, ["2h 1d 3", "6h 3d 1"])], ids=["page", "ticket"]
)
def test_alerts_have_the_windows_of_the_workbook(at, pairs):
    """Short and long window and factor of each pair, joined by `and`; the pairs by `or`; few errors say nothing."""
    alert = made(spec())["sloth-slo-alerts-shop-availability"][at]
    own = 'sloth_id="shop-availability", sloth_service="shop", sloth_slo="availability"'
    expected = []
    for short, long, factor in map(str.split, pairs):
        terms = [f"slo:sli_error:ratio_rate{window}{{{own}}} > ({factor} * 0.001)" for window in (short, long)]
        terms.append(f"slo:sli_error:increase{long}{{{own}}} >= 5")
        expected.append("( " + " and ".join(f"max({term}) without (sloth_window)" for term in terms) + " )")
    assert " ".join(alert["expr"].split()) == " or ".join(expected)


def test_the_windows_spend_the_budget_that_the_page_says():
    """docs/slo.md has the table of the code; 14.4 times for an hour is 2 % of 30 days, and so on."""
    table = (ROOT / "docs" / "slo.md").read_text("utf-8")
    rows = re.findall(r"^\| (page|ticket) \| (.*?) \| (\d+) (\w+) \| (\d+) (\w+) \| (\d+) %", table, re.MULTILINE)
    written = [(kind, f"{n}{unit}", f"{m}{other[0]}", spent) for kind, _, n, unit, m, other, spent in rows]
    assert written == [
        (kind, burn.long, burn.short, f"{float(burn.factor) * WINDOWS[burn.long] / (PERIOD_DAYS * 864):.0f}")
        for kind, burns in BURNS.items()
        for burn in burns
    ]


def test_what_alerts_carry():
    """Labels and annotations of the file win over ours; without any there are a severity and a text."""
    page, ticket = made(spec())["sloth-slo-alerts-shop-availability"]
    labels = {"category": "availability", "sloth_severity": "page", "severity": "wake", "routing": "us"}
    assert page["labels"] == labels
    assert page["annotations"]["summary"] == "Too many failures"
    assert page["annotations"]["description"] == "Calls succeed."
    assert ticket["labels"] == {"category": "availability", "sloth_severity": "ticket", "severity": "chat"}
    plain, _ = made(spec(alerting={"name": "X"}, description=None))["sloth-slo-alerts-shop-availability"]
    assert plain["labels"] == {"severity": "page", "sloth_severity": "page"}
    assert plain["annotations"]["description"].endswith("misses its objective of 99.9 %.")


def test_expressions():
    """Both queries get each window; no errors is 0, no events nothing; numbers are exact."""
    indicators, facts, _ = made(spec()).values()
    expressions = {rule["record"]: " ".join(rule["expr"].split()) for rule in indicators + facts}
    error, total = 'sum(rate(calls_total{code=~"5.."}[2h]))', "sum(rate(calls_total[2h]))"
    assert expressions["slo:sli_error:ratio_rate2h"] == f"( ({error}) or 0 * ({total}) ) / (({total}) > 0)"
    assert expressions["slo:sli_error:increase1h"] == f"({error.replace('2h', '1h')}) * 3600"
    assert expressions["slo:objective:ratio"] == "vector(0.999)"
    assert expressions["slo:error_budget:ratio"] == "vector(0.001)"
    assert ".window" not in render(read(spec()))


def test_errors_that_are_counted_already():
    """A query by `increase` gives events, not events per second: the minimum does not multiply it again."""
    query = {"error_query": "sum(increase(e[{{.window}}]))", "total_query": "sum(increase(t[{{.window}}]))"}
    indicators, *_ = made(spec(sli={"events": query})).values()
    assert next(r["expr"] for r in indicators if r["record"] == "slo:sli_error:increase1h") == "(sum(increase(e[1h])))"


def test_a_ratio_of_ones_own():
    """A raw indicator has its ratio for every window, their mean for the period, and no minimum of events."""
    indicators, _, alerts = made(spec(sli={"raw": {"error_ratio_query": "my:ratio{{.window}}"}})).values()
    assert [rule["expr"] for rule in indicators[:-1]] == [f"my:ratio{window}" for window in WINDOWS]
    assert indicators[-1]["expr"].startswith("avg_over_time(slo:sli_error:ratio_rate5m{")
    assert "increase" not in "".join(alert["expr"] for alert in alerts)


def test_disabled_alerts_are_left_out():
    """Without a page there is the ticket alone, and the counts it needs; without both no group and no name."""
    off = {"disable": True}
    content = made(spec(alerting={"name": "X", "page_alert": off}))
    assert [rule["labels"]["sloth_severity"] for rule in content["sloth-slo-alerts-shop-availability"]] == ["ticket"]
    assert "slo:sli_error:increase1h" not in str(content)
    content = made(spec(alerting={"page_alert": off, "ticket_alert": off}))
    assert "sloth-slo-alerts-shop-availability" not in content


def test_several_documents():
    """One file may hold several services, as Sloth's may."""
    other = spec().replace("service: shop", "service: stock")
    assert len(made(f"{spec()}---\n{other}")) == 6
    assert faults(f"{spec()}---\n{spec()}") == ("shop-availability: there are two of this name",)


# What is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "page", "ticket"),
    [(99.99, True, True), (93.06, True, True), (93.05, False, True), (66.67, False, True), (66.6, False, False)],
)
def test_an_alert_that_could_never_fire_is_refused(objective, page, ticket):
    """An error ratio is at most 1: an objective that waits for more is refused, with what would do."""
    off = {"disable": True}
    cases = (({"ticket_alert": off}, page, "page"), ({"page_alert": off}, ticket, "ticket"))
    for alerting, fires, kind in cases:
        text = spec(objective=objective, alerting={"name": "X", **alerting})
        if fires:
            assert read(text)
        else:
            (fault,) = faults(text)
            assert f"the {kind} could never fire" in fault
            assert f"alerting.{kind}_alert.disable: true" in fault


@given(st.decimals(min_value="0.001", max_value="99.999", places=3))
def test_every_alert_that_is_made_can_fire(objective):
    """For any objective: refused, or every threshold in it is under 1."""
    text = spec(objective=float(objective))
    if objective < Decimal("93.056"):
        assert all("could never fire" in fault for fault in faults(text))
        return
    (slo,) = read(text)
    text = str(groups(slo))
    limits = re.findall(r"> \(([\d.]+) \* ([\d.]+)\)", text)
    assert len(limits) == 8
    assert all(0 < Decimal(factor) * Decimal(budget) < 1 for factor, budget in limits)


def test_every_fault_is_told_at_once():
    """All of a file's faults come in one message, each with its place."""
    text = """
version: prometheus/v2
service: "-shop"
labels: {1: x}
color: red
slos:
  - name: a b
    objective: 100
    description: [x]
    sli: {events: {error_query: "sum(x[5m])", total_query: 7}, plugin: {id: x}}
    alerting: {labels: {"a-b": x, tier: 2}, page_alert: {disable: "yes"}, ticket_alert: []}
  - name: same
    objective: true
    sli: {events: {error_query: "x[{{.window}}]", total_query: "x[{{.window}}]"}, raw: {}}
  - name: equal
    objective: 99
    sli: {events: {error_query: "x[{{.window}}]", total_query: "x[{{.window}}]"}}
    alerting: {name: X}
  - nothing
"""
    told = "\n".join(faults(text))
    for place in (
        "version must be 'prometheus/v1'",
        "service must be letters",
        "the specification: color: there is no such field",
        "labels must map names to texts",
        "slos[0] a b: name must be letters",
        "slos[0] a b: objective must be a percentage",
        "slos[0] a b: description must be text",
        "slos[0] a b: sli: plugin: plugins of Sloth are not supported",
        "slos[0] a b: sli.events.error_query must be a query with {{.window}}",
        "slos[0] a b: sli.events.total_query must be a query",
        "slos[0] a b: alerting.labels must map names to texts (a number in quotes)",
        "slos[0] a b: alerting.page_alert.disable must be true or false",
        "slos[0] a b: alerting.ticket_alert must be a mapping",
        "slos[0] a b: alerting.name must be letters",
        "slos[1] same: objective must be a percentage",
        "slos[1] same: sli must have events or raw",
        "slos[1] same: alerting must be a mapping",
        "slos[2] equal: error_query and total_query are the same",
        "slos[3] must be a mapping",
    ):
        assert place in told


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the specification is empty"),
        ("[1", "not YAML"),
        ("just text", "the specification must be a mapping"),
        ("version: prometheus/v1\nservice: a\nslos: []", "slos must be a list"),
        (spec(labels={"a-b": "x"}), "labels: 'a-b' is no label name"),
        (spec(objective=float("nan")), "objective must be a percentage"),
        (spec(plugins={"chain": []}), "plugins of Sloth are not supported"),
    ],
)
def test_what_is_no_specification(text, fault):
    """Files that are something else are refused by name."""
    assert any(fault in told for told in faults(text))


# The command --------------------------------------------------------------------------------------------------------


def test_the_demos_rules_are_fresh(capsys):
    """collector/rules/slo.yaml is what the command makes of collector/slo.yaml."""
    assert main(["slo", "generate", str(ROOT / "collector" / "slo.yaml")]) == 0
    assert capsys.readouterr().out == (ROOT / "collector" / "rules" / "slo.yaml").read_text("utf-8")


def test_the_demos_objectives():
    """Availability and latency page; quality, which is low, is a ticket. The model and the service are the demo's."""
    found = {slo.name: slo for slo in read((ROOT / "collector" / "slo.yaml").read_text("utf-8"))}
    assert {name: (float(slo.target), list(slo.alerts)) for name, slo in found.items()} == {
        "availability": (0.999, ["page", "ticket"]),
        "latency": (0.99, ["page", "ticket"]),
        "quality": (0.85, ["ticket"]),
    }
    demo = (ROOT / "otelml" / "demo" / "prediction_service.py").read_text("utf-8")
    for slo in found.values():
        assert {f'otelml.auto_instrument("{job}")' in demo for job in re.findall(r'job="([^"]+)"', slo.error)} == {True}
        assert {f'"{name}"' in demo for name in re.findall(r'ml_model_name="([^"]+)"', slo.total)} == {True}


def test_the_example_in_the_docs():
    """The file in docs/slo.md is taken."""
    page = (ROOT / "docs" / "slo.md").read_text("utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert [slo.identity["sloth_id"] for slo in read(example)] == ["shop-availability"]


def test_the_command_writes_a_file(tmp_path):
    """`-o` writes it and says what comes next; `--minimum-errors` sets the minimum."""
    (tmp_path / "slo.yaml").write_text(spec(), "utf-8")
    command = [
        sys.executable,
        "-m",
        "otelml",
        "slo",
        "generate",
        "slo.yaml",
        "-o",
        "rules.yaml",
        "--minimum-errors",
        "1",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "wrote rules.yaml. Next: promtool check rules rules.yaml\n"
    assert (tmp_path / "rules.yaml").read_text("utf-8") == render(read(spec()), 1)
    assert ">= 1)" in (tmp_path / "rules.yaml").read_text("utf-8")


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    """A fault, a file that is not there, one that can't be written: exit code 2 and one line each, no rules."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(spec(objective=0, sli=None), "utf-8")
    assert main(["slo", "generate", str(bad), "-o", str(tmp_path / "rules.yaml")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.partition(": ")[0] for line in said.err.splitlines()] == [str(bad)] * 3
    assert not (tmp_path / "rules.yaml").exists()
    assert main(["slo", "generate", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err
    (tmp_path / "good.yaml").write_text(spec(), "utf-8")
    assert main(["slo", "generate", str(tmp_path / "good.yaml"), "-o", str(tmp_path)]) == 2
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert main(["slo", "generate", str(tmp_path / "binary.yaml")]) == 2
