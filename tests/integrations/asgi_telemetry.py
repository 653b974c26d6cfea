"""Makes the same request to the same application under upstream's instrumentation and ours, and reads what is exported.

Spans arrive as OTLP at a real receiver, metrics are collected from the SDK. ``seen`` leaves out ids and times alone.
"""

import asyncio
import os
from contextlib import contextmanager, suppress

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler

from otelml import _sdk_metrics
from otelml._drops import Drops
from otelml.export import BatchQueue
from otelml.integrations.fastapi import OtelmlFastAPIInstrumentor
from otelml.otlp import mixed
from otelml.outage import Outage
from otelml.processors import SpanQueueProcessor

os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
RESOURCE = Resource({"service.name": "service"})
PARENT = f"00-{'a' * 32}-{'b' * 16}-01"
UPSTREAM, ENCODED, DIRECT, TRACER = "upstream", "encoded", "direct", "tracer"
"""Ways to make spans: upstream's; ours as OTLP bytes, as the SDK's spans, and by a tracer we know nothing of."""


class Foreign(Sampler):
    """A sampler that must see every span start."""

    def __init__(self):
        self.inner = ParentBased(ALWAYS_ON)

    def should_sample(self, parent_context, trace_id, name, *more, **named):
        """Sample like the default."""
        return self.inner.should_sample(parent_context, trace_id, name, *more, **named)

    def get_description(self):
        """Return the name."""
        return "Foreign"


class Way:
    """One way to observe requests, with providers of its own."""

    def __init__(self, otlp, way, sampler=None):
        self.otlp, self.way = otlp, way
        self.sampler = Foreign() if way == TRACER else sampler
        make = mixed(lambda: OTLPSpanExporter(f"{otlp.endpoint}/v1/traces", timeout=3.0), "traces")
        self.queue = BatchQueue("span", make, Drops().add, Outage(), delay=30.0)
        self.tracers = TracerProvider(self.sampler, RESOURCE, shutdown_on_exit=False)
        self.tracers.add_span_processor(SpanQueueProcessor(self.queue, takes_encoded=way == ENCODED))
        self.reader = InMemoryMetricReader()
        views = [_sdk_metrics.BATCH_VIEW] if way == ENCODED else []
        self.meters = MeterProvider([self.reader], RESOURCE, shutdown_on_exit=False, views=views)

    @contextmanager
    def observing(self, app, **options):
        """Observe the application inside; what was exported is in ``spans`` and ``metrics`` after it."""
        before = len(self.otlp.spans())
        one = OtelmlFastAPIInstrumentor()
        one.instrument(tracer_provider=self.tracers, meter_provider=self.meters, **options)
        try:
            if self.way == UPSTREAM:
                FastAPIInstrumentor.instrument_app(app)
            yield
        finally:
            one.uninstrument()
            assert self.queue.force_flush(5)
            self.spans = self.otlp.spans()[before:]
            self.queue.shutdown(1)
            data = self.reader.get_metrics_data()
            scopes = [s for r in data.resource_metrics for s in r.scope_metrics] if data else []
            self.scopes = {scope.scope.name for scope in scopes}
            self.metrics = {metric.name: metric for scope in scopes for metric in scope.metrics}


def scope(method="GET", path="/", headers=(), **more):
    """Return an ASGI scope as uvicorn makes it; headers are texts."""
    path, _, query = path.partition("?")
    found = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
             "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
             "headers": [(b"host", b"localhost:8000"), (b"x-request-id", b"r-1"),
                         *((k.encode(), v.encode()) for k, v in headers)],
             "client": ("192.0.2.7", 5000), "server": ("127.0.0.1", 8000), "state": {}}  # fmt: skip
    found.update(more)
    found["method"] = "".join(iter(method))  # a text of its own for every request, as servers make it
    if found["type"] == "websocket":
        del found["method"]
    return {key: value for key, value in found.items() if value is not None}


def call(app, request, body=b"", *, received=None, cancel=None):
    """Call the application once; return the messages it sent and the exception it raised."""
    sent, raised = [], []
    first = {"type": "websocket.connect"} if request["type"] == "websocket" else {"type": "http.request", "body": body}
    waiting = [first, *(received or ())]

    async def receive():
        if not waiting:
            await asyncio.sleep(30)
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    async def main():
        task = asyncio.ensure_future(app(request, receive, send))
        if cancel is not None:
            await asyncio.sleep(cancel)
            task.cancel()
        try:
            await task
        except BaseException as error:  # noqa: BLE001 - as a server does
            raised.append((type(error), str(error)))

    with suppress(asyncio.CancelledError):
        asyncio.run(main())
    return sent, raised


def seen(way):
    """Return all that was exported but ids and times; what one span says twice it says once here."""
    return {"spans": sorted(map(_span, way.spans), key=str), "metrics": {n: _metric(m) for n, m in way.metrics.items()}}


def _span(span):
    events = []
    for event in span.events:
        attributes = _attributes(event)
        trace = attributes.pop("exception.stacktrace", "")
        found = (event.name, attributes, trace.splitlines()[-2:])
        events += [] if found in events else [found]
    status = (span.status.code, span.status.message)
    remote = (span.flags & 0x200, span.trace_state, span.parent_span_id.hex() if span.flags & 0x200 else "")
    links = [(link.trace_id, link.span_id, _attributes(link)) for link in span.links]
    assert span.start_time_unix_nano <= span.end_time_unix_nano
    return span.name, span.kind, _attributes(span), status, events, links, remote


def _attributes(of):
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in of.attributes}


def _metric(metric):
    data = metric.data
    points = []
    for point in data.data_points:
        known = {"attributes": dict(point.attributes)}
        if hasattr(point, "count"):
            known |= {"count": point.count, "bounds": tuple(point.explicit_bounds)}
            known |= {"exemplars": bool(point.exemplars)}
            if metric.unit == "By":
                known |= {"sum": point.sum, "buckets": tuple(point.bucket_counts), "min": point.min, "max": point.max}
        else:
            known["value"] = point.value
        points.append(known)
    kind = (type(data).__name__, data.aggregation_temporality, getattr(data, "is_monotonic", None))
    return metric.unit, metric.description, kind, sorted(points, key=str)
