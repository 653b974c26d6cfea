"""The receiver with what well-made and badly made senders put on the wire."""

import gzip
import http.client
import json
import math
import socket
import subprocess
import sys
import threading
import zlib
from urllib.parse import urlsplit

import grpc
import pytest
import requests
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otelml.viewer import wire
from otelml.viewer.receiver import Receiver
from otelml.viewer.store import Store

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


def one_span_request(name="a"):
    """Return a request that holds one span."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.name, span.trace_id, span.span_id = name, bytes(range(16)), bytes(range(8))
    return request


def post(receiver, body, headers=PROTOBUF, path="/v1/traces"):
    """Post a body."""
    return requests.post(receiver.http_endpoint + path, data=body, headers=headers, timeout=5)


def test_json_has_hex_ids(receiver):
    """OTLP's JSON: hex ids, 64-bit numbers as text, unknown fields ignored; an attribute named traceId is kept."""
    span = {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
        "parentSpanId": "",
        "name": "json",
        "kind": 2,
        "startTimeUnixNano": "1544712660000000001",
        "endTimeUnixNano": 1544712661000000000,
        "attributes": [
            {"key": "traceId", "value": {"stringValue": "mine"}},
            {"key": "n", "value": {"intValue": "9007199254740993"}},
            {"key": "b", "value": {"bytesValue": "AAH/"}},
            {"key": "nan", "value": {"doubleValue": "NaN"}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "spanId", "value": {"boolValue": True}}]}}},
        ],
        "links": [{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b175"}],
        "status": {"code": 2, "message": "no"},
        "notInTheProtocol": {"x": 1},
    }
    body = {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": [span]}]}]}
    response = post(receiver, json.dumps(body), {"Content-Type": "application/json; charset=utf-8"})
    assert (response.status_code, response.headers["Content-Type"], response.json()) == (200, "application/json", {})
    (got,) = receiver.store.spans(trace_id="5b8efff798038103d269b633813fc60c")
    assert (got.span_id, got.parent_id, got.kind, got.status) == ("eee19b7ec3c1b174", "", "server", "error")
    assert (got.start_ns, got.end_ns) == (1544712660000000001, 1544712661000000000)
    assert got.links[0].span_id == "eee19b7ec3c1b175"
    assert math.isnan(got.attributes.pop("nan"))
    assert got.attributes == {"traceId": "mine", "n": 2**53 + 1, "b": b"\x00\x01\xff", "map": {"spanId": True}}


def test_json_metrics_and_logs(receiver):
    """Hand-written OTLP JSON of the other two signals, gzip'ed, is stored too."""
    sum_ = {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [{"asInt": "7", "timeUnixNano": "5"}]}
    metrics = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "sum": sum_}]}]}]}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"eventName": "e", "body": {"stringValue": "hi"}}]}]}]}
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert post(receiver, gzip.compress(json.dumps(metrics).encode()), headers, "/v1/metrics").status_code == 200
    assert post(receiver, gzip.compress(json.dumps(logs).encode()), headers, "/v1/logs").status_code == 200
    assert receiver.store.total("m") == 7
    assert [log.body for log in receiver.store.logs("e")] == ["hi"]


DEEP = b'{"resourceSpans":' + b"[" * 100_000
JSON_SPAN = '{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}'


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff\xff", PROTOBUF, 400),
        (one_span_request().SerializeToString()[:-3], PROTOBUF, 400),
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b"7", JSON, 400),
        (b'{"resourceSpans": 7}', JSON, 400),
        (DEEP, JSON, 400),
        (JSON_SPAN % '{"traceId": "not hex"}', JSON, 400),
        (JSON_SPAN % '{"traceId": 7}', JSON, 400),
        (JSON_SPAN % '{"startTimeUnixNano": "-1"}', JSON, 400),
        (JSON_SPAN % '{"name": "\\ud800"}', JSON, 400),
        (b"not gzip", {**PROTOBUF, "Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], {**PROTOBUF, "Content-Encoding": "gzip"}, 400),
        (b"", {**PROTOBUF, "Content-Encoding": "gzip"}, 400),
        (gzip.compress(bytes(17 << 20), mtime=0), {**PROTOBUF, "Content-Encoding": "gzip"}, 413),
        (bytes(17 << 20), PROTOBUF, 413),
        (b"x", {**PROTOBUF, "Content-Encoding": "br"}, 415),
        (b"x", {"Content-Type": "text/plain"}, 415),
        (b"x", {}, 415),
    ],
)
def test_bad_bodies_are_refused_and_lose_nothing(receiver, body, headers, status):
    """Each gets its status with a reason; nothing of it is stored, what was there stays, and good requests go on."""
    assert post(receiver, one_span_request("before").SerializeToString()).status_code == 200
    response = post(receiver, body, headers)
    assert response.status_code == status
    if headers.get("Content-Type") == "application/x-protobuf":
        assert Status.FromString(response.content).message
    else:
        assert response.json()["message"]
    assert post(receiver, one_span_request("after").SerializeToString()).status_code == 200
    assert receiver.store.counts_by_span_name() == {"before": 1, "after": 1}
    assert receiver.rejected == {status: 1}


