"""The whole stack on its real binaries: what services send is in all three stores, and nobody else gets in."""

import json
import os
import socket
import subprocess
import sys
import time

import grpc
import psutil
import pytest
from one_collector import Collector, knows
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from running_stack import eventually, settled
from sent import DELTA, Sender

from otelml.stack import build, native, places, processes, secret_files, verify, web
from otelml.stack.errors import StackError
from otelml.stack.laid_out import notified

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]
COLLECTOR = places.files() / "collector"
PREDICTIONS = 300
SERVICE = f"""
import otelml

running = otelml.auto_instrument("shop")
for number in range({PREDICTIONS}):
    with otelml.prediction("basket", version="3") as p:
        with p.stage("preprocessing"):
            pass
        with p.stage("inference"):
            pass
        p.result(classes="buys" if number % 3 else "leaves", confidence=0.9)
assert running.force_flush(20)
"""


def running(stack):
    """Return the five processes by name."""
    return {name: processes.find(name, stack.state.run) for name in native.names()}


def predict(stack):
    """Run a service whose settings are those that `otelml stack env` prints."""
    exported = f'eval "$({sys.executable} -m otelml stack env --state {stack.state.root})"; exec "$0" -c "$1"'
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    command = ["sh", "-c", exported, sys.executable, SERVICE]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_every_prediction_is_in_all_three_stores(stack):
    """Three hundred predictions of a service: as many counted, as many traces of three spans, as many events."""
    predict(stack)

    def counts():
        traces = stack.traces("shop")
        return (
            stack.number('sum(ml_requests_total{service_name="shop"})'),
            len(traces),
            sum(len(trace["spans"]) for trace in traces),
            stack.lines("shop"),
        )

    assert settled(counts, (PREDICTIONS, PREDICTIONS, 3 * PREDICTIONS, PREDICTIONS)) == (300, 300, 900, 300)
    by_class = 'sum(ml_predictions_total{service_name="shop",ml_prediction_class="buys"})'
    assert stack.number(by_class) == PREDICTIONS * 2 / 3
    assert stack.own("otelcol_exporter_send_failed_metric_points") == 0


def test_exemplars_logs_and_traces_lead_to_each_other(stack):
    """A trace id in Prometheus' exemplars, and one of an event in Loki, is that of a trace in Jaeger."""
    if not stack.traces("shop"):
        predict(stack)
    now = time.time()
    query = {"query": "ml_prediction_duration_seconds_bucket", "start": str(now - 3600), "end": str(now)}
    ask = stack.url("prometheus", "/api/v1/query_exemplars")
    rows = eventually(lambda: (web.json_of(ask, query) or {}).get("data"))
    exemplars = {each["labels"]["trace_id"] for row in rows for each in row["exemplars"]}
    events = web.json_of(
        stack.url("loki", "/loki/api/v1/query_range"),
        {"query": '{service_name="shop"}', "limit": "5000", "since": "1h"},
    )
    lines = {stream["stream"]["trace_id"] for stream in events["data"]["result"]}
    traces = {trace["traceID"] for trace in stack.traces("shop")}
    assert exemplars
    assert exemplars <= traces
    assert lines == traces


def test_loki_has_three_labels(stack):
    """What is unbounded is structured metadata: a label of it would make a stream of every value."""
    sender = stack.sender("labelled")
    sender.deliver("logs", sender.log(10, **{"user.id": "7", "k8s.pod.name": "a"}), 10)
    assert settled(lambda: stack.lines("labelled"), 10) == 10
    labels = set(web.json_of(stack.url("loki", "/loki/api/v1/labels"))["data"])
    assert labels <= {"service_name", "service_namespace", "deployment_environment_name"}


