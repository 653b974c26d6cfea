"""`otelml view` over a running stack: every page's figures are those that the same load gives in its own store."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from running_stack import eventually
from tee import tee

import otelml
from otelml.stack import secret_files
from otelml.viewer.access import Access
from otelml.viewer.api.parameters import NotFoundError
from otelml.viewer.api.promised import promises
from otelml.viewer.api.routes import answer
from otelml.viewer.page import PageServer
from otelml.viewer.receiver import Receiver
from otelml.viewer.remote import Stack
from otelml.viewer.remote_http import RemoteError

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
PROGRAM = Path(__file__).parents[1] / "viewer" / "api" / "served_models.py"
CALLS = (("1", 40), ("1", 30), ("2", 50))
"""Version and calls of each process; of each ten, the fourth fails."""
TOKEN = "a-token-of-the-tests"  # noqa: S105 - of a server on loopback that lives as long as the tests
MILLISECONDS = 0.02
"""Prometheus tells times in milliseconds: rates of processes that live for a second differ by so much."""


def serve(endpoint, folder, version, count):
    """Run the service to its end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OTELML_"))}
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "300"}
    command = [sys.executable, str(PROGRAM), version, str(count), str(folder)]
    done = subprocess.run(command, env=kept | settings, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def both(stack, tmp_path_factory):
    """One load in the stack and in an embedded store; ``get(name, **parameters)`` asks both about the same time."""
    token = {"Authorization": f"Bearer {secret_files.token(stack.state)}"}
    with Receiver() as receiver:
        with tee((receiver.http_endpoint, {}), (stack.url("otlp-http"), token)) as endpoint:
            for version, count in CALLS:
                serve(endpoint, tmp_path_factory.mktemp("service"), version, count)
        store = receiver.store
        remote = Stack(
            {"Prometheus": stack.url("prometheus"), "Jaeger": stack.url("jaeger"), "Loki": stack.url("loki")}
        )
        ((last,),) = store.query("SELECT max(time_ns) FROM points")
        now = last + 1_000_000

        def get(name, /, **given):
            given = {"from": str(-900 * 10**9), "to": str(now)} | given if name not in TIMELESS else given
            asked = {key.rstrip("_"): str(value) for key, value in given.items()}
            return answer(store, name, asked, now), remote.answer(name, asked, now)

        counts = store.received

        def arrived():
            spans, lines = stack.spans("delays"), stack.lines("delays")
            return spans == counts["traces"] and lines == counts["logs"] and same_models(get)

        assert eventually(arrived), (stack.spans("delays"), stack.lines("delays"), counts)
        yield SimpleNamespace(store=store, remote=remote, get=get, stack=stack, now=now)
    store.close()


TIMELESS = {"metrics", "trace", "compare-traces"}


def same_models(get):
    """Return whether Prometheus has all of the last points."""
    ours, theirs = get("models")
    return [row["rows"] for row in ours["models"]] == [row["rows"] for row in theirs["models"]]


def agree(ours, theirs, *, leave=()):
    """Compare two answers: the same keys and texts, numbers alike as far as milliseconds tell times apart."""
    assert type(ours) is type(theirs) or {type(ours), type(theirs)} == {int, float}
    if isinstance(ours, dict):
        assert ours.keys() - set(leave) == theirs.keys() - {"notes", *leave}
        for key in ours.keys() - set(leave):
            agree(ours[key], theirs[key], leave=leave)
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            agree(one, other, leave=leave)
    elif isinstance(ours, (int, float)):
        assert theirs == pytest.approx(ours, rel=MILLISECONDS)
    else:
        assert ours == theirs


QUANTILES = ("p50_s", "p95_s", "p99_s", "confidence_mean", "delay_p50_s")
"""Within a bucket these are drawn by the smallest and largest value, which Prometheus does not keep."""


def test_models(both):
    """Requests, rows, errors and rates of each version; quantiles lie in the same bucket."""
    ours, theirs = both.get("models")
    agree(ours, theirs, leave=QUANTILES)
    assert [(row["requests"], row["errors"]) for row in theirs["models"]] == [(70, 7), (50, 5)]
    for row, other in zip(ours["models"], theirs["models"], strict=True):
        for name in QUANTILES[:3]:
            assert alike(row[name], other[name])


BOUNDS = [0, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0]


def alike(one, other):
    """Return whether two durations, if known, lie in the same bucket."""
    places = {None if value is None else sum(value > bound for bound in BOUNDS) for value in (one, other)}
    return len(places) == 1


def test_one_model(both):
    """Traffic, stages, classes, drift, quality, errors with their traces, and the slowest calls."""
    ours, theirs = both.get("model", model="delay", version="1")
    agree(ours, theirs, leave=(*QUANTILES, "edges", "counts", "answer"))
    assert len(theirs["slowest"]) == 20
    assert theirs["errors"][0]["trace_id"]
    assert theirs["drift"][0]["psi"] == ours["drift"][0]["psi"]
    assert any("event names" in note for note in theirs["notes"])


def test_versions_compared(both):
    """The two versions' figures, and the test of their shares of errors."""
    ours, theirs = both.get("compare", model="delay")
    assert [row["what"] for row in ours["rows"]] == [row["what"] for row in theirs["rows"]]
    for name in ("requests", "errors", "error_share", "accuracy", "outcomes"):
        assert theirs["a"].get(name) == ours["a"].get(name)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"q": "ml.model.version=2 duration>3ms"},
        {"q": "error.type=ValueError duration<400ms"},
        {"q": "outcome"},
        {"errors": "1"},
        {"name": "predict delay", "min_s": "0.003"},
        {"service": "nobody"},
    ],
    ids=str,
)
def test_traces_are_found(both, given):
    """Searches that Jaeger answers, and those that what it found is looked through for."""
    agree(*both.get("traces", **given))


