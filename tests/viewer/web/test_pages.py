"""Each page shows what SQL and the API say of the demo's real flights, and every number leads on."""

import csv
import io
import re

import pytest

from otelml import semconv

pytestmark = pytest.mark.timeout(300)  # the first of them waits for the demo, and an interrupted browser is lost to all

MODEL, VERSION = "flight-delay", "2013-03"
STAGES = ("feature retrieval", "preprocessing", "inference", "postprocessing")


def number(text):
    """Return the first number in a text."""
    return float(re.search(r"-?[\d,]*\.?\d+", text).group().replace(",", ""))


def counted(store, name, *, model=MODEL, by=None):
    """Return the last points of a counter of a model, summed; by the value of an attribute where one is given."""
    totals = {}
    for point in store.latest(name):
        if point.attributes.get(semconv.MODEL_NAME) == model:
            key = point.attributes.get(by)
            totals[key] = totals.get(key, 0) + point.value
    return totals if by else totals[None]


def test_models(read, viewer):
    """A row for every model and version that SQL knows, with its requests, and a way to its page."""
    reader = read()
    reader.open("/")
    rows = {tuple(row[0].split()[:2]): row for row in reader.rows()}
    known = viewer.store.query("SELECT DISTINCT model, version FROM series WHERE name = ?", [semconv.REQUESTS.name])
    assert len(rows) == len(known) == 2
    assert number(rows[MODEL, VERSION][1]) == counted(viewer.store, semconv.REQUESTS.name)
    reader.page.get_by_role("link", name=f"{MODEL} {VERSION}").click()
    reader.page.wait_for_url(f"**/model/{MODEL}/{VERSION}*")
    assert reader.text("h1") == f"{MODEL} {VERSION}"


def test_model(read, viewer):
    """Stages, classes and the slowest are those of SQL; every part that the demo records is there."""
    reader = read()
    reader.open(f"/model/{MODEL}/{VERSION}")
    titles = set(reader.page.locator("main h2").all_inner_texts())
    assert titles >= {
        "Traffic",
        "Latency",
        "Stages",
        "Slowest",
        "Class mix",
        "Confidence by class",
        "Drift",
        "Missing values",
    }
    stages = {row[0]: row for row in reader.rows("table:has(caption:text-is('Stages of a prediction')) tbody tr")}
    said = reader.api(f"/api/model?model={MODEL}&version={VERSION}")
    assert tuple(stages) == STAGES
    for each in said["stages"]:
        shown = stages[each["stage"].replace("_", " ")]
        assert number(shown[1]) == pytest.approx(each["share"] * 100, rel=0.06)
        assert number(shown[4]) == each["count"]
    classes = {row[0]: number(row[3]) for row in reader.rows("section:has(h2:text-is('Class mix')) tbody tr")}
    assert classes == counted(viewer.store, semconv.PREDICTIONS.name, by=semconv.PREDICTION_CLASS)
    ((slowest,),) = viewer.store.query(
        "SELECT arg_max(trace_id, duration_ns) FROM spans WHERE name = ?", [f"predict {MODEL}"]
    )
    first = reader.page.locator("section:has(h2:text-is('Slowest')) li a").first
    assert first.inner_text() == slowest[:8]
    first.click()
    reader.page.wait_for_url(f"**/trace/{slowest}*")


def test_traces(read, viewer):
    """The list and the scatter hold as many traces as SQL counts; errors only and slow only narrow it."""
    reader = read()
    reader.open("/traces")
    ((total,),) = viewer.store.query("SELECT count(DISTINCT trace_id) FROM spans WHERE parent_id = ''")
    assert number(reader.text(".answer")) == number(reader.text(".pages").split("of")[1]) == total
    reader.page.get_by_role("button", name="Errors only").click()
    reader.page.wait_for_url("**errors=1*")
    ((failed,),) = viewer.store.query("SELECT count(DISTINCT trace_id) FROM spans WHERE status = 'error'")
    reader.counts("main tbody tr", failed)
    reader.page.get_by_role("button", name="Errors only").click()
    reader.page.wait_for_url(re.compile(r"/traces(?!.*errors)"))
    reader.counts("main tbody tr", min(total, 100))
    reader.page.get_by_role("button", name="Slow only").click()
    reader.page.wait_for_url("**min_s=*")
    least = float(re.search(r"min_s=([\d.]+)", reader.page.url).group(1))
    ((slow,),) = viewer.store.query(
        "SELECT count(DISTINCT trace_id) FROM spans WHERE parent_id = '' AND duration_ns >= ?", [round(least * 1e9)]
    )
    reader.counts("main tbody tr", slow)


