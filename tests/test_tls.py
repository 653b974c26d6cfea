"""TLS with client certificates, over both protocols, against real servers."""

import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

SCRIPT = """
import otelml
runtime = otelml.auto_instrument("tls", disabled=["*"])
with otelml.prediction("m", "1"):
    pass
print(runtime.force_flush(5))
"""


@pytest.fixture
def files(tmp_path):
    """A certificate authority of our own, a server's and a client's certificate."""
    authority = trustme.CA()
    server, client = authority.issue_cert("localhost"), authority.issue_cert("client")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, leaf in (("server", server), ("client", client)):
        leaf.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        leaf.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    return tmp_path


def spans_of(body):
    """Return the names of the spans in a request."""
    request = ExportTraceServiceRequest.FromString(body)
    return [s.name for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]


@pytest.fixture
def https(files):
    """An HTTPS server that takes OTLP from clients with a certificate only."""
    names = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                names.extend(spans_of(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / "server.pem", files / "server.key")
    context.load_verify_locations(files / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # a refused handshake is expected
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}", names
    server.shutdown()
    server.server_close()


@pytest.fixture
def grpcs(files):
    """A gRPC server that takes OTLP from clients with a certificate only."""
    names = []

    def export(body, _):
        names.extend(spans_of(body))
        return ExportTraceServiceResponse().SerializeToString()

    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    handler = grpc.method_handlers_generic_handler(service, {"Export": grpc.unary_unary_rpc_method_handler(export)})
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([handler])
    pair = ((files / "server.key").read_bytes(), (files / "server.pem").read_bytes())
    credentials = grpc.ssl_server_credentials([pair], (files / "ca.pem").read_bytes(), require_client_auth=True)
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    yield f"https://localhost:{port}", names
    server.stop(None).wait()


def run(endpoint, protocol, variables):
    """Export one prediction from a process of its own."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint + ("/v1/traces" if protocol != "grpc" else ""),
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTELML_SHUTDOWN_TIMEOUT": "1",
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=60, check=True
    )


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_client_certificate_is_shown_and_the_servers_is_checked(files, https, grpcs, protocol):
    """With all three files the span arrives; without a client certificate, or the authority's, none does."""
    endpoint, names = grpcs if protocol == "grpc" else https
    authority = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(files / "ca.pem")}
    client = {
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(files / "client.key"),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(files / "client.pem"),
    }
    assert run(endpoint, protocol, authority).stdout == "False\n"
    assert run(endpoint, protocol, client).stdout == "False\n"
    assert names == []
    assert run(endpoint, protocol, authority | client).stdout == "True\n"
    assert names == ["predict m"]