def test_more_traces_than_are_looked_at(both):
    """Of very many that have an attribute the latest are shown, and the page says that there may be more."""
    ours, theirs = both.get("traces", q="model=delay")
    assert [row["trace_id"] for row in theirs["traces"]] == [row["trace_id"] for row in ours["traces"]]
    assert ours["total"] > theirs["total"] == 100
    assert not theirs["total_exact"]
    assert theirs["notes"] == [
        "the latest 100 traces of delays were looked at; there may be more: narrow the range or the search"
    ]


def test_pages_of_traces(both):
    """The next page goes on where the first one ends."""
    _, first = both.get("traces", limit=30)
    _, second = both.get("traces", limit=30, cursor=first["next"])
    ours, _ = both.get("traces", limit=60)
    assert [row["trace_id"] for row in first["traces"] + second["traces"]] == [r["trace_id"] for r in ours["traces"]]


def test_one_trace(both):
    """A trace of an outcome that links to its prediction: spans, attributes, times, links and logs."""
    ((linking,),) = both.store.query("SELECT trace_id FROM spans WHERE links <> '[]' LIMIT 1")
    ((failed,),) = both.store.query("SELECT trace_id FROM spans WHERE status = 'error' LIMIT 1")
    for trace_id in (linking, failed):
        ours, theirs = both.get("trace", id=trace_id)
        agree(ours, theirs, leave=("resource", "logs", "linked_from"))
        assert [row["body"] for row in theirs["logs"]] == [row["body"] for row in ours["logs"]]
    agree(*both.get("compare-traces", a=linking, b=failed))
    with pytest.raises(NotFoundError, match="there is no trace"):
        both.remote.answer("trace", {"id": "0" * 31 + "1"})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"limit": "10"},
        {"q": "severity>=warn"},
        {"q": "will fail"},
        {"q": "error.type=ValueError"},
        {"q": "ml.prediction.confidence<0.5", "limit": "10"},
        {"severity": "error"},
        {"q": '"call 3 "'},
    ],
    ids=str,
)
def test_logs_are_found(both, given):
    """Lines with their attributes and severities, how many there are, and when; also more than one answer holds."""
    ours, theirs = both.get("logs", **given)
    agree(ours, theirs, leave=("id", "next", "event_name", "resource", "t"))


def test_a_log_search_for_events_says_why_it_is_empty(both):
    """Loki keeps no event names."""
    _, theirs = both.get("logs", event="ml.outcome")
    assert theirs["total"] == 0
    assert any("no event names" in note for note in theirs["notes"])


def test_metrics_are_listed(both):
    """Every metric that services sent, by OpenTelemetry's names where they are known."""
    ours, theirs = both.get("metrics")
    rows = {row["name"]: row for row in theirs["metrics"]}
    for row in ours["metrics"]:
        if row["name"].startswith("ml."):
            there = rows[row["name"]]
            assert (there["unit"], there["kind"], there["monotonic"]) == (row["unit"], row["kind"], row["monotonic"])
    assert rows["target_info"]["kind"] == "gauge"


@pytest.mark.parametrize(
    "given",
    [
        {"name": "ml.requests", "by": "ml.model.version"},
        {"name": "ml.predictions", "by": "*", "where": "ml.model.version=1"},
        {"name": "ml.prediction.duration", "stat": "p95"},
        {"name": "ml.prediction.duration", "stat": "mean", "by": "service"},
        {"name": "ml.quality.accuracy", "by": "ml.model.version"},
        {"name": "ml.requests.active"},
    ],
    ids=str,
)
def test_one_metric(both, given):
    """Rates, quantiles, means and levels over time, with exemplars that lead to traces."""
    ours, theirs = both.get("metric", **given)
    if "p95" not in given.values():
        agree(ours, theirs, leave=("exemplars",))
        return
    agree(ours, theirs, leave=("values",))
    for one, other in zip(ours["series"], theirs["series"], strict=True):
        assert [alike(*each) for each in zip(one["values"], other["values"], strict=True)] == [True] * len(ours["t"])


def test_a_metric_by_prometheus_name(both):
    """What otelml does not name is called as Prometheus calls it."""
    theirs = both.remote.answer("metric", {"name": "traces_span_metrics_calls_total"})
    assert theirs["stats"] == ["rate"]
    assert [line["label"] for line in theirs["series"]] == [""]


