"""Every rule and every panel asks for something that is there: against the real stack, under a real load.

The load is the demo, ``every_kind.py`` for what flights never do, both once more with their numbers scraped instead of
sent, and a history of hours and days ago. Prometheus scrapes and evaluates every second instead of every 15;
expressions and windows are those that are shipped.
"""

import math
import re
import time
from collections import Counter
from contextlib import ExitStack

import history
import known_series
import promql_parser
import pytest
import requests
import shortened
import yaml
from load import environment, free_port, start
from panel_queries import panel_queries
from running_stack import eventually

from otelml import semconv
from otelml.demo import data, training
from otelml.demo.landings import Landings
from otelml.demo.replay import Replay
from otelml.demo.services import MODEL_SETTINGS
from otelml.stack import places, web

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
ROOT = places.files()
LOAD_SECONDS, ANSWER_SECONDS = 60, 75
PULLED = "predictions"
"""The job that collector/scrape.yaml gives what it scrapes."""
OF_PULLED = {"job": PULLED, "service_name": "flights"}
DEMO = "flights-predictions"
_GPU, _FAILURE, _PAST = "a GPU", "a failure, and there is none", "a day of history: scraping has none"
BORN_OF_FAILURE = (
    *("otelcol_receiver_refused_", "otelcol_receiver_failed_", "otelcol_exporter_enqueue_failed_"),
    *("otelcol_exporter_send_failed_", "otelcol_processor_memory_limiter_refused_", "loki_discarded_samples"),
    *("collector:receiver_rejected:", "collector:exporter_lost:", "collector:memory_limiter_refused:"),
    *("loki:discarded_lines:", "otelml_errors_", "service:otelml_errors:", "ALERTS"),
    "alertmanager_notifications_failed_",
)
"""Beginnings of series that begin to exist with the first failure, or count failures alone."""
OF_A_GPU = ("hw_", "process_gpu_", "gpu:")
AVAILABILITY = re.compile(r'slo:sli_error:increase\w+\{[^}]*sloth_slo="availability"')
UNSUMMED = "_sum: OpenMetrics forbids it where values may be under 0; over OTLP it is there"
QUIET_SCRAPED = {f"objectives / {title} / A": UNSUMMED for title in ("Value", "Value per prediction", "Value per hour")}
"""Panels that stay empty for services that are scraped."""


def quiet(name):
    """Return what a series needs to exist here, or None."""
    return _FAILURE if name.startswith(BORN_OF_FAILURE) else _GPU if name.startswith(OF_A_GPU) else None


# The load ------------------------------------------------------------------------------------------------------------


NAMED = {"service.version": "1", **history.RESOURCE}
RESOURCE = {"OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={value}" for key, value in NAMED.items())}


def watched(folder):
    """Return the settings of the demo's prediction service: its reference, and a database of its own."""
    return {
        **MODEL_SETTINGS,
        "OTELML_DRIFT_REFERENCE": f"flight-delay={training.reference_path()}",
        "OTELML_OUTCOMES_DATABASE": str(folder / "outcomes.db"),
        "OTELML_OUTCOMES_SPOOL": str(folder / "spool"),
    }


def past(stack, folder):
    """Give both stores of the past what they need: yesterday's counts, and what rules recorded last week."""
    history.send(stack.sender(DEMO), "flight-delay", ("late", "on time"), [semconv.CONFIDENCE_HISTOGRAM])
    history.send(stack.sender("every-kind"), "price", histograms=[semconv.VALUE_HISTOGRAM])
    models = [("flight-delay", training.MODEL_VERSION), ("price", "1"), ("price", "2")]
    services = [
        {**labels, "ml_model_name": model, "ml_model_version": version}
        for model, version in models
        for labels in (of_service(DEMO if model == "flight-delay" else "every-kind"), OF_PULLED)
    ]
    history.last_week(stack, services, folder)


def of_service(name):
    """Return the labels of what a service sends."""
    return {"job": name, "service_name": name, "deployment_environment_name": "test"}


