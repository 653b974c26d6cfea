"""The rules are right: every name exists, every alert can be acted on, and promtool proves when they fire."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from promql import grouped, selectors
from self_metrics import RESOURCE, SELF_METRICS, TARGET

import otelml
from otelml import semconv
from otelml.cli import prometheus_name
from otelml.prometheus_names import label_name
from otelml.slo.rules import render
from otelml.slo.specification import read

ROOT = Path(otelml.__file__).parents[1]
RULES = ROOT / "collector" / "rules"
FILES = sorted(RULES.glob("*.yaml"))
TESTS = sorted((RULES / "tests").glob("*.yaml"))
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text("utf-8")
SECTIONS = {part.split("\n", 1)[0]: part for part in re.split(r"^## ", RUNBOOKS, flags=re.MULTILINE)[1:]}
QUERIES = re.findall(r"^```promql\n(.*?)^```$", RUNBOOKS, re.MULTILINE | re.DOTALL)
BUCKETS = {row.name: row.buckets for row in semconv.METRICS}


def rules(path):
    """Return the rules of a file."""
    return [rule for group in yaml.safe_load(path.read_text("utf-8"))["groups"] for rule in group["rules"]]


ALL = [rule for path in FILES for rule in rules(path)]
ALERTS = [rule for rule in ALL if "alert" in rule]
ALERT_NAMES = sorted({rule["alert"] for rule in ALERTS})


def series():
    """Return {name in Prometheus: (labels, kind, row)} of every metric that otelml emits."""
    found = {}
    for row in semconv.METRICS:
        name, labels = prometheus_name(row), {label_name(key) for key in row.attributes} | RESOURCE
        if row.kind == "histogram":
            found[f"{name}_bucket"] = labels | {"le"}, "counter", row
            found[f"{name}_count"] = found[f"{name}_sum"] = labels, "counter", row
        else:
            found[name] = labels, row.kind.removeprefix("observable_"), row
    return found


SERIES = series()


def known():
    """Return {name: labels} of ours, of others, and of what the rules record."""
    names = {name: labels for name, (labels, _, _) in SERIES.items()}
    names |= {name: labels | TARGET for name, (labels, _) in SELF_METRICS.items()}
    names["target_info"] |= RESOURCE
    for rule in ALL:  # a recorded series has labels of what it is made from; rules stand after those they use
        if "record" in rule:
            made = set().union(*(names.get(name, set()) for name, _ in selectors(rule["expr"])))
            names[rule["record"]] = names.get(rule["record"], set()) | made | set(rule.get("labels", {}))
    return names


KNOWN = known()


def unknown(expression):
    """Return the metrics, labels and bucket bounds in an expression that nothing emits."""
    found = selectors(expression)
    wrong = {name for name, _ in found if name not in KNOWN}
    for name, matchers in found:
        wrong |= {f"{name}{{{label}}}" for label in matchers.keys() - KNOWN.get(name, set())}
        if "le" in matchers and name in SERIES:
            bounds = {f"{bound:g}" for bound in SERIES[name][2].buckets or ()} | {"+Inf"}
            wrong |= {f'{name}{{le="{matchers["le"]}"}}'} if matchers["le"] not in bounds else set()
    carried = set().union(*(KNOWN.get(name, set()) for name, _ in found))
    if "label_replace(" in expression:
        carried |= set(re.findall(r'"(\w+)", "\$\d"', expression))  # what it makes
    return wrong | {f"by ({label})" for label in grouped(expression) - carried}


# Names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_names_exist(path):
    """Every metric, label and bucket bound is emitted by otelml, or by a part of the stack as `self_metrics` lists."""
    assert {rule.get("record") or rule["alert"]: unknown(rule["expr"]) for rule in rules(path)} == {
        rule.get("record") or rule["alert"]: set() for rule in rules(path)
    }


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("rate(ml_request_total[5m])", {"ml_request_total"}),
        ('ml_requests_total{model="x"}', {"ml_requests_total{model}"}),
        ("sum by (ml_model) (rate(ml_requests_total[5m]))", {"by (ml_model)"}),
        ('ml_prediction_duration_seconds_bucket{le="0.3"}', {'ml_prediction_duration_seconds_bucket{le="0.3"}'}),
        ('a:b{x="{c}"} and on (job) up offset 5m > bool 1', {"a:b", "a:b{x}"}),
        ("histogram_quantile(0.9, sum by (le) (rate(ml_stage_duration_seconds_bucket[5m])))", set()),
    ],
)
def test_wrong_names_are_seen(expression, wrong):
    """The check above can fail: each kind of mistake is found."""
    assert unknown(expression) == wrong


def test_values_of_labels_exist():
    """A value that a rule asks one of our metrics for is written in the code that emits it."""
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "otelml").rglob("*.py"))
    asked = {
        value
        for rule in ALL
        for name, matchers in selectors(rule["expr"])
        for label, values in matchers.items()
        if label not in {"le", "error_type"} and (name in SERIES or name.startswith(("service:", "host:")))
        for value in values.split("|")
    }
    assert {"general", "memory", "used", "queue", "flight-delay"} <= asked
    assert {value for value in asked if f'"{value}"' not in code} == set()


def test_counters_are_rated():
    """A counter is read by `rate` or `increase` only, or beside its own past; quantiles sum rates by `le`."""
    for rule in ALL:
        text = " ".join(rule["expr"].split())
        for name, _ in selectors(text):
            if name in SERIES and SERIES[name][1] == "counter":
                assert re.search(rf"\b(rate|increase)\({name}\b", text), (name, text)
        for quantile in re.findall(r"histogram_quantile\(.*", text):
            assert re.match(r"histogram_quantile\([\d.]+, sum by \(le, [\w, ]+\) \(rate\(\w+_bucket", quantile), text


def test_losses_are_counted_from_the_first():
    """Every `increase10m` counts a series that is new as it stands, and one that is not by its increase."""
    counted = [rule for rule in ALL if rule.get("record", "").endswith(":increase10m")]
    assert len(counted) == 18
    for rule in counted:
        text = " ".join(rule["expr"].split())
        metric = re.match(r"sum by \([\w, ]+\) \( \((\S+) unless ", text)[1]
        body = text.partition(") ( ")[2]
        assert body == f"({metric} unless {metric} offset 10m) or increase({metric}[10m]) )"


# Alerts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_alert_can_be_acted_on(alert):
    """It has a severity, a team, a summary, a description and a runbook whose section is there."""
    assert alert["labels"]["severity"] in {"page", "ticket", "none"}
    assert alert["labels"]["team"] in {"ml", "platform"}
    notes = alert["annotations"]
    assert notes["summary"]
    assert len(notes["description"]) > len(notes["summary"]) / 2
    base, _, anchor = notes["runbook_url"].partition("#")
    assert base == "https://github.com/otelml/otelml/blob/main/docs/runbooks.md"
    assert anchor == alert["alert"].lower()
    assert alert["alert"] in SECTIONS


def test_templates_name_labels_that_the_alert_has():
    """`$labels.x` in a text is a label that the expression can carry."""
    for alert in ALERTS:
        texts = " ".join(alert["annotations"].values())
        used = set(re.findall(r"\$labels\.(\w+)", texts))
        carried = set().union(*(KNOWN[name] for name, _ in selectors(alert["expr"]))) | set(alert["labels"])
        assert used <= carried, alert["alert"]


PARTS = ("**Means.**", "**Look at.**", "**Causes.**", "**Do.**", "**Silence.**")


def test_runbooks_are_of_alerts():
    """Every section is an alert's, in the five parts that a person at night looks for, with a query."""
    assert sorted(SECTIONS) == ALERT_NAMES
    for name, text in SECTIONS.items():
        assert [part for part in PARTS if part not in text] == [], name
        assert "```promql" in text, name


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_queries_of_runbooks_exist(query):
    """What the runbooks ask is emitted, too."""
    assert unknown(query) == set()


