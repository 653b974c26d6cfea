"""The detail: what a real process says of itself while its exports work and while they fail; never a secret."""

import json
import os
import subprocess
import sys

import pytest
from opentelemetry.metrics import Observation
from sklearn.dummy import DummyClassifier

import otelml
from otelml import _guard, semconv
from otelml.health import Health
from otelml.health.details import _gpus, _without_path

CANARY = "c4n4ry"

PROCESS = """
import json, sys, time
from sklearn.dummy import DummyClassifier
import otelml
from otelml import health
active = otelml.auto_instrument(config={"host": True})
model = otelml.watch(DummyClassifier(), "/srv/c4n4ry/flight-delay.onnx", "https://u:c4n4ry@models/v3?key=c4n4ry")
def fails():
    raise ConnectionError("postgresql://user:c4n4ry@db")
health.check("db", fails, critical=False)
health.check("cache", lambda: True)
with otelml.prediction("m") as p:
    p.result(confidence=7.0)
    otelml.event("seen", secret="c4n4ry")
worked = active.force_flush(30)
print(json.dumps({"worked": worked, **health.status().to_dict()}))
"""


def status_of(endpoint, **settings):
    """Return the status of a process of its own whose every place holds the canary."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "OTELML_"))}
    environment |= {
        "OTEL_SERVICE_NAME": "flights",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {CANARY}",
        "OTEL_RESOURCE_ATTRIBUTES": f"team.token={CANARY}",
        "DATABASE_PASSWORD": CANARY,
        **settings,
    }
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, CANARY],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout
    return json.loads(done.stdout)


def test_a_process_whose_exports_work(otlp, tmp_path):
    """Uptime, versions, models, machine, queues, drops, and for each signal when it last arrived and where it goes."""
    database = tmp_path / CANARY
    database.mkdir()
    seen = status_of(
        otlp.endpoint.replace("http://", f"http://user:{CANARY}@"),
        OTELML_OUTCOMES_DATABASE=str(database / "outcomes.db"),
    )
    assert seen["worked"]
    assert (seen["status"], seen["service"]) == ("warn", "flights")
    assert 0 < seen["uptime"] < 60
    assert {"python", "opentelemetry", "otelml", "scikit-learn"} == set(seen["versions"])
    (model,) = seen["models"]
    assert (model["name"], model["version"], model["framework"]) == ("flight-delay.onnx", "v3", "scikit-learn")
    assert model["loaded_at"].endswith("+00:00")
    assert seen["process"]["memory"] > 10_000_000
    assert seen["process"]["threads"] > 2
    assert seen["system"]["memory_limit"] > seen["process"]["memory"]
    assert 0 < seen["system"]["memory_utilization"] <= 1
    assert seen["recorder"] == {"waiting": 0, "capacity": 16_384}
    assert seen["dropped"] == {"confidence": {"out_of_range": 1}}
    assert seen["errors"] == {}
    assert [each["signal"] for each in seen["exporters"]] == ["traces", "metrics", "logs"]
    for each in seen["exporters"]:
        assert each["endpoint"] == otlp.endpoint
        assert 0 <= each["seconds_since_success"] < 60
        assert (each["failures"], each["consecutive_failures"], each["last_error"]) == (0, 0, None)
        assert each["waiting"] <= each["capacity"]


def test_a_process_whose_exports_fail():
    """Nobody is at the endpoint: each signal says so by the kind of its failure, and never arrived."""
    address = f"http://user:{CANARY}@localhost:9/{CANARY}/v1/{{}}?token={CANARY}#{CANARY}"
    each = {f"OTEL_EXPORTER_OTLP_{s.upper()}_ENDPOINT": address.format(s) for s in ("traces", "metrics", "logs")}
    seen = status_of("http://localhost:9", OTEL_EXPORTER_OTLP_TIMEOUT="4", **each)
    assert not seen["worked"]
    for each in seen["exporters"]:
        assert each["endpoint"] == "http://localhost:9"
        assert each["seconds_since_success"] is None
        assert each["consecutive_failures"] == each["failures"] >= 1
        assert each["last_error"] == "ConnectionError", each
    assert seen["dropped"]["span"]["export"] == 1


def test_without_a_runtime_there_is_little_to_tell(health):
    """Before ``auto_instrument()`` the status has what the process knows of itself."""
    health.check("db", lambda: True)
    seen = health.status().to_dict()
    assert seen["status"] == "pass"
    assert seen["uptime"] > 0
    assert (seen["models"], seen["exporters"], seen["recorder"]) == ([], [], {})


def test_faults_of_ours_are_told_by_their_place(health, telemetry, monkeypatch):
    """Where a fault was, and how often; not what it said."""
    monkeypatch.setattr(_guard, "strict", False)
    with _guard.guard("recorder.metrics"):
        raise ValueError(CANARY)
    assert health.status().to_dict()["errors"] == {"recorder.metrics": 1}


def test_what_waits_and_what_was_dropped(health, telemetry):
    """The depth of the recorder's buffer now, and drops by what and where."""
    for _ in range(3):
        with otelml.prediction("m"):
            pass
    telemetry.drops.add("span", "queue", 5)
    telemetry.drops.add("span", "export", 2)
    seen = health.status()
    assert seen.recorder["waiting"] == 3
    assert seen.dropped == {"span": {"export": 2, "queue": 5}}