def scraped_services(stack, cleanup, folder):
    """Start the demo's prediction service and every_kind.py with /metrics; return where Prometheus finds them."""
    features, predictions, metrics = free_port(), free_port(), free_port()
    serve = ("-m", "otelml.demo.serve")
    start(cleanup, *serve, "feature_service", features, **environment(stack, **RESOURCE, OTEL_METRICS_EXPORTER="none"))
    pulled = environment(
        stack, **RESOURCE, OTEL_METRICS_EXPORTER="prometheus", OTEL_EXPORTER_PROMETHEUS_PORT=str(metrics)
    )
    pulled |= {"FEATURES_URL": f"http://127.0.0.1:{features}", "OTEL_SERVICE_NAME": DEMO, **watched(folder)}
    start(cleanup, *serve, "prediction_service", predictions, **pulled)
    for port in (features, predictions):
        assert eventually(lambda port=port: answers(f"http://127.0.0.1:{port}/health/readyz"), 60)
    flights = data.flights_from(data.store_path(), data.REPLAY_FROM)
    replay = Replay(f"http://127.0.0.1:{predictions}/predict", flights, rate=10, seconds=LOAD_SECONDS)
    landings = Landings(f"http://127.0.0.1:{predictions}/internal/outcomes", lambda: replay.clock)
    replay.predicted = landings.predicted
    for each in (landings, replay):
        cleanup.callback(each.stop)
        each.start()
    more = free_port()
    pulled = environment(stack, **RESOURCE, OTEL_METRICS_EXPORTER="prometheus", OTEL_EXPORTER_PROMETHEUS_PORT=str(more))
    start(cleanup, ROOT / "tests/stack/every_kind.py", LOAD_SECONDS, **pulled)
    return [f"127.0.0.1:{metrics}", f"127.0.0.1:{more}"]


def answers(url):
    """Say whether a service is up."""
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def load(stack, tmp_path_factory):
    """The stack under load: the demo that sends, and what matches the instances that are scraped."""
    training.ensure_model(data.ensure_store())
    training.ensure_reference(data.store_path())
    folder = tmp_path_factory.mktemp("load")
    past(stack, folder)
    with ExitStack() as cleanup:
        demo = start(cleanup, "-m", "otelml", "demo", "--seconds", LOAD_SECONDS, **environment(stack, **RESOURCE))
        start(cleanup, ROOT / "tests/stack/every_kind.py", LOAD_SECONDS, **environment(stack, **RESOURCE))
        addresses = scraped_services(stack, cleanup, folder)
        example = yaml.safe_load((ROOT / "collector/scrape.yaml").read_text())
        job = {**example["scrape_configs"][0], "scrape_interval": "1s", "scrape_timeout": "1s"}
        job["static_configs"][0]["targets"] = addresses
        target = stack.state.config / "scrape.d" / "predictions.yaml"
        target.write_text(yaml.safe_dump({"scrape_configs": [job]}))
        shortened.hurry(stack, 15, shortened.BEATS)
        yield demo, "|".join(addresses)


# Questions -----------------------------------------------------------------------------------------------------------


