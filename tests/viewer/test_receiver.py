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
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelml.viewer.receiver import Receiver

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


def test_a_full_disk_is_answered_with_try_again():
    """When SQLite can't write, the sender is told to retry, nothing is half stored, and later requests work."""
    with Receiver() as receiver:
        store = receiver.store
        (pages,) = store.query("PRAGMA page_count")[0]
        store.query(f"PRAGMA max_page_count = {pages}")
        request = one_span_request("x" * 200_000)
        response = post(receiver, request.SerializeToString())
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        store.query("PRAGMA max_page_count = 1000000")
        assert store.counts_by_span_name() == {}
        assert store.requests["traces"] == 0
        assert post(receiver, request.SerializeToString()).status_code == 200
        assert store.counts_by_span_name() == {"x" * 200_000: 1}


def test_grpc_is_imported_only_when_asked_for():
    """A receiver without gRPC leaves grpcio unimported."""
    program = "import sys\nfrom otelml.viewer.receiver import Receiver\nwith Receiver(): print('grpc' in sys.modules)\n"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert output.stdout == "False\n"
