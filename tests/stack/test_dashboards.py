"""The dashboards: fresh, tidy by the rules of Grafana's own linter, and asking only for what exists."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import known_series
import promql_parser
import pytest
import yaml
from panel_queries import QUIET, dashboards, filled, panel_queries, panels

from otelml.viewer.receiver import Receiver

ROOT = Path(__file__).parents[2]
PROVISIONING = ROOT / "collector" / "grafana" / "provisioning"
BOARDS = dashboards()
QUERIES = panel_queries()
PROMQL = [query for query in QUERIES if query.store == "prometheus"]
LOGQL = [query for query in QUERIES if query.store == "loki"]
EACH_BOARD = pytest.mark.parametrize("name", sorted(BOARDS))
EACH_PROMQL = pytest.mark.parametrize("query", PROMQL, ids=str)
SOURCES = {"prometheus": "${datasource}", "loki": "${logs}"}
STAGES = {
    "feature_retrieval": "#56b4e9",
    "preprocessing": "#e69f00",
    "inference": "#cc79a7",
    "postprocessing": "#f0e442",
}
SERIES = known_series.emitted() | known_series.OWN | known_series.recorded()
OF_A_SERVICE = set(known_series.emitted())
COUNTERS = known_series.counters()
MADE = {"signal"}
"""Labels that a query makes itself, by label_replace."""
LOGS_FILTER = re.compile(r"[{|,]\s*(\w+)\s*(?:=~|!=|=|<|>)")


def test_the_files_are_fresh():
    """collector/grafana/dashboards is what collector/dashboards makes: `python -m collector.dashboards` writes it."""
    command = [sys.executable, "-m", "collector.dashboards", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_one_for_each_reader():
    """Four readers, four dashboards, each with a uid of its own."""
    uids = {name: board["uid"] for name, board in BOARDS.items()}
    assert uids == {
        "model-quality": "otelml-model",
        "objectives": "otelml-objectives",
        "platform": "otelml-platform",
        "service": "otelml-service",
    }


@EACH_BOARD
def test_dashboards_are_not_edited_in_the_browser(name):
    """What is changed in the browser would be lost: it is not offered."""
    board = BOARDS[name]
    assert board["editable"] is False
    assert board["title"]
    assert board["description"]
    assert board["timezone"] == "browser"


@EACH_BOARD
def test_variables(name):
    """Data source, job and instance are variables; labels are asked for anew when the range changes; All works."""
    by_name = {each["name"]: each for each in BOARDS[name]["templating"]["list"]}
    assert by_name["datasource"]["type"] == "datasource"
    assert {"job", "instance"} <= set(by_name)
    asked = [each for each in by_name.values() if each["type"] == "query"]
    for each in asked:
        assert each["datasource"]["uid"] == "${datasource}"
        assert (each["refresh"], each["multi"], each["includeAll"]) == (2, True, True)
        assert each["allValue"] in {".+", ".*"}
        assert each["label"]
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", each["query"]).groups()
        tree = promql_parser.parse(filled(series, dict.fromkeys(by_name, "x")))
        assert label in SERIES[tree.name]


@EACH_BOARD
def test_every_panel_says_what_it_shows(name):
    """Each panel has a title of its own, a description, a unit and queries of a data source that can be chosen."""
    found = panels(BOARDS[name])
    assert len({panel["title"] for panel in found}) == len(found)
    for panel in found:
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"]["uid"] == SOURCES[panel["datasource"]["type"]]
        assert panel["targets"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {panel["datasource"]["uid"]}
        assert panel["type"] == "logs" or panel["fieldConfig"]["defaults"]["unit"]


@EACH_BOARD
def test_no_number_stands_for_a_data_source_or_a_panel_twice(name):
    """Panels are numbered once each, and lie on the grid without overlapping."""
    board = BOARDS[name]
    ids = [panel["id"] for panel in board["panels"]]
    assert sorted(set(ids)) == sorted(ids)
    cells = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & own
        assert at["x"] + at["w"] <= 24
        cells |= own


@EACH_BOARD
def test_rows_ask_a_question(name):
    """Panels stand in rows, and each row is a question or says what is listed."""
    rows = [panel["title"] for panel in BOARDS[name]["panels"] if panel["type"] == "row"]
    assert BOARDS[name]["panels"][0]["type"] == "row"
    assert len(rows) >= 3
    assert sum(title.endswith("?") for title in rows) >= 1


def test_stages_keep_their_colours():
    """The four stages have the colours of the terminal, in every panel that shows stages."""
    from otelml.demo.screen import STAGE_COLOURS  # noqa: PLC0415 - needs the demo's extra

    assert STAGE_COLOURS == STAGES
    shown = [p for b in BOARDS.values() for p in panels(b) if any("by (ml_stage)" in t["expr"] for t in p["targets"])]
    shown += [
        p for b in BOARDS.values() for p in panels(b) if any("by (le, ml_stage)" in t["expr"] for t in p["targets"])
    ]
    assert len(shown) == 3
    for panel in shown:
        fixed = {
            each["matcher"]["options"]: each["properties"][0]["value"] for each in panel["fieldConfig"]["overrides"]
        }
        assert fixed == {stage: {"fixedColor": colour, "mode": "fixed"} for stage, colour in STAGES.items()}


def nodes(query):
    """Return every node of a query's syntax tree; SyntaxError and the like when it has a fault."""
    found = []
    promql_parser.walk(promql_parser.parse(query), pre_visit=found.append)
    return found