def test_objectives(both):
    """The same budgets and burn rates; the alerts are those of Prometheus, pending ones too."""
    ours, theirs = both.get("slos")
    agree(ours["objectives"], theirs["objectives"])
    for alert in theirs["alerts"]:
        assert alert["state"] in ("pending", "firing")
        assert alert["runbook"].startswith("https://")
        assert alert["name"] != "Watchdog"


def test_objectives_of_a_file(both):
    """A user's own objectives, by PromQL: the same figures from Prometheus and from the store."""
    text = (Path(otelml.__file__).parents[1] / "collector" / "slo.yaml").read_text("utf-8")
    promised = promises(text.replace("flights-predictions", "delays").replace("flight-delay", "delay"))
    urls = {name: each.url for name, each in both.remote.backends.items()}
    asked = {"from": str(-900 * 10**9), "to": str(both.now)}
    ours = answer(both.store, "slos", asked, both.now, promised)
    theirs = Stack(urls, promised=promised).answer("slos", asked, both.now)
    agree(ours["objectives"], theirs["objectives"])
    assert [row["total"] for row in theirs["objectives"] if row["kind"] == "availability"] == [120]


def test_health(both):
    """What the collector took in, once Prometheus has scraped it."""

    def received():
        found = both.remote.answer("health", {})
        return found if set(found["received"]) == {"traces", "metrics", "logs"} else None

    found = eventually(received)
    assert found["mistakes"] == []
    assert any("temporality" in note for note in found["notes"])


def test_completion(both):
    """Keys and values that the search boxes offer."""
    keys = both.remote.answer("attributes", {"prefix": "ml.model"})["keys"]
    assert [key["key"] for key in keys] == ["ml.model.name", "ml.model.version"]
    values = both.remote.answer("values", {"key": "ml.model.version", "signal": "logs"})["values"]
    assert {value["value"] for value in values} <= {"1", "2"}
    names = both.remote.answer("attributes", {"signal": "metrics"})["keys"]
    assert "ml.prediction.class" in {key["key"] for key in names}


@pytest.mark.parametrize("name", ["sql", "export", "check"])
def test_what_only_a_store_answers_is_refused(both, name):
    """SQL and the like are not faked."""
    with pytest.raises(RemoteError, match="reads from a running stack"):
        both.remote.answer(name, {"query": "SELECT 1", "expression": "traces>=1"})


# The page ---------------------------------------------------------------------------------------------------------

PAGES = {
    "/": "70",
    "/model/delay/1": "ValueError",
    "/compare/delay": "error",
    "/traces": "predict delay",
    "/logs": "will fail",
    "/metrics": "ml.prediction.duration",
    "/metric/ml.requests": "ml.requests",
    "/slos": "delay availability",
    "/health": "traces",
}


def test_every_page_opens(both):
    """Chromium shows each page of a running stack, with its figures and without an error."""
    chromium = shutil.which("chromium")
    if chromium is None and os.environ.get("CI") != "true":
        pytest.skip("Chromium is missing: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is missing: pip install playwright")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    trace_id = both.store.query("SELECT trace_id FROM spans WHERE status = 'error' LIMIT 1")[0][0]
    with (
        contextlib.closing(PageServer(both.remote, Access(token=TOKEN), ("127.0.0.1", 0))) as page,
        api.sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        tab = browser.new_page()
        faults = []
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        tab.goto(page.link())
        for path, text in {**PAGES, f"/trace/{trace_id}": "predict delay"}.items():
            tab.goto(page.url.rstrip("/") + path)
            tab.wait_for_function(
                "text => document.querySelector('main').innerText.includes(text)", arg=text, timeout=60_000
            )
        assert "prometheus at" in tab.inner_text("footer")
        browser.close()
    assert faults == []


def test_a_page_without_its_backend_names_the_option(both):
    """Only Prometheus is given: traces and logs say which option has them."""
    alone = Stack({"Prometheus": both.stack.url("prometheus")})
    with contextlib.closing(PageServer(alone, Access(token=TOKEN), ("127.0.0.1", 0))) as page:
        for name, option in (("traces", "--jaeger"), ("logs", "--loki")):
            status, found = ask(page, f"/api/{name}")
            assert status == 503
            assert option in found["error"]["message"]
            assert found["error"]["fix"].startswith(f"otelml view {option} http://")
        status, found = ask(page, "/api/model?model=delay&from=-900000000000")
        assert status == 200
        assert any("--jaeger" in note for note in found["notes"])


def ask(page, path):
    """Ask the page's server as a program does; return the status and the JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        said = connection.getresponse()
        return said.status, json.loads(said.read())


# The end: this test kills a part of the stack ----------------------------------------------------------------------


def test_a_backend_that_dies_is_named(both):
    """Loki is gone: logs say so at once and what to do, the other pages go on."""
    both.stack.kill("loki")
    begun = time.monotonic()
    with pytest.raises(RemoteError, match=r"Loki at http://127\.0\.0\.1:\d+ can't be reached: .*refused") as raised:
        both.remote.answer("logs", {})
    assert time.monotonic() - begun < 5
    assert "--loki" in raised.value.fix
    assert both.get("models")[1]["models"]