def test_a_malformed_attribute_refuses_the_request(receiver):
    """Attributes are read last: one that is none still refuses the whole request, and nothing of it is stored."""
    request = wire.TraceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    spans.add(name="good", attributes=[KeyValue(key="a", value=AnyValue(int_value=1)).SerializeToString()])
    body = request.SerializeToString()
    assert post(receiver, body).status_code == 200
    for bad in (b"\xff", b"\x0a\x02\xff\xff"):  # no field; a key that is no UTF-8
        spans.add(name="bad", attributes=[bad])
        refused = post(receiver, request.SerializeToString())
        assert refused.status_code == 400
        assert b"attribute" in refused.content
        del spans[1:]
    assert receiver.store.counts_by_span_name() == {"good": 1}


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:4318", "null"])
def test_web_pages_cannot_send(receiver, origin):
    """A request that a browser sends for a page is refused, also from a name that was made to lead here."""
    refused = post(receiver, b"", {**PROTOBUF, "Origin": origin, "Host": "evil.example"})
    assert refused.status_code == 403
    assert b"web sites" in refused.content
    assert receiver.store.requests["traces"] == 0


def test_wrong_paths_and_methods(receiver):
    """An unknown path is 404, any method but POST is 405 and says what is allowed."""
    assert post(receiver, b"", path="/v1/profiles").status_code == 404
    assert requests.get(receiver.http_endpoint, timeout=5).status_code == 404
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
        response = requests.request(method, f"{receiver.http_endpoint}/v1/logs", timeout=5)
        assert (response.status_code, response.headers["Allow"]) == (405, "POST")
        assert "Access-Control-Allow-Origin" not in response.headers


def raw(receiver, data):
    """Send bytes as they are; return everything that comes back."""
    with socket.create_connection((receiver.host, urlsplit(receiver.http_endpoint).port), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"\r\n", b"411"),
        (b"Content-Length: -5\r\n\r\n", b"400"),
        (b"Content-Length: many\r\n\r\n", b"400"),
        (b"Content-Length: 99999999999999999999\r\n\r\n", b"413"),
        (b"Content-Length: 50\r\n\r\nshort", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n-5\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", b"413"),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", b"400"),
    ],
)
def test_bad_framing_ends_the_connection(receiver, rest, status):
    """A body without a trustworthy end gets one answer and a closed connection: nothing can be smuggled in after it."""
    answer = raw(receiver, HEAD + rest)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.count(b"HTTP/1.1") == 1
    assert b"Connection: close" in answer
    assert receiver.store.received["traces"] == 0


def test_chunked_bodies_are_read(receiver):
    """The JavaScript SDK sends compressed bodies in chunks: they are read, and the connection stays usable."""
    body = gzip.compress(one_span_request().SerializeToString())
    head = HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"%x\r\n%s\r\n%x;ext=1\r\n%s\r\n0\r\n\r\n" % (10, body[:10], len(body) - 10, body[10:])
    assert raw(receiver, (head + chunks) * 2).count(b"HTTP/1.1 200") == 2
    assert receiver.store.received["traces"] == 2


def test_deflate_without_header_and_gzip_in_parts(receiver):
    """Both shapes of deflate that are out there are read, and a gzip body of two members is read whole."""
    body = one_span_request().SerializeToString()
    bare = zlib.compressobj(wbits=-15)
    headers = {**PROTOBUF, "Content-Encoding": "deflate"}
    assert post(receiver, bare.compress(body) + bare.flush(), headers).status_code == 200
    assert post(receiver, zlib.compress(body), headers).status_code == 200
    parts = gzip.compress(body[:9], mtime=0) + gzip.compress(body[9:])
    assert post(receiver, parts, {**PROTOBUF, "Content-Encoding": "gzip"}).status_code == 200
    assert receiver.store.received["traces"] == 3


def test_connections_are_kept_alive(receiver):
    """Many requests go over one connection, and an answer that accepts everything is an empty message."""
    connection = http.client.HTTPConnection(urlsplit(receiver.http_endpoint).netloc, timeout=5)
    body = one_span_request().SerializeToString()
    sockets = set()
    for _ in range(3):
        connection.request("POST", "/v1/traces", body, PROTOBUF)
        sockets.add(connection.sock)
        response = connection.getresponse()
        assert (response.status, response.getheader("Content-Type")) == (200, "application/x-protobuf")
        assert response.read() == b""
    connection.close()
    assert len(sockets) == 1