def selectors(query):
    """Return (names of the series, {label: value of its matcher}) of every selector of a query."""
    found = []
    for node in nodes(query):
        if isinstance(node, promql_parser.VectorSelector):
            matchers = {matcher.name: matcher.value for matcher in node.matchers.matchers}
            pattern = matchers.pop("__name__", None)
            names = [node.name] if pattern is None else [each for each in SERIES if re.fullmatch(pattern, each)]
            found.append((names, matchers))
    return found


@EACH_PROMQL
def test_metrics_and_labels_exist(query):
    """Every series is one that otelml emits, a rule records or a listed part of the stack has; its labels too."""
    available = set()
    for names, matchers in selectors(query.query):
        assert names
        assert [name for name in names if name not in SERIES] == []
        available |= set().union(*(SERIES[name] for name in names))
        assert set(matchers) <= set().union(*(SERIES[name] for name in names))
    for node in nodes(query.query):
        modifier = getattr(node, "modifier", None)
        if isinstance(node, promql_parser.AggregateExpr) and modifier is not None:
            assert set(modifier.labels) <= available | MADE
        if isinstance(node, promql_parser.BinaryExpr) and modifier is not None and modifier.matching is not None:
            assert set(modifier.matching.labels) <= available


@EACH_PROMQL
def test_services_are_selected(query):
    """What services emit is asked for by the job and instance that were chosen; the stack's own series by name."""
    for names, matchers in selectors(query.query):
        if OF_A_SERVICE & set(names):
            assert {"job", "instance"} <= set(matchers)


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_ranges_and_counters(name):
    """A range follows the zoom; a counter is always rated before it is summed or shown."""
    for panel in panels(BOARDS[name]):
        for target in panel["targets"]:
            if target["datasource"]["type"] != "prometheus":
                continue
            ranges = set(re.findall(r"\[([^\]]+)\]", target["expr"]))
            assert ranges <= {"$__rate_interval", "$__range"}
            assert "$__range" not in ranges or "increase(" in target["expr"]
    for query in PROMQL:
        if query.dashboard == name:
            plain = bare_counters(query.query)
            assert plain == [], f"{query}: not rated"


def bare_counters(query):
    """Return the names of counters that stand in a query without rate() or increase()."""
    inside = [n.vector_selector for n in nodes(query) if isinstance(n, promql_parser.MatrixSelector)]
    ranged = {(each.name, str(each)) for each in inside}
    found = [n for n in nodes(query) if isinstance(n, promql_parser.VectorSelector)]
    return [n.name for n in found if n.name in COUNTERS and (n.name, str(n)) not in ranged]


@EACH_PROMQL
def test_shares_do_not_divide_by_zero(query):
    """What divides by a rate asks for traffic first: no NaN where nothing happens."""
    for node in nodes(query.query):
        if isinstance(node, promql_parser.BinaryExpr) and str(node.op) == "/":
            below = " ".join(node.rhs.prettify().split())
            assert "> 0" in below or not re.search(r"\b(rate|increase)\(", below)


@pytest.mark.parametrize("query", LOGQL, ids=str)
def test_log_labels_exist(query):
    """A log query selects by a label that Loki keeps and filters by what events carry."""
    named = LOGS_FILTER.findall(query.query)
    assert named
    assert set(named) <= known_series.log_labels()
    assert named[0] in {"service_name", "service_namespace", "deployment_environment_name"}
    assert query.query.count("{") == query.query.count("}") == 1


