"""Real calls with requests to a real server: client spans, the request id on its way out, and no secrets."""

import os
import subprocess
import sys

import pytest
import requests
from local_servers import keeping_headers
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelml import context
from otelml.integrations.requests import OtelmlRequestsInstrumentor

# Upstream reads this once a process; whichever test instruments first would choose for all of them.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
CANARY = "canary7f3a"


class Telemetry:
    """Real providers that keep what is exported in memory."""

    def __init__(self):
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.providers = {"tracer_provider": self.tracers, "meter_provider": self.meters}

    @property
    def spans(self):
        """The finished spans."""
        return self.exporter.get_finished_spans()

    def everything(self):
        """Return all that was exported, as text."""
        data = self.reader.get_metrics_data()
        return "\n".join([*(span.to_json() for span in self.spans), data.to_json() if data else ""])


@pytest.fixture
def telemetry():
    """Fresh providers."""
    return Telemetry()


@pytest.fixture
def instrumentor(telemetry):
    """Requests instrumented for one test."""
    one = OtelmlRequestsInstrumentor()
    one.instrument(**telemetry.providers)
    yield one
    if one.is_instrumented_by_opentelemetry:
        one.uninstrument()


@pytest.fixture
def server():
    """A server that keeps the headers it got."""
    with keeping_headers() as one:
        yield one