# promtool -----------------------------------------------------------------------------------------------------------


def cases(alert):
    """Return the `exp_alerts` of every test case of an alert."""
    tests = [test for path in TESTS for test in yaml.safe_load(path.read_text("utf-8"))["tests"]]
    return [
        case["exp_alerts"] for test in tests for case in test.get("alert_rule_test", ()) if case["alertname"] == alert
    ]


def test_every_rules_file_has_its_tests():
    """rules/x.yaml is tested by rules/tests/x.yaml; what else is there tests one of them as well."""
    assert {path.name for path in FILES} <= {path.name for path in TESTS}
    for path in TESTS:
        content = yaml.safe_load(path.read_text("utf-8"))
        tested = [(path.parent / name).resolve() for name in content["rule_files"]]
        assert len(tested) == 1
        assert tested[0].stem == path.stem.removesuffix("-days")
        groups = [group["name"] for group in yaml.safe_load(tested[0].read_text("utf-8"))["groups"]]
        assert content["group_eval_order"] == groups  # without it promtool evaluates them in any order


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_alert_is_tested_both_ways(name):
    """There is a case where it fires, for each of its severities, and one where it does not."""
    expected = cases(name)
    fired = {alert["exp_labels"]["severity"] for alerts in expected for alert in alerts}
    assert fired == {rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == name}
    assert [] in expected or name == "Watchdog"  # which always fires: its silence is the alarm


