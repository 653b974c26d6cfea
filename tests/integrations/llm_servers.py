"""A server of a language model's protocol on loopback: it answers every call as it is told, whatever it is asked."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CANARY = "canary7f3a"
"""Stands in prompts, completions and keys; must be nowhere in telemetry."""


@contextmanager
def answering(reply):
    """Serve; ``reply`` returns (media type, body) of (path, what was asked). Give the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kind, body = reply(self.path, asked)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextmanager
def switched_on(instrumentor, telemetry):
    """Instrument a client by upstream's, whose content is off by default."""
    providers = {"tracer_provider": telemetry.tracer_provider, "meter_provider": telemetry.runtime.meter_provider}
    instrumentor.instrument(skip_dep_check=True, **providers)
    try:
        yield instrumentor
    finally:
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


def call_below(telemetry, name):
    """Return the span of the call, which is below the prediction's; no content is anywhere."""
    spans = {span.name: span for span in telemetry.spans()}
    prediction, call = spans["predict answer"], spans[name]
    assert (call.parent_id, call.trace_id, call.kind) == (prediction.span_id, prediction.trace_id, "CLIENT")
    assert call.attributes["gen_ai.request.model"] == "tiny"
    assert CANARY not in str([telemetry.spans(), telemetry.logs(), telemetry.metrics()])
    return call
