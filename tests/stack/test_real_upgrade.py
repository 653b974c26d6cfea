"""Upgrade and rollback: what one configuration stored, another opens; names that were given out go on to be read."""

import re

import pytest
import yaml
from running_stack import settled

from otelml.stack import places, secret_files

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]
COLLECTOR = places.files() / "collector"
STORES = ("prometheus", "loki", "jaeger")
NEWER = {
    "processors": {
        "memory_limiter": {"check_interval": "500ms"},
        "transform/newer": {"log_statements": ['set(log.attributes["newer"], true)']},
    },
    "exporters": {
        name: {"sending_queue": {"queue_size": 3_000_000, "batch": {"min_size": 200, "max_size": 400}}}
        for name in ("otlp_http/prometheus", "otlp_grpc/jaeger", "otlp_http/loki")
    },
    "service": {
        "pipelines": {
            "logs": {"processors": ["memory_limiter", "resource_detection", "redaction/pii", "transform/newer"]}
        }
    },
}
"""What changes from one version to the next: sizes of queues and batches, one more processor."""
GIVEN_OUT = {
    "STACK_OTLP_GRPC STACK_OTLP_HTTP STACK_HEALTH STACK_OTELCOL_HOST STACK_OTELCOL_PORT STACK_QUEUE_DIR "
    "STACK_TOKEN_FILE STACK_REDACTION_KEY_FILE STACK_MEMORY_MIB STACK_MEMORY_SPIKE_MIB STACK_SPAN_METRICS_INTERVAL "
    "STACK_PROMETHEUS_URL STACK_JAEGER_OTLP STACK_LOKI_URL": "otelcol.yaml",
    "STACK_JAEGER_HTTP STACK_JAEGER_GRPC STACK_JAEGER_HEALTH STACK_JAEGER_HOST STACK_JAEGER_PORT STACK_JAEGER_DIR "
    "STACK_JAEGER_SYNC STACK_JAEGER_OTLP STACK_PROMETHEUS_URL": "jaeger.yaml",
    "STACK_LOKI_HOST STACK_LOKI_PORT STACK_LOKI_GRPC_PORT STACK_LOKI_DIR": "loki.yaml",
    "STACK_KAFKA": "overlays/kafka-agent.yaml",
    "STACK_KAFKA STACK_KAFKA_GROUP STACK_KAFKA_MEMBER STACK_KAFKA_SESSION": "overlays/kafka-gateway.yaml",
    "STACK_REMOTE_METRICS STACK_REMOTE_LOGS STACK_REMOTE_TRACES STACK_REMOTE_USER STACK_REMOTE_PASSWORD_FILE "
    "STACK_TENANT": "overlays/remote.yaml",
    "STACK_DECISION_WAIT STACK_SLOW_MS STACK_LOW_CONFIDENCE STACK_SHARE_PERCENT": "overlays/tail-sampling.yaml",
    "STACK_NODE": "overlays/kubernetes.yaml",
    "STACK_GATEWAY STACK_AGENT_QUEUE STACK_TOKEN_FILE": "overlays/agent.yaml",
}
"""Variables that people may have set, and the file that reads them. New ones are added here, none is taken away."""
OVERLAYS = {"agent", "gateway", "kafka-agent", "kafka-gateway", "kubernetes", "remote", "tail-sampling"}


def test_an_upgrade_and_a_rollback(fresh_stack, tmp_path):
    """Stored and still queued under one configuration, all is there under a newer one, and again under the old."""
    stack = fresh_stack()
    sender = stack.sender("kept")
    sender.send(300)
    before = (300, 300, 300)

    def counts():
        return stack.spans("kept"), stack.points("kept"), stack.lines("kept")

    assert settled(counts, before) == before
    token = secret_files.token(stack.state)
    newer = tmp_path / "newer.yaml"
    newer.write_text(yaml.safe_dump(NEWER))
    for overlays, stored in ((["--overlay", str(newer)], 600), ([], 900)):
        stack.kill(*STORES)
        sender.send(300)  # waits in the queue of the configuration that goes
        stack.run("down")
        stack.overlays = overlays
        stack.up()
        assert settled(counts, (stored,) * 3) == (stored,) * 3
        assert secret_files.token(stack.state) == token
    assert stack.own("otelcol_exporter_send_failed_metric_points") == 0


def test_names_of_components_that_were_renamed(fresh_stack, tmp_path):
    """An overlay with the collector's older names runs, and the log says what they are called now."""
    older = tmp_path / "older.yaml"
    exporters = {"otlphttp/mine": {"endpoint": "http://127.0.0.1:1"}}
    pipelines = {"logs": {"exporters": ["otlp_http/loki", "otlphttp/mine"]}}
    older.write_text(yaml.safe_dump({"exporters": exporters, "service": {"pipelines": pipelines}}))
    stack = fresh_stack(older)
    said = [line for line in (stack.state.logs / "otelcol.log").read_text().splitlines() if "deprecated" in line]
    assert len(said) == 1
    assert "otlphttp" in said[0]
    assert "otlp_http" in said[0]


def test_names_that_were_given_out_are_read():
    """Every variable and overlay that somebody may have written down is still there."""
    for names, file in GIVEN_OUT.items():
        read = set(re.findall(r"\bSTACK_\w+", (COLLECTOR / file).read_text("utf-8")))
        assert set(names.split()) - read == set(), file
    there = {path.stem for path in COLLECTOR.glob("overlays/*.yaml")}
    assert there >= OVERLAYS
    undocumented = {
        name
        for path in [*COLLECTOR.glob("*.yaml"), *COLLECTOR.glob("overlays/*.yaml")]
        for name in re.findall(r"\$\{(?:env:)?(STACK_\w+)", path.read_text("utf-8"))
    } - {name for names in GIVEN_OUT for name in names.split()}
    assert undocumented == set()