def run(*command):
    """Run a command; return its exit code and what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_rules_are_valid(promtool):
    """Promtool parses every expression and template, and its lint finds nothing."""
    code, said = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *map(str, FILES))
    assert code == 0, said
    assert sum(map(int, re.findall(r"SUCCESS: (\d+) rules found", said))) == len(ALL)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_do_what_they_say(path, promtool):
    """Promtool's unit tests pass."""
    code, said = run(promtool, "test", "rules", str(path))
    assert code == 0, said


def test_promtool_sees_a_wrong_expectation(tmp_path, promtool):
    """The test above can fail: one expectation turned round is reported."""
    text = (RULES / "tests" / "services.yaml").read_text("utf-8").replace("../services.yaml", f"{RULES}/services.yaml")
    path = tmp_path / "turned.yaml"
    path.write_text(text.replace("eval_time: 12m30s", "eval_time: 14m"))
    code, said = run(promtool, "test", "rules", str(path))
    assert code == 1
    assert "ServiceStoppedReporting" in said


def test_rules_for_other_objectives_are_valid(tmp_path, promtool):
    """Promtool takes what is made of the example in docs/slo.md, of a ratio of one's own, and of grouped queries."""
    page = (ROOT / "docs" / "slo.md").read_text("utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    events = yaml.safe_load(example)
    query = "sum by (region) (increase(calls_total{bad=~'%s'}[{{.window}}]))\n  # of a region"
    several = {"error_query": query % "yes", "total_query": query % ".*"}
    indicators = {"Raw": {"raw": {"error_ratio_query": "r{{.window}} or b"}}, "Regions": {"events": several}}
    for name, sli in indicators.items():
        events["slos"].append(events["slos"][0] | {"name": name, "sli": sli, "alerting": {"name": name}})
    path = tmp_path / "rules.yaml"
    path.write_text(render(read(yaml.safe_dump(events))), "utf-8")
    code, said = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", str(path))
    assert code == 0, said


def test_queries_of_runbooks_are_valid(tmp_path, promtool):
    """Promtool parses every query in docs/runbooks.md."""
    path = tmp_path / "queries.yaml"
    recorded = [{"record": f"query:{i}", "expr": query} for i, query in enumerate(QUERIES)]
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": recorded}]}))
    code, said = run(promtool, "check", "rules", str(path))
    assert code == 0, said