def test_a_model_that_is_gone_is_not_told(health, telemetry):
    """The status shows what is loaded now."""
    model = otelml.watch(DummyClassifier(), "delay", "3", device="cuda:1")
    (known,) = health.status().models
    assert (known["name"], known["version"], known["device_requested"]) == ("delay", "3", "cuda")
    del model
    assert health.status().models == []


def test_a_probe_that_hangs_does_not_hang_the_status(telemetry, gate):
    """A driver that does not answer costs half a second once; the rest of the status is there."""

    class Hung:
        def values(self):
            """Wait."""
            gate.wait()

        def last(self):
            """Return what an earlier poll found."""
            return {}

        def stop(self):
            """Do nothing."""

    telemetry.runtime.probes.append(Hung())
    health = Health()
    assert [health.status().to_dict()["status"] for _ in range(3)] == ["pass"] * 3


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("flight-delay", "flight-delay"),
        ("org/model", "org/model"),
        ("3.1.0", "3.1.0"),
        ("/srv/models/delay.onnx", "delay.onnx"),
        ("./delay.onnx", "delay.onnx"),
        ("~/delay.onnx", "delay.onnx"),
        (r"C:\models\delay.onnx", "delay.onnx"),
        (r"\\server\share\delay.onnx", "delay.onnx"),
        ("s3://bucket/delay.onnx?key=c4n4ry", "delay.onnx"),
        ("https://user:c4n4ry@host/delay/", "delay"),
        ("user:c4n4ry@host", "host"),
    ],
)
def test_names_that_are_paths_or_addresses(name, shown):
    """Of a path or an address only the last part is shown; other names stay."""
    assert _without_path(name) == shown


def test_gpus_are_told_by_device(telemetry):
    """Values of one GPU stand together, by its id; sums over parts are of that GPU alone."""

    def point(row, value, **more):
        return row.name, [Observation(value, {semconv.HW_ID: "GPU-1", semconv.HW_NAME: "GPU 0", **more})]

    values = dict(
        [
            point(semconv.GPU_UTILIZATION, 0.5, **{semconv.HW_GPU_TASK: "general"}),
            point(semconv.GPU_MEMORY_USAGE, 2e9),
        ]
    )
    values[semconv.GPU_UTILIZATION.name] += point(semconv.GPU_UTILIZATION, 0.9, **{semconv.HW_GPU_TASK: "encoder"})[1]
    assert _gpus(values) == [{"id": "GPU-1", "name": "GPU 0", "utilization": 0.5, "memory": 2e9}]