def test_a_call_carries_trace_and_request_id(telemetry, instrumentor, server):
    """One client span and one duration in seconds; the server gets its trace context and the request id."""
    with context.with_request_id("r-1"):
        assert requests.get(f"{server.url}/weather", timeout=5).status_code == 200
    (span,) = telemetry.spans
    (got,) = server.got
    assert got["x-request-id"] == span.attributes["ml.request.id"] == "r-1"
    assert got["traceparent"].startswith(f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-")
    assert "baggage" not in got
    assert (span.name, span.kind) == ("GET", trace.SpanKind.CLIENT)
    assert span.attributes["url.full"] == f"{server.url}/"
    assert span.attributes["http.response.status_code"] == 200
    names = [m.name for r in telemetry.reader.get_metrics_data().resource_metrics for s in r.scope_metrics
             for m in s.metrics]  # fmt: skip
    assert names == ["http.client.request.duration"]


def test_no_id_outside_of_a_request_and_never_over_the_callers_own(instrumentor, server):
    """Without a current request no header is sent; a header of the caller's own stays, whatever its case."""
    requests.get(server.url, timeout=5)
    with context.with_request_id("r-1"):
        requests.get(server.url, headers={"x-request-id": "mine"}, timeout=5)
        session = requests.Session()
        session.headers["X-Request-ID"] = "session"
        session.get(server.url, timeout=5)
    assert "x-request-id" not in server.got[0]
    assert [got["x-request-id"] for got in server.got[1:]] == ["mine", "session"]


def test_exporters_are_left_alone(telemetry, instrumentor, server):
    """Inside suppressed code, as exporters run, a call has neither span nor header."""
    with context.with_request_id("r-1"), suppress_instrumentation():
        requests.get(server.url, timeout=5)
    assert telemetry.spans == ()
    assert "x-request-id" not in server.got[0]
    assert "traceparent" not in server.got[0]


def test_a_redirect_keeps_the_id(telemetry, instrumentor, server):
    """Both hops of a redirect carry the same id."""
    with context.with_request_id("r-1"):
        requests.get(f"{server.url}/moved", timeout=5)
    assert [got["x-request-id"] for got in server.got] == ["r-1", "r-1"]


def test_a_secret_in_the_address_reaches_nothing(telemetry, instrumentor, server):
    """Secrets in user, path, query, fragment, headers and the exceptions of failing calls are in no span or metric."""
    host = server.url.removeprefix("http://")
    requests.get(
        f"http://{CANARY}:{CANARY}@{host}/{CANARY}?q={CANARY}#{CANARY}", headers={"User-Agent": CANARY}, timeout=5
    )
    with pytest.raises(requests.ConnectionError, match=CANARY):
        requests.get(f"http://127.0.0.1:1/{CANARY}?token={CANARY}", timeout=5)
    assert len(telemetry.spans) == 2
    failed = telemetry.spans[1]
    assert failed.attributes["error.type"] == "ConnectionError"
    assert "Max retries exceeded" in failed.events[0].attributes["exception.message"]
    assert CANARY not in telemetry.everything()


def test_the_callers_exception_is_untouched(instrumentor):
    """What the application catches is the exception requests raised, message and all."""
    with pytest.raises(requests.ConnectionError) as caught:
        requests.get("http://127.0.0.1:1/path", timeout=5)
    assert "/path" in str(caught.value)


def test_uninstrument_restores_send(telemetry, server):
    """``Session.send`` is the very same function again; switching on twice gives one span a call."""
    before = requests.Session.send
    one = OtelmlRequestsInstrumentor()
    for _ in range(2):
        one.instrument(**telemetry.providers)
        assert requests.Session.send is not before
        requests.get(server.url, timeout=5)
        one.uninstrument()
        assert requests.Session.send is before
    requests.get(server.url, timeout=5)
    assert len(telemetry.spans) == 2


def test_upstream_already_on_gives_one_span(telemetry, server):
    """Somebody else's instrumentation stays in place, gets our header, and is still there when we leave."""
    upstream, ours = RequestsInstrumentor(), OtelmlRequestsInstrumentor()
    before = requests.Session.send
    upstream.instrument(**telemetry.providers)
    theirs = requests.Session.send
    ours.instrument(**telemetry.providers)
    with context.with_request_id("r-1"):
        requests.get(server.url, timeout=5)
    ours.uninstrument()
    assert requests.Session.send is theirs
    upstream.uninstrument()
    assert requests.Session.send is before
    assert len(telemetry.spans) == 1
    assert server.got[0]["x-request-id"] == "r-1"


def test_nothing_is_imported_and_no_warning_filter_is_added():
    """Instrumenting imports no requests; when the application does, only its own import changes the filters."""
    program = (
        "import sys, warnings\n"
        "from otelml.integrations.requests import OtelmlRequestsInstrumentor as I\n"
        "before = list(warnings.filters)\n"
        "if '--plain' not in sys.argv:\n"
        "    I().instrument()\n"
        "    assert 'requests' not in sys.modules\n"
        "import requests\n"
        "if '--plain' not in sys.argv:\n"
        "    assert requests.Session.send.__module__ == 'requests.sessions', requests.Session.send.__module__\n"
        "    assert hasattr(requests.Session.send, '__wrapped__')\n"
        "print(len(warnings.filters) - len(before))\n"
    )
    added = [
        subprocess.run([sys.executable, "-c", program, *options], capture_output=True, text=True, check=True).stdout
        for options in ([], ["--plain"])
    ]
    assert added[0] == added[1]


@pytest.mark.parametrize("chosen", [None, "http/dup"])
def test_stable_names_unless_the_user_chose(chosen):
    """Durations are in seconds under the stable name by default; a choice of the user's own wins."""
    program = (
        "import os, requests\n"
        "from opentelemetry.sdk.metrics import MeterProvider\n"
        "from opentelemetry.sdk.metrics.export import InMemoryMetricReader\n"
        "from otelml.integrations.requests import OtelmlRequestsInstrumentor\n"
        "reader, before = InMemoryMetricReader(), dict(os.environ)\n"
        "OtelmlRequestsInstrumentor().instrument(meter_provider=MeterProvider([reader]))\n"
        "assert dict(os.environ) == before\n"
        "try:\n    requests.get('http://127.0.0.1:1')\nexcept requests.ConnectionError:\n    pass\n"
        "print(*sorted(m.name for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics"
        " for m in s.metrics))\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OTEL_SEMCONV_STABILITY_OPT_IN"}
    if chosen:
        environment["OTEL_SEMCONV_STABILITY_OPT_IN"] = chosen
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    new = ["http.client.request.duration"]
    assert done.stdout.split() == (new if chosen is None else ["http.client.duration", *new])