def test_search_is_completed(read, viewer):
    """Keys and values that were received complete what is typed; the search is in the address, and holds in SQL."""
    reader = read()
    reader.open("/traces")
    box = reader.page.get_by_role("combobox", name="Search traces")
    box.fill("ml.model.na")
    reader.page.get_by_role("option", name="ml.model.name").wait_for()
    box.press("ArrowDown")
    box.press("Enter")
    reader.page.get_by_role("option", name=MODEL).wait_for()
    box.press("ArrowDown")
    box.press("Enter")
    reader.page.wait_for_url("**q=ml.model.name*")
    ((total,),) = viewer.store.query("SELECT count(DISTINCT trace_id) FROM spans WHERE model = ?", [MODEL])
    reader.page.locator(".answer", has_text=re.compile(f"^{total:,} trace")).wait_for()


def test_trace(read, viewer):
    """A row for every span, in the order of the tree; a span's attributes; its logs in place, and the way back."""
    reader = read()
    ((trace,),) = viewer.store.query(
        "SELECT any_value(trace_id) FROM spans WHERE name = ? AND status <> 'error'", [f"predict {MODEL}"]
    )
    reader.open(f"/trace/{trace}")
    spans = viewer.store.query("SELECT DISTINCT span_id, name FROM spans WHERE trace_id = ?", [trace])
    shown = [
        re.sub(r"^■ failed: |, [^,]*$", "", each)
        for each in reader.page.locator(".span-row [data-row]").all_text_contents()
    ]
    assert sorted(shown) == sorted(name for _, name in spans)
    assert shown[0] == "POST /predict"
    ((logs,),) = viewer.store.query("SELECT count(*) FROM logs WHERE trace_id = ?", [trace])
    assert reader.page.locator(".log-row").count() == logs >= 1
    assert reader.page.locator(".critical").count() >= 4
    reader.page.get_by_role("button", name=re.compile("^inference")).click()
    assert "ml.model.name" in reader.text("aside dl")
    assert "span=" in reader.page.url
    reader.page.get_by_role("button", name=MODEL, exact=True).click()
    reader.page.wait_for_url("**/traces?q=ml.model.name*")


def test_logs(read, viewer):
    """As many lines as SQL counts; a severity narrows them; a line leads to its trace."""
    reader = read()
    reader.open("/logs")
    ((total,),) = viewer.store.query("SELECT count(*) FROM logs")
    assert number(reader.text(".answer")) == total
    reader.page.get_by_label("Severity", exact=True).select_option("error")
    ((errors,),) = viewer.store.query("SELECT count(*) FROM logs WHERE severity >= 17")
    reader.counts(".log", errors)
    reader.open("/logs?q=event%3Dml.prediction")
    line = reader.page.locator(".log").first
    line.locator("button").click()
    assert semconv.MODEL_NAME in reader.text(".log-detail")
    line.locator("a").click()
    reader.page.wait_for_url("**/trace/*span=*")


def test_metrics(read, viewer):
    """Every metric of SQL with its series; a histogram with its heatmap, its quantiles and exemplars to traces."""
    reader = read()
    reader.open("/metrics")
    shown = {row[0].split()[0]: int(number(row[3])) for row in reader.rows()}
    known = dict(viewer.store.query("SELECT name, count(*) FROM series GROUP BY name"))
    assert shown == known
    reader.page.get_by_role("link", name=semconv.PREDICTION_DURATION.name, exact=True).click()
    reader.page.get_by_role("heading", name="Distribution").wait_for()
    said = reader.api(f"/api/metric?name={semconv.PREDICTION_DURATION.name}&stat=heatmap")
    reader.page.locator("figure:has(h2:text-is('Distribution')) summary").click()
    reader.page.get_by_role("button", name="As a table").click()
    cells = reader.rows("figure:has(h2:text-is('Distribution')) tbody tr")
    assert sum(number(cell) for row in cells for cell in row[1:]) == pytest.approx(
        sum(map(sum, said["heatmap"]["counts"])), rel=1e-6
    )
    assert len(said["exemplars"]) > 0
    reader.page.locator("section[aria-label=Exemplars] a").first.click()
    reader.page.wait_for_url("**/trace/*")


