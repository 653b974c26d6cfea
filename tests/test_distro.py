"""Zero code: `otelml run -- CMD` and plain `opentelemetry-instrument CMD` start otelml, in children too."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelml.distro import COVERED_MODULES, Distro
from otelml.integrations.anthropic import OtelmlAnthropicInstrumentor
from otelml.integrations.google_genai import OtelmlGoogleGenAIInstrumentor
from otelml.integrations.openai import OtelmlOpenAIInstrumentor

APP = """
import subprocess, sys
import otelml
with otelml.prediction(sys.argv[1]) as prediction:
    prediction.result(classes="late", confidence=0.9)
if len(sys.argv) > 2:
    subprocess.run([sys.executable, __file__, *sys.argv[2:]], check=True)
"""


@pytest.fixture
def receiver():
    """Receive spans over HTTP; give the address and the list of (service, span name)."""
    spans = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    service = {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"]
                    spans.extend((service, span.name) for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    server.server_close()


def run(*command, **environ):
    """Run a command without the caller's settings."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OTELML_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), clean.get("PATH", "")])
    return subprocess.run(
        command, env=clean | {"PATH": path} | environ, capture_output=True, text=True, timeout=90, check=False
    )


def test_entry_points():
    """The distro and the configurator are found under our name."""
    for group in ("opentelemetry_distro", "opentelemetry_configurator"):
        (found,) = entry_points(group=group, name="otelml")
        assert callable(found.load())


def test_of_language_models_upstreams_instrumentations_are_ours_and_other_vendors_their_own():
    """Those that our integrations switch on are not loaded a second time; what has the same name elsewhere is."""
    ours = (OtelmlAnthropicInstrumentor, OtelmlGoogleGenAIInstrumentor, OtelmlOpenAIInstrumentor)
    ways = [way for each in ours for way in each.upstream]
    assert {module for module, _ in ways} == set(COVERED_MODULES)
    for module, kind in ways:
        Distro().load_instrumentor(EntryPoint("openai", f"{module}:{kind}", "opentelemetry_instrumentor"))
    with pytest.raises(ModuleNotFoundError, match="vendor"):
        Distro().load_instrumentor(EntryPoint("openai", "vendor.openai:Instrumentor", "opentelemetry_instrumentor"))


@pytest.mark.parametrize(
    "launcher", [(sys.executable, "-m", "otelml", "run", "--"), ("opentelemetry-instrument",)], ids=["run", "upstream"]
)
def test_a_program_and_its_children_are_instrumented(receiver, tmp_path, launcher):
    """Predictions of an unchanged program, and of a child that it starts, arrive; nothing is said on stderr."""
    address, spans = receiver
    app = tmp_path / "app.py"
    app.write_text(APP)
    done = run(
        *launcher,
        sys.executable,
        str(app),
        "parent",
        "child",
        OTEL_EXPORTER_OTLP_ENDPOINT=address,
        OTEL_SERVICE_NAME="flights",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(spans) == [("flights", "predict child"), ("flights", "predict parent")], done.stderr
    assert done.stderr == ""


def test_run_passes_on_arguments_exit_code_and_service_name(receiver):
    """The program sees its own arguments, its exit code is ours, and options before ``--`` are settings."""
    address, spans = receiver
    script = "import sys, otelml\nwith otelml.prediction('m'): pass\nprint(sys.argv[1:]); sys.exit(7)"
    done = run(
        *(sys.executable, "-m", "otelml", "run", "--service-name", "named", "--"),
        *(sys.executable, "-c", script, "--flag", "a b", "--"),
        OTEL_EXPORTER_OTLP_ENDPOINT=address,
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout.strip() == "['--flag', 'a b', '--']"
    assert spans == [("named", "predict m")]


@pytest.mark.parametrize("command", [("otelml", "run", "--"), ("opentelemetry-instrument",)])
def test_an_integration_that_is_disabled_stays_off(receiver, tmp_path, command):
    """OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=sklearn holds under both ways to start without code."""
    script = tmp_path / "app.py"
    script.write_text(
        "from sklearn.dummy import DummyClassifier\nimport otelml\n"
        "DummyClassifier().fit([[0]], [1]).predict([[0]])\nwith otelml.prediction('by-hand'):\n    pass\n"
    )
    endpoint, spans = receiver
    done = run(
        *command,
        *(sys.executable, str(script)),
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="sklearn",
        OTEL_PYTHON_DISTRO="otelml",
        OTEL_PYTHON_CONFIGURATOR="otelml",
    )
    assert done.returncode == 0, done.stderr
    assert [name for _, name in spans] == ["predict by-hand"]


def test_bad_settings_under_upstreams_launcher_are_loud(tmp_path):
    """opentelemetry-instrument runs the program whatever happens: that it runs bare, and why, stands on stderr."""
    script = "import otelml, sys\nwith otelml.prediction('m'): pass\nprint('ran', 'sklearn' in sys.modules)"
    done = run("opentelemetry-instrument", sys.executable, "-c", script, OTELML_CAPTUER="x", OTEL_TRACES_EXPORTER="zip")
    assert (done.returncode, done.stdout) == (0, "ran False\n")
    first, *rest = done.stderr.splitlines()
    assert first.startswith("otelml: PROCESS ")
    assert first.endswith(" RUNS WITHOUT TELEMETRY")
    assert "2 faults" in rest[0]
    assert any("OTELML_CAPTUER" in line for line in rest)
    assert "otelml doctor" in rest[-1]
    assert "Traceback" not in done.stderr