def rules():
    """Return every rule that is shipped."""
    files = sorted((ROOT / "collector/rules").glob("*.yaml"))
    return [rule for path in files for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def operands(node):
    """Return what a condition is about: each side of `and`, `or` and `unless`, each without its comparison."""
    if isinstance(node, promql_parser.ParenExpr | promql_parser.AggregateExpr) and conditions(node.expr):
        return operands(node.expr)
    if isinstance(node, promql_parser.BinaryExpr) and str(node.op) in {"and", "or", "unless"}:
        return operands(node.lhs) + operands(node.rhs)
    if isinstance(node, promql_parser.BinaryExpr) and str(node.op) in {">", "<", ">=", "<=", "==", "!="}:
        return operands(node.lhs)
    return [node.prettify()]


def conditions(node):
    """Say whether a comparison, `and`, `or` or `unless` is below a node."""
    found = []
    promql_parser.walk(node, pre_visit=found.append)
    words = {"and", "or", "unless", ">", "<", ">=", "<=", "==", "!="}
    return any(isinstance(each, promql_parser.BinaryExpr) and str(each.op) in words for each in found)


def questions():
    """Return {what asks: expression}: recordings as they are, alerts without their comparisons."""
    asked = {}
    for rule in rules():
        told_apart = ("sloth_slo", "outcome", "reason", "signal", "severity")
        labels = [rule["labels"][name] for name in told_apart if name in rule.get("labels", {})]
        if "record" in rule:
            asked[" ".join([rule["record"], *labels])] = rule["expr"]
        elif "absent(" not in rule["expr"]:
            parts = operands(promql_parser.parse(rule["expr"]))
            asked |= {
                " ".join([rule["alert"], *labels, *([str(n)] if len(parts) > 1 else [])]): p
                for n, p in enumerate(parts)
            }
    return asked


def series_of(query):
    """Return the names of the series in an expression."""
    found = []
    promql_parser.walk(promql_parser.parse(query), pre_visit=found.append)
    return [each.name for each in found if isinstance(each, promql_parser.VectorSelector) and each.name]


def needs(query):
    """Return what an expression needs where this load gives it none: one of its series is such, and none is another."""
    reasons = [quiet(name) for name in series_of(query)]
    return reasons[0] if reasons and all(reasons) else None


RULES = questions()
PANELS = {str(each): each for each in panel_queries()}
OF_SERVICES = ("model", "feature", "service:", "host:")
ON_A_SERVICE = {
    what: query
    for what, query in RULES.items()
    if any(
        name in known_series.emitted() or name.startswith(("model", "feature", "service:", "host:"))
        for name in series_of(query)
    )
}
"""Rules about services: they have to work for one that is scraped, too."""


PAST = re.compile(r"\[1d\] offset 1h|increase1d_before|share1d_before|model:ml_prediction\w*:(?:psi|ks)1h")
NEEDS_A_PAST = {what for what, query in ON_A_SERVICE.items() if PAST.search(query)}


def prometheus(stack, query):
    """Return the rows of an answer that are numbers."""
    said = web.json_of(stack.url("prometheus", "/api/v1/query"), {"query": query})
    assert said is not None, query
    return [row for row in said["data"]["result"] if not math.isnan(float(row["value"][1]))]


def loki(stack, query):
    """Return the streams of an answer."""
    said = web.json_of(stack.url("loki", "/loki/api/v1/query_range"), {"query": query, "since": "1h"})
    assert said is not None, query
    return said["data"]["result"]


def answered(stack, asked, seconds):
    """Ask until everything has an answer, or the time is over; return {what: its last answer}."""
    found = dict.fromkeys(asked, ())
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not all(found.values()):
        for what in (what for what, rows in found.items() if not rows):
            found[what] = asked[what]()
        time.sleep(1)
    return found


def by_scraping(stack, query):
    """Return what a rule finds of the service that is scraped; its objectives would name its job."""
    found = prometheus(stack, query.replace(f'job="{DEMO}"', f'job="{PULLED}"'))
    return [row for row in found if row["metric"].get("job", PULLED) == PULLED]


@pytest.fixture(scope="module")
def found(stack, load):
    """Everything asked while the load runs: {what: rows}; waits for what has to have an answer."""
    stores = {"prometheus": prometheus, "loki": loki}
    scraped = panel_queries({"job": PULLED, "instance": load[1]})

    def of_panels(panels):
        return {str(each): lambda e=each: stores[e.store](stack, e.query) for each in panels}

    asked = {what: lambda q=query: prometheus(stack, q) for what, query in RULES.items()} | of_panels(PANELS.values())
    asked |= {f"{what}, scraped": ask for what, ask in of_panels(scraped).items()}
    asked |= {f"{what}, scraped": lambda q=query: by_scraping(stack, q) for what, query in ON_A_SERVICE.items()}
    loud = {what: ask for what, ask in asked.items() if silence(what) is None}
    return answered(stack, loud, ANSWER_SECONDS) | answered(stack, {w: a for w, a in asked.items() if w not in loud}, 1)


def silence(what):
    """Return what a question needs to have an answer where this load gives it none, or None."""
    name = what.removesuffix(", scraped")
    if what != name and name in NEEDS_A_PAST:
        return _PAST
    if name in PANELS:
        return PANELS[name].needs or (QUIET_SCRAPED.get(name) if what != name else None)
    of_failures = re.match(r"(slo:sli_error:increase.* availability|TelemetryDropped)", name)
    return _FAILURE if of_failures or AVAILABILITY.match(RULES[name]) else needs(RULES[name])


def checked(rows, reason):
    """Check an answer: rows, or where a failure is missing none that is not 0."""
    if reason is None:
        assert rows
    elif reason == _FAILURE:
        assert [row for row in rows if float(row["value"][1])] == []


@pytest.mark.parametrize("what", RULES)
def test_every_rule_has_something_to_go_by(found, what):
    """A recording has a value, an alert's expression has one to compare: no name or label of it is wrong."""
    checked(found[what], silence(what))


@pytest.mark.parametrize("what", PANELS)
def test_every_panel_shows_something(found, what):
    """A panel's query has an answer, opened with its variables at All."""
    if silence(what) is None:
        assert found[what]


@pytest.mark.parametrize("what", ON_A_SERVICE)
def test_rules_work_for_what_is_scraped(found, what):
    """The same rules, for services that collector/scrape.yaml makes Prometheus ask."""
    checked(found[f"{what}, scraped"], silence(f"{what}, scraped"))


@pytest.mark.parametrize("what", PANELS)
def test_panels_work_for_what_is_scraped(found, what):
    """The same panels with these instances chosen."""
    if silence(f"{what}, scraped") is None:
        assert found[f"{what}, scraped"]


def test_a_fleet_says_what_the_database_says(stack, load, found):
    """Accuracy, precision and recall of the counters become those of the databases, but for first values.

    Compared at rest: under load the recorded figures are a few seconds older than those of the databases.
    """
    assert found
    assert load[0].wait(120) == 0
    assert eventually(lambda: not differences(stack), 60), differences(stack)


def differences(stack):
    """Return {(figure, class, if any): (the counters', least and most of the databases)} of those that differ."""
    apart = {}
    mine = f'{{job="{DEMO}",ml_model_name="flight-delay"}}'
    for figure, label in (("accuracy", None), ("precision", "ml_outcome_predicted"), ("recall", "ml_outcome_actual")):
        level, by = ("model", "") if label is None else ("model_class", " by (ml_prediction_class)")
        counted = values(stack, f"max{by} ({level}:ml_outcomes:{figure}1d{mine})")
        least, most = (values(stack, f"{end}{by} (ml_quality_{figure}_ratio{mine})") for end in ("min", "max"))
        assert set(counted) == set(least) == set(most) != set()
        unseen = first_values(stack, label)
        for name, value in counted.items():
            off = 0.05 + unseen[name]
            if off > 0.5 or not least[name] - off <= value <= most[name] + off:
                apart[figure, name] = (value, least[name], most[name])
    return apart


def first_values(stack, label):
    """Return {class, if any: by how much a share may be off}, as ``increase`` leaves out what a series began with."""
    query = f'ml_outcomes_total{{job="{DEMO}",ml_model_name="flight-delay",ml_outcome_correct!=""}}[1d]'
    first, all_of_it = Counter(), Counter()
    for row in web.json_of(stack.url("prometheus", "/api/v1/query"), {"query": query})["data"]["result"]:
        name = row["metric"].get(label)
        first[name] += float(row["values"][0][1])
        all_of_it[name] += float(row["values"][-1][1])
    return {name: first[name] / (total - first[name] or math.nan) for name, total in all_of_it.items()}


def values(stack, query):
    """Return {class, if any: value} of a query."""
    return {row["metric"].get("ml_prediction_class"): float(row["value"][1]) for row in prometheus(stack, query)}


def labels_of(query):
    """Return (name, the labels that it is selected by) of the series in an expression."""
    found = []
    promql_parser.walk(promql_parser.parse(query), pre_visit=found.append)
    picked = [each for each in found if isinstance(each, promql_parser.VectorSelector) and each.name]
    return [(each.name, {matcher.name for matcher in each.matchers.matchers}) for each in picked]


def test_every_series_exists(stack, found):
    """Every name in a rule or a panel is that of a series Prometheus has, with every label that it is selected by."""
    queries = [*RULES.values(), *(each.query for each in PANELS.values() if each.store == "prometheus")]
    used = {}
    for name, labels in (pair for query in queries for pair in labels_of(query)):
        used.setdefault(name, set()).update(labels)
    missing = {}
    for name, labels in used.items():
        asked = {"match[]": name, "limit": "1000"}
        series = web.json_of(stack.url("prometheus", "/api/v1/series"), asked)["data"]
        there = set().union(*series)
        if not labels <= there and quiet(name) is None:
            missing[name] = labels - there or "no such series"
    assert missing == {}