@pytest.mark.parametrize("threads", [8])
def test_concurrent_posts_are_counted_exactly(receiver, threads):
    """Threads post at once over their own connections: every span is counted, every request too."""

    def send(number):
        body = one_span_request(f"thread {number}").SerializeToString()
        with requests.Session() as session:
            for _ in range(25):
                url = f"{receiver.http_endpoint}/v1/traces"
                assert session.post(url, body, headers=PROTOBUF, timeout=10).status_code == 200

    workers = [threading.Thread(target=send, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert receiver.store.counts_by_span_name() == {f"thread {number}": 25 for number in range(threads)}
    assert receiver.store.requests["traces"] == receiver.store.received["traces"] == 25 * threads
    assert len(receiver.store.spans()) == 25 * threads


def test_stop_closes_connections_and_start_takes_the_port_again():
    """After stop an idle kept-alive client can't send; a new receiver on the same port and store goes on."""
    receiver = Receiver().start()
    port = urlsplit(receiver.http_endpoint).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    body = one_span_request().SerializeToString()
    connection.request("POST", "/v1/traces", body, PROTOBUF)
    connection.getresponse().read()
    receiver.stop()
    receiver.stop()
    with pytest.raises((OSError, http.client.HTTPException)):  # noqa: PT012 - either call may notice
        connection.request("POST", "/v1/traces", body, PROTOBUF)
        connection.getresponse()
    with pytest.raises(RuntimeError):
        receiver.http_endpoint  # noqa: B018 - the property raises
    with Receiver(receiver.store, http_port=port) as again:
        assert post(again, body).status_code == 200
    assert receiver.store.received["traces"] == 2


@pytest.mark.parametrize("protocol", ["http_port", "grpc_port"])
def test_a_taken_port_is_refused(protocol):
    """A second receiver on a port fails at start, leaves nothing running and can start elsewhere."""
    with Receiver(grpc_port=0) as first:
        taken = urlsplit(first.grpc_endpoint if protocol == "grpc_port" else first.http_endpoint).port
        second = Receiver(first.store, **{protocol: taken})
        with pytest.raises(OSError, match=r"."):
            second.start()
        with pytest.raises(RuntimeError):
            second.http_endpoint  # noqa: B018 - the property raises


def test_grpc_refuses_malformed_messages(receiver):
    """A malformed message is the client's error; the next one is stored."""
    with grpc.insecure_channel(urlsplit(receiver.grpc_endpoint).netloc) as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        with pytest.raises(grpc.RpcError) as caught:
            export(b"\xff\xff\xff", timeout=5)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert export(one_span_request().SerializeToString(), timeout=5) == b""
    assert receiver.store.received["traces"] == 1


@pytest.mark.parametrize(
    ("sent", "right"),
    [
        (None, False),
        ("", False),
        ("Bearer", False),
        ("Bearer ", False),
        ("Bearer wrong", False),
        ("Bearer s3cret-é", False),
        ("Basic s3cret", False),
        ("s3cret", False),
        ("Bearer s3cret", True),
        ("bearer s3cret", True),
    ],
)
def test_a_token_is_asked_for(sent, right):
    """With a token only who sends it is stored, over either protocol; the others are told how to send it."""
    body = one_span_request().SerializeToString()
    headers = {} if sent is None else {"Authorization": sent.encode()}
    with Receiver(token="s3cret", grpc_port=0) as receiver:  # noqa: S106 - the test's own
        response = post(receiver, body, {**PROTOBUF, **headers})
        assert response.status_code == (200 if right else 401)
        if not right:
            assert response.headers["WWW-Authenticate"] == "Bearer"
            assert "Authorization: Bearer TOKEN" in Status.FromString(response.content).message
            assert Status.FromString(response.content).code == 16
        with grpc.insecure_channel(urlsplit(receiver.grpc_endpoint).netloc) as channel:
            export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            metadata = [("authorization", sent)] if sent and sent.isascii() else []
            if right:
                assert export(body, metadata=metadata, timeout=5) == b""
            else:
                with pytest.raises(grpc.RpcError) as caught:
                    export(body, metadata=metadata, timeout=5)
                assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
                assert "Authorization: Bearer TOKEN" in caught.value.details()
        assert receiver.store.received["traces"] == (2 if right else 0)


def test_the_sdk_sends_the_token():
    """The exporters of both protocols get in with the token among their headers, and not without."""
    with Receiver(token="s3cret", grpc_port=0) as receiver:  # noqa: S106 - the test's own
        authorization = {"authorization": "Bearer s3cret"}
        for headers, stored in ((None, 0), (authorization, 2)):
            for exporter in (
                OTLPSpanExporter(f"{receiver.http_endpoint}/v1/traces", headers=headers),
                GrpcSpans(receiver.grpc_endpoint, insecure=True, headers=headers),
            ):
                provider = TracerProvider()
                provider.add_span_processor(SimpleSpanProcessor(exporter))
                provider.get_tracer("t").start_span("a").end()
                provider.shutdown()
            assert receiver.store.received["traces"] == stored


FULL_DISK = """
import resource, sys
import requests
from pathlib import Path
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otelml.viewer.receiver import Receiver
from otelml.viewer.store import Store

path = sys.argv[1]
request = ExportTraceServiceRequest()
request.resource_spans.add().scope_spans.add().spans.add(name="a").status.message = "x" * 200_000
with Store(path) as store, Receiver(store) as receiver:
    def post():
        body, headers = request.SerializeToString(), {"Content-Type": "application/x-protobuf"}
        answer = requests.post(f"{receiver.http_endpoint}/v1/traces", body, headers=headers, timeout=10)
        print(answer.status_code, answer.headers.get("Retry-After"), store.requests["traces"], len(store.spans()))

    size = Path(f"{path}.wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50_000, resource.RLIM_INFINITY))
    post()
    post()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    post()
"""


def test_a_full_disk_is_answered_with_try_again(tmp_path):
    """When no file can grow, the sender is told to retry, nothing is half stored, and later requests are kept."""
    path = str(tmp_path / "store.db")
    done = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["503 1 0 0", "503 1 0 0", "200 None 1 1"]
    with Store(path) as store:
        assert store.counts_by_span_name() == {"a": 1}


def gauge(series):
    """Return a request with one point of so many series."""
    request = ExportMetricsServiceRequest()
    made = request.resource_metrics.add().scope_metrics.add().metrics.add(name="temperature")
    for number in range(series):
        point = made.gauge.data_points.add(as_double=1.0, time_unix_nano=1)
        point.attributes.add(key="place").value.int_value = number
    return request


def test_points_past_the_cap_on_series_are_told_to_their_sender():
    """``partial_success`` says how many were not stored and why, in protobuf, in JSON and over gRPC."""
    with Store(max_series=5) as store, Receiver(store, grpc_port=0) as receiver:
        sent = gauge(7)
        answer = post(receiver, gauge(3).SerializeToString(), path="/v1/metrics")
        assert (answer.status_code, answer.content) == (200, b"")
        answer = post(receiver, sent.SerializeToString(), path="/v1/metrics")
        told = ExportMetricsServiceResponse.FromString(answer.content).partial_success
        assert (answer.status_code, told.rejected_data_points) == (200, 2)
        assert "more than 5 metric series" in told.error_message
        points = [
            {"asDouble": 1, "timeUnixNano": "2", "attributes": [{"key": "place", "value": {"intValue": str(number)}}]}
            for number in range(6)
        ]
        metric = {"name": "temperature", "gauge": {"dataPoints": points}}
        body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
        answer = post(receiver, body, JSON, path="/v1/metrics")
        assert answer.json()["partialSuccess"]["rejectedDataPoints"] == "1"
        with grpc.insecure_channel(receiver.grpc_endpoint.removeprefix("http://")) as channel:
            call = channel.unary_unary("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")
            told = ExportMetricsServiceResponse.FromString(call(sent.SerializeToString())).partial_success
        assert told.rejected_data_points == 2
        assert store.refused["metrics"] == 5


FULL_WHILE_FOLDING = """
import os, resource, sys
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otelml.viewer import database
from otelml.viewer.store import Store, StoreError

database.FOLD = 1 << 18  # the log is folded into the file all the time
kept = refused = 0

def add():
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for _ in range(50):
        spans.add(name="a").status.message = os.urandom(1000).hex()
    store.add("traces", request)
    return 50

with Store(sys.argv[1]) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
    while refused < 10:
        try:
            kept += add()
        except StoreError:
            refused += 1
    print(store.query("SELECT count(*) FROM spans") == [(kept,)], kept > 500)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    kept += add()
print(kept)
"""


def test_a_disk_that_fills_while_the_log_is_folded(tmp_path):
    """DuckDB gives up its file then; the store opens it again, and has what it acknowledged, no more and no less."""
    path = str(tmp_path / "store.db")
    command = [sys.executable, "-c", FULL_WHILE_FOLDING, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, kept = done.stdout.splitlines()
    assert first == "True True"
    with Store(path) as store:
        assert store.received["traces"] == len(store.spans()) == int(kept)


def test_grpc_is_imported_only_when_asked_for():
    """A receiver without gRPC leaves grpcio unimported."""
    program = "import sys\nfrom otelml.viewer.receiver import Receiver\nwith Receiver(): print('grpc' in sys.modules)\n"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert output.stdout == "False\n"
