"""OTLP by hand: items that can be counted again in each store, sent until they are acknowledged."""

import time
from secrets import token_bytes

import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

CUMULATIVE, DELTA = 2, 1
RETRIED = {429, 502, 503, 504}
SECOND = 1_000_000_000


class Sender:
    """Sends to one collector as one service; ``acknowledged`` counts the items that were answered with 200."""

    def __init__(self, endpoint, service, token=None):
        self.endpoint, self.service = endpoint, service
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Content-Type"] = "application/x-protobuf"
        if token is not None:
            self.session.headers["Authorization"] = f"Bearer {token}"
        self.acknowledged = {"traces": 0, "metrics": 0, "logs": 0}
        self.instance = token_bytes(8).hex()
        self.clock = time.time_ns()

    def post(self, signal, request):
        """Send once; return the answer."""
        return self.session.post(f"{self.endpoint}/v1/{signal}", data=request.SerializeToString(), timeout=30)

    def deliver(self, signal, request, items, seconds=60.0):
        """Send as a good client does: again until it is acknowledged."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = self.post(signal, request)
                if answer.status_code == 200:
                    self.acknowledged[signal] += items
                    return
                assert answer.status_code in RETRIED, answer.text
            except requests.ConnectionError:
                pass
            assert time.monotonic() < deadline, f"{signal} were not taken for {seconds} s"
            time.sleep(0.1)

    def send(self, count, size=100, age=0.0):
        """Send so many spans, points and log records each, ``size`` in one request, made ``age`` seconds ago."""
        for _ in range(count // size):
            self.deliver("traces", self.trace(size, age), size)
            self.deliver("metrics", self.metric(size, age), size)
            self.deliver("logs", self.log(size, age), size)

    # Requests ---------------------------------------------------------------------------------------------------

    def _time(self, age):
        """Return a time that no other item of this sender has."""
        self.clock = max(self.clock + 1000, time.time_ns())
        return self.clock - int(age * SECOND)

    def _resource(self, resource, **more):
        named = {"service.name": self.service, "service.instance.id": self.instance, **more}
        for key, value in named.items():
            put(resource.attributes, key, value)

    def trace(self, size, age=0.0, name="work", trace_id=None, **attributes):
        """Return one trace of so many spans, the first the parent of the others."""
        request = ExportTraceServiceRequest()
        part = request.resource_spans.add()
        self._resource(part.resource)
        spans, trace_id, parent = part.scope_spans.add().spans, trace_id or token_bytes(16), b""
        for _ in range(size):
            begun = self._time(age)
            span = spans.add(trace_id=trace_id, span_id=token_bytes(8), parent_span_id=parent, name=name, kind=2)
            span.start_time_unix_nano, span.end_time_unix_nano = begun, begun + 1_000_000
            parent = parent or span.span_id
            for key, value in attributes.items():
                put(span.attributes, key, value)
        return request

    def metric(self, size, age=0.0, name="sent.points", temporality=CUMULATIVE):
        """Return so many points of ten series of a counter, 2 ms apart, each a 1: their sum is their count."""
        request = ExportMetricsServiceRequest()
        part = request.resource_metrics.add()
        self._resource(part.resource)
        made = part.scope_metrics.add().metrics.add(name=name)
        made.sum.aggregation_temporality, made.sum.is_monotonic = temporality, True
        for number in range(size):
            begun = self._time(age)
            self.clock += 2_000_000 * (number % 10 == 0)  # milliseconds tell points apart
            point = made.sum.data_points.add(time_unix_nano=begun, start_time_unix_nano=begun - SECOND, as_int=1)
            put(point.attributes, "series", str(number % 10))
        return request

    def one(self, name, value, start=0, *, gauge=False):
        """Return one point of a counter or a gauge of that value, begun at ``start`` (0: unknown)."""
        request = self.metric(1, name=name)
        made = request.resource_metrics[0].scope_metrics[0].metrics[0]
        point = made.sum.data_points[0]
        point.start_time_unix_nano, point.as_double = start, value
        if gauge:
            made.gauge.data_points.append(point)  # a copy; a metric has one kind of data
        return request

    def log(self, size, age=0.0, body="line", **attributes):
        """Return so many log records."""
        request = ExportLogsServiceRequest()
        part = request.resource_logs.add()
        self._resource(part.resource)
        records = part.scope_logs.add().log_records
        for number in range(size):
            record = records.add(time_unix_nano=self._time(age), severity_number=9, severity_text="INFO")
            record.body.string_value = f"{body} {number}"
            for key, value in attributes.items():
                put(record.attributes, key, value)
        return request


def put(attributes, key, value):
    """Add an attribute."""
    made = attributes.add(key=key)
    kind = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}[type(value)]
    setattr(made.value, kind, value)