def test_quantiles_have_exemplars():
    """The on-call reader gets from a slow call to its trace: latency panels ask for exemplars."""
    asked = [t for p in panels(BOARDS["service"]) for t in p["targets"] if t.get("exemplar")]
    assert len(asked) >= 6


def test_panel_queries_take_values():
    """A test can say which service and window to ask for, and no variable is left in any query."""
    given = panel_queries({"job": "shop/flights", "__rate_interval": "7m"})
    assert any('job=~"shop/flights"' in query.query for query in given)
    assert any("[7m]" in query.query for query in given)
    assert not [query for query in given if "$" in query.query]
    with pytest.raises(KeyError):
        filled("up{job=$nobody}", {})


def test_what_stays_quiet_exists():
    """Each entry of the list of panels that stay empty names a panel or a query that there is."""
    known = {(query.dashboard, query.panel) for query in QUERIES}
    known |= {(query.dashboard, query.panel, query.ref) for query in QUERIES}
    assert set(QUIET) <= known
    assert len([query for query in QUERIES if query.needs]) < len(QUERIES) / 6


def test_the_load_has_every_kind(tmp_path):
    """every_kind.py sends what the demo lacks: values, money, failures, streams, folded, a fall-back, odd truths."""
    with Receiver(grpc_port=0) as receiver:
        quick = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "500"}
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
        path = os.pathsep.join([str(ROOT), kept.get("PYTHONPATH", "")])
        program = [sys.executable, ROOT / "tests/stack/every_kind.py", "8"]
        subprocess.run(program, env=kept | quick | {"PYTHONPATH": path}, cwd=tmp_path, check=True, timeout=60)
        total = receiver.store.total
        assert total("ml.prediction.value") == total("ml.prediction.business_value") > 0
        assert total("ml.prediction.time_to_first_item") > 0
        assert total("ml.requests", **{"error.type": "ValueError"}) > 0
        assert total("ml.stage.duration", **{"error.type": "ValueError"}) > 0
        assert total("otelml.dropped", **{"otelml.what": "confidence"}) > 0
        assert total("ml.feature.violations", **{"ml.violation": "wrong_type"}) > 0
        for name in ("ml.outcome.error", "ml.outcomes.ignored", "ml.outcomes.unmatched", "ml.outcomes.missing"):
            assert total(name) > 0
        assert [point.value for point in receiver.store.latest("ml.model.device.fallback")] == [1]


def test_data_sources_have_fixed_uids():
    """Links and dashboards find the data sources by uid; nobody edits them; addresses come from the environment."""
    text = (PROVISIONING / "datasources" / "stack.yaml").read_text(encoding="utf-8")
    sources = {each["uid"]: each for each in yaml.safe_load(text)["datasources"]}
    assert list(sources) == ["prometheus", "jaeger", "loki", "alertmanager"]
    assert all(each["editable"] is False and each["type"] == uid for uid, each in sources.items())
    assert all(re.fullmatch(r"\$\{OTELML_\w+_URL\}", each["url"]) for each in sources.values())
    exemplar = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert [(each["name"], each["datasourceUid"]) for each in exemplar] == [("trace_id", "jaeger")]
    assert sources["jaeger"]["jsonData"]["tracesToLogsV2"]["datasourceUid"] == "loki"
    derived = sources["loki"]["jsonData"]["derivedFields"]
    assert [(each["matcherRegex"], each["datasourceUid"]) for each in derived] == [("trace_id", "jaeger")]
    for query in sources["jaeger"]["jsonData"]["tracesToMetrics"]["queries"]:
        promql = query["query"].replace("$${__tags}", "x").replace("$$__rate_interval", "1m")
        promql = promql.replace("$$__tags", 'service_name="x"')
        assert all(set(matchers) <= SERIES[names[0]] for names, matchers in selectors(promql))


def test_provider_keeps_the_files_in_charge():
    """Dashboards are read from the mounted folder, and the browser changes none."""
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "otelml.yaml").read_text(encoding="utf-8"))["providers"]
    assert (provider["disableDeletion"], provider["allowUiUpdates"]) == (True, False)
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["grafana"]
    assert provider["options"]["path"] in {mount["target"] for mount in compose["volumes"] if isinstance(mount, dict)}


def test_thresholds_rise():
    """Colours by value come in the order of their values."""
    for board in BOARDS.values():
        for panel in panels(board):
            steps = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", [])
            values = [step["value"] for step in steps if step["value"] is not None]
            assert all(low <= high for low, high in pairwise(values))