def test_slos_and_health(read, viewer):
    """Objectives with what is left of their budget, as the API says; what was received, as the store counted."""
    reader = read()
    reader.open("/slos")
    said = {each["name"]: each for each in reader.api("/api/slos")["objectives"]}
    rows = reader.rows("section[aria-label=Objectives] tbody tr")
    assert len(rows) == len(said) > 0
    reader.open("/health")
    received = {row[0]: number(row[1]) for row in reader.rows("section:has(h2:text-is('Received')) tbody tr")}
    assert received == {signal: viewer.store.received[signal] for signal in ("traces", "metrics", "logs")}
    mistakes = reader.api("/api/health")["mistakes"]
    assert len(reader.rows("section:has(h2:text-is('Mistakes')) tbody tr")) == len(mistakes)


def test_comparisons(read, viewer):
    """Two traces side by side, each path once; a version against itself has no difference."""
    reader = read()
    (a,), (b,) = viewer.store.query("SELECT DISTINCT trace_id FROM spans WHERE name = ? LIMIT 2", [f"predict {MODEL}"])
    reader.open(f"/compare-traces?a={a}&b={b}")
    assert len(reader.rows()) == len(reader.api(f"/api/compare-traces?a={a}&b={b}")["rows"]) >= 8
    reader.open(f"/compare/{MODEL}?a={VERSION}&b={VERSION}")
    assert "No difference" in reader.text(".answer")


def test_export(read):
    """A chart goes out as a picture and as the numbers it is drawn from; the page's table as the API's CSV."""
    reader = read()
    reader.open(f"/model/{MODEL}/{VERSION}")

    def saved(of, kind):
        reader.page.locator(f"{of} summary").first.click()
        with reader.page.expect_download() as download:
            reader.page.locator(f"{of} .menu[open]").get_by_text(kind, exact=True).click()
        return download.value.path().read_bytes()

    chart = "figure:has(h2:text-is('Latency'))"
    assert saved(chart, "PNG").startswith(b"\x89PNG\r\n")
    rows = list(csv.reader(io.StringIO(saved(chart, "CSV").decode())))
    asked = reader.page.locator(".head .menu a[download$=json]").get_attribute("href")
    said = reader.api(asked)["latency"]
    assert rows[0] == ["time", "p50", "p95", "p99"]
    assert [float(row[2]) for row in rows[1:] if row[2]] == [value for value in said["p95_s"] if value is not None]
    table = list(csv.DictReader(io.StringIO(saved(".head", "CSV").decode())))
    assert {"t", "p95_s"} <= set(table[0])


def test_live(read, viewer):
    """What arrives is shown without a reload; a paused page stands still, and its address says so."""
    import requests  # noqa: PLC0415 - of the demo's packages, which `viewer` has asked for

    def say(body):
        record = {
            "timeUnixNano": str(viewer.store.query("SELECT max(time_ns) + 1000 FROM logs")[0][0]),
            "body": {"stringValue": body},
        }
        sent = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
        assert requests.post(f"{viewer.receiver.http_endpoint}/v1/logs", json=sent, timeout=10).ok

    reader = read()
    reader.open("/logs")
    say("the first new line")
    reader.page.get_by_text("the first new line").wait_for()
    reader.page.get_by_role("button", name="Pause the tail").click()
    say("the second new line")
    reader.page.get_by_role("button", name="Paused: 1 new").wait_for()
    assert reader.page.get_by_text("the second new line").count() == 0
    reader.page.get_by_role("button", name="Paused: 1 new").click()
    reader.page.get_by_text("the second new line").wait_for()
    reader.page.get_by_role("button", name="Live").click()
    assert re.search(r"from=\d{19}&to=\d{19}", reader.page.url)


def test_nothing_received(read, nothing):
    """Every page of an empty viewer shows the three lines that send some, with its own endpoint."""
    reader = read(nothing)
    for path in ("/", "/traces", "/logs", "/metrics", "/slos", "/health"):
        reader.open(path)
        lines = reader.page.locator("pre").inner_text().strip().splitlines()
        assert len(lines) == 3
        assert lines[1].endswith(nothing.receiver.http_endpoint)