def test_span_metrics_reach_jaegers_monitor(stack):
    """Calls and latency of a service, counted by the collector and asked for through Jaeger."""
    sender = stack.sender("monitored")
    sender.send(100)

    def series(what, **more):
        query = {"service": "monitored", "endTs": str(int(time.time() * 1000)), "lookback": "600000", "step": "5000"}
        query |= {"ratePer": "60000", "spanKind": "server", **more}
        found = web.json_of(stack.url("jaeger", f"/api/metrics/{what}"), query) or {}
        return found.get("metrics")

    assert eventually(lambda: stack.number('sum(traces_span_metrics_calls_total{service_name="monitored"})')) == 100
    assert eventually(lambda: series("calls"))
    assert eventually(lambda: series("latencies", quantile="0.95"))


# Who gets in -----------------------------------------------------------------------------------------------------


def test_every_listener_is_on_loopback(stack):
    """No process of the stack can be reached from another machine."""
    listening = {
        (name, connection.laddr.ip, connection.laddr.port)
        for name, process in running(stack).items()
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert {ip for _, ip, _ in listening} == {"127.0.0.1"}
    assert {port for _, _, port in listening} == set(stack.ports.values())


@pytest.mark.parametrize("token", [None, "wrong"])
def test_without_the_token_nothing_gets_in(stack, token):
    """No token, or another one: 401, and nothing is stored."""
    sender = Sender(stack.url("otlp-http"), "stranger", token)
    for signal, request in (("traces", sender.trace(1)), ("metrics", sender.metric(1)), ("logs", sender.log(1))):
        assert sender.post(signal, request).status_code == 401
    with grpc.insecure_channel(f"127.0.0.1:{stack.ports['otlp-grpc']}") as channel:
        call = channel.unary_unary(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=ExportTraceServiceResponse.FromString,
        )
        metadata = [("authorization", f"Bearer {token}")] if token else []
        with pytest.raises(grpc.RpcError) as refused:
            call(sender.trace(1), metadata=metadata, timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        call(sender.trace(1), metadata=[("authorization", f"Bearer {secret_files.token(stack.state)}")], timeout=10)
    assert stack.lines("stranger") == 0


def test_tokens_change_without_a_restart(stack):
    """A second token is taken once it stands in the file, the first one no longer once it is gone."""
    first = stack.state.token_file.read_text()
    try:
        stack.state.token_file.write_text("second\nthird\n")
        for token in ("second", "third"):
            sender = Sender(stack.url("otlp-http"), "rotated", token)
            assert eventually(lambda sender=sender: sender.post("logs", sender.log(1)).status_code == 200, 20)
        old = Sender(stack.url("otlp-http"), "rotated", first)
        assert eventually(lambda: old.post("logs", old.log(1)).status_code == 401, 20)
    finally:
        stack.state.token_file.write_text(first)
    again = stack.sender("rotated")
    assert eventually(lambda: again.post("logs", again.log(1)).status_code == 200, 20)


def test_what_is_kept_is_for_its_owner_only(stack):
    """Secrets are 0600, and no directory below the state can be entered by anybody else."""
    secrets = {path.name: path.stat().st_mode & 0o777 for path in stack.state.secrets.iterdir()}
    assert secrets == dict.fromkeys(["ingest_token", "redaction_key", "grafana_admin_password"], 0o600)
    assert stack.state.root.stat().st_mode & 0o077 == 0
    assert (stack.state.data / "queue").stat().st_mode & 0o777 == 0o700


# The commands ----------------------------------------------------------------------------------------------------


def test_verify_finds_what_it_sent(stack):
    """One prediction, read back from all three; each link it prints answers."""
    said = stack.run("verify")
    assert [line.split()[:2] for line in said.splitlines() if line.startswith("ok")] == [
        ["ok", "Prometheus"],
        ["ok", "Jaeger"],
        ["ok", "Loki"],
    ]
    links = [line.strip() for line in said.splitlines() if line.strip().startswith("http://")]
    assert [web.get(link).status_code for link in links] == [200, 200, 200]


def test_verify_says_why_it_fails(stack):
    """A wrong token, a collector that is not there and a store that is down are told apart."""
    with pytest.raises(StackError, match="refuses the token"):
        verify.verify(stack.ports, "wrong")
    with pytest.raises(StackError, match="does not answer"):
        verify.verify({**stack.ports, "otlp-http": stack.ports["otlp-http"] + 1}, "any")
    stack.kill("loki")
    try:
        found = verify.verify(stack.ports, secret_files.token(stack.state), seconds=3)
    finally:
        stack.up()
    assert {finding.store: finding.found for finding in found} == {"Prometheus": True, "Jaeger": True, "Loki": False}
    late = web.json_of(found[2].link)
    assert eventually(lambda: web.json_of(found[2].link)["data"]["result"]), late  # the queue delivers it after all


def test_up_again_starts_what_is_down(stack):
    """`up` starts a process that was killed and leaves the others alone; `status` shows both states."""
    before = {name: process.pid for name, process in running(stack).items()}
    stack.kill("alertmanager")
    assert "alertmanager  down" in stack.run("status", expect=1)
    stack.up()
    after = {name: process.pid for name, process in running(stack).items()}
    assert {name for name in after if after[name] != before[name]} == {"alertmanager"}
    assert stack.run("status").count(" ready ") == 5


def test_logs_are_printed_by_name(stack):
    """Each process has its log, prefixed where there are several."""
    assert all(line.startswith(tuple(native.names())) for line in stack.run("logs").splitlines())
    assert "Everything is ready" in stack.run("logs", "otelcol", "--lines", "500")


def test_a_second_stack_beside_it_names_the_ports(stack, tmp_path):
    """Ports that are taken are named, with who has them and how to choose others; nothing is left running."""
    command = ["up", "--port-offset", str(stack.offset), "--state", str(tmp_path / "other")]
    done = subprocess.run(
        [sys.executable, "-m", "otelml", "stack", *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert f"port {stack.ports['prometheus']} (prometheus) is taken by prometheus" in done.stderr
    assert f"--port otlp-grpc={stack.ports['otlp-grpc'] + 1}" in done.stderr
    assert native.running(places.State(tmp_path / "other")) == {}


# What Prometheus and Loki would refuse ---------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [2, 20])
def test_what_waited_for_hours_is_still_taken(stack, hours):
    """After an outage of 2 and of 20 hours: points, lines and spans of then, though newer ones are stored already."""
    sender = stack.sender(f"late-{hours}")
    sender.send(100)
    assert settled(lambda: (stack.points(sender.service), stack.lines(sender.service)), (100, 100)) == (100, 100)
    sender.send(200, age=hours * 3600)

    def counts():
        points, lines = (count(sender.service, window="24h") for count in (stack.points, stack.lines))
        return stack.spans(sender.service), points, lines

    assert settled(counts, (300, 300, 300)) == (300, 300, 300)
    assert stack.own("otelcol_exporter_send_failed_log_records") == 0


def test_a_poisoned_batch_costs_itself_only(stack):
    """Delta points are dropped before Prometheus; one too old costs the request it goes in, counted as lost.

    That request may hold some of the collector's own points, of the same fifth of a second.
    """
    sender = stack.sender("poisoned")
    sender.deliver("metrics", sender.metric(100), 100)
    sender.deliver("metrics", sender.metric(100, name="sent.delta", temporality=DELTA), 100)
    assert settled(lambda: stack.points("poisoned"), 100) == 100
    time.sleep(0.5)  # the queue is flushed after 200 ms: what follows is a request of its own
    sender.deliver("metrics", sender.metric(100, age=30 * 3600), 100)
    lost = eventually(lambda: stack.own("otelcol_exporter_send_failed_metric_points", error_permanent="true"))
    assert 100 <= lost < 400
    sender.deliver("metrics", sender.metric(100), 100)
    assert settled(lambda: stack.points("poisoned"), 200) == 200
    assert stack.points("poisoned", metric="sent_delta_total") == 0


PRIVATE = {
    "mail": "jane.doe@example.org",
    "card": "4111 1111 1111 1111",
    "key": "sk-verysecret-0123",
    "ip": "203.0.113.77",
}


def test_personal_data_is_unreadable_everywhere(stack):
    """Addresses, card numbers and keys, in attributes, bodies, status and labels: in no answer, and on no disk."""
    sender = stack.sender("private")
    attributes = {"user.email": PRIVATE["mail"], "note": f"card {PRIVATE['card']}", "api_key": PRIVATE["key"]}
    spans = sender.trace(10, **attributes, **{"client.address": PRIVATE["ip"]})
    for span in spans.resource_spans[0].scope_spans[0].spans:
        span.status.code, span.status.message = 2, f"no account for {PRIVATE['mail']}, {PRIVATE['card']}"
    sender.deliver("traces", spans, 10)
    body = f"mail {PRIVATE['mail']} card {PRIVATE['card']} from {PRIVATE['ip']}"
    sender.deliver("logs", sender.log(10, body=body, **attributes), 10)
    points = sender.metric(10)
    for point in points.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points:
        point.attributes.add(key="mail").value.string_value = PRIVATE["mail"]
    sender.deliver("metrics", points, 10)
    counts = settled(lambda: (stack.spans("private"), stack.points("private"), stack.lines("private")), (10, 10, 10))
    assert counts == (10, 10, 10)
    logs = web.get(stack.url("loki", "/loki/api/v1/query_range"), {"query": '{service_name="private"}'}).text
    series = web.get(stack.url("prometheus", "/api/v1/series"), {"match[]": '{service_name="private"}'}).text
    texts = {"jaeger": json.dumps(stack.traces("private")), "loki": logs, "prometheus": series}
    for store, text in texts.items():
        assert [name for name, value in PRIVATE.items() if value in text] == [], store
    assert readable_on_disk(stack.state.data) == []


def readable_on_disk(data):
    """Return the files of the stores that hold anything private as it is; what is compressed is not seen."""
    words = [word for value in PRIVATE.values() for word in ("-e", value)]
    done = subprocess.run(["grep", "-rlaF", *words, data], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in {0, 1}, done.stderr  # 1: nothing found
    return done.stdout.splitlines()


# Configurations by the programs that read them -------------------------------------------------------------------


@pytest.mark.parametrize("overlay", [None, *sorted(path.stem for path in COLLECTOR.glob("overlays/*.yaml"))])
def test_the_collector_takes_every_configuration(stack, overlay, tmp_path):
    """`otelcol validate` accepts it."""
    password = tmp_path / "password"
    password.write_text("x")
    paths = [COLLECTOR / "otelcol.yaml", *([COLLECTOR / "overlays" / f"{overlay}.yaml"] if overlay else [])]
    command = [build.binary("otelcol"), "validate", *(word for path in paths for word in ("--config", f"file:{path}"))]
    where = {
        "STACK_TOKEN_FILE": str(stack.state.token_file),
        "STACK_REDACTION_KEY_FILE": str(stack.state.key_file),
        "STACK_QUEUE_DIR": str(tmp_path / "queue"),
        "STACK_REMOTE_PASSWORD_FILE": str(password),
    }
    done = subprocess.run(command, env=where, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


STARTED = sorted({path.stem for path in COLLECTOR.glob("overlays/*.yaml")} - {"kubernetes"})
"""Overlays that a collector starts with anywhere; with that of Kubernetes it asks the cluster at once."""


@pytest.mark.parametrize("overlay", [None, *STARTED])
def test_the_collector_calls_nothing_deprecated(stack, overlay, tmp_path):
    """It says so in its log at the start (see test_real_upgrade.py), not when it validates."""
    password = tmp_path / "password"
    password.write_text("x")
    told = {"STACK_REMOTE_PASSWORD_FILE": str(password), **knows(stack)}
    one = Collector("it", tmp_path, [overlay] if overlay else [], **told)
    try:
        one.up()
        log = (one.root / "it.log").read_text()
    finally:
        one.down()
    assert "Everything is ready" in log
    assert "deprecated" not in log.lower()


def test_the_collector_has_what_its_manifest_lists(stack):
    """`otelcol components` names the modules and versions of builder.yaml, and no others."""
    text = (COLLECTOR / "build" / "otelcol" / "builder.yaml").read_text()
    listed = {
        " ".join(line.split("gomod: ")[1].split("#")[0].split()) for line in text.splitlines() if "gomod: " in line
    }
    done = subprocess.run(
        [build.binary("otelcol"), "components"], capture_output=True, text=True, timeout=60, check=True
    )
    built = {line.split("module: ")[1].strip() for line in done.stdout.splitlines() if "module: " in line}
    assert built - {""} == listed


def test_prometheus_takes_its_configuration(stack, tmp_path):
    """Promtool accepts what is laid out, the example of scraping among it."""
    example = stack.state.config / "scrape.d" / "example.yaml"
    example.write_text((COLLECTOR / "scrape.yaml").read_text())
    try:
        command = [build.binary("promtool"), "check", "config", stack.state.config / "prometheus" / "prometheus.yaml"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        example.unlink()
    assert done.returncode == 0, done.stdout + done.stderr


def test_alertmanager_takes_every_way_to_notify(stack, tmp_path):
    """Amtool accepts the shipped file alone and with each example, and alerts go to the receiver of their severity."""
    notify = tmp_path / "notify"
    notify.mkdir()
    for path in (COLLECTOR / "notify").glob("*.yaml"):
        (notify / path.name).write_text(path.read_text())
    names = ["slack_url", "pagerduty_key", "smtp_password", "webhook_url", "watchdog_url"]
    for name in [*names, "vision_pagerduty_key", "vision_slack_url"]:
        (notify / name).write_text("http://127.0.0.1:1/")
    full = tmp_path / "full.yaml"
    full.write_text(json.dumps(notified(COLLECTOR / "alertmanager.yaml", notify)))
    for path in (COLLECTOR / "alertmanager.yaml", full):
        amtool("check-config", path)
    assert route(full, "severity=page") == "page"
    assert route(full, "severity=ticket") == "ticket"
    assert route(full, "alertname=Watchdog", "severity=none") == "watchdog"
    assert route(full, "severity=page", "team=vision") == "vision-page"
    assert route(full, "severity=ticket", "team=vision") == "vision-ticket"
    assert route(full, "severity=page", "team=other") == "page"


def amtool(*arguments):
    """Run amtool; return what it printed."""
    done = subprocess.run([build.binary("amtool"), *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def route(config, *labels):
    """Return the receiver of an alert."""
    return amtool("config", "routes", "test", f"--config.file={config}", *labels)


# The end: these tests stop the stack -----------------------------------------------------------------------------


def test_down_leaves_nothing_running_and_keeps_what_was_stored(stack):
    """After `down` no process and no listener is left; after `up` the stores have what they had."""
    sender = stack.sender("kept")
    sender.send(100)

    def counts():
        return stack.spans("kept"), stack.points("kept"), stack.lines("kept")

    assert settled(counts, (100, 100, 100)) == (100, 100, 100)
    old = list(running(stack).values())
    assert "stopped" in stack.run("down")
    assert [process for process in old if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    assert [port for port in stack.ports.values() if listens(port)] == []
    assert "not running" in stack.run("status", expect=1)
    stack.up()
    assert settled(counts, (100, 100, 100)) == (100, 100, 100)
    stack.run("down", "--delete")
    assert not stack.state.root.exists()


def listens(port):
    """Say whether anybody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
