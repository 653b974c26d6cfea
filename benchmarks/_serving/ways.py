"""Ways to observe an application: each starts before FastAPI is imported and says what one request must give."""

from __future__ import annotations

import os
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

ROUTE = "GET /predict"
DURATION = "http.server.request.duration"
MODEL = {"ml.model.name": "LogisticRegression"}


class Bare:
    """No telemetry at all."""

    def spans(self, app: str) -> dict[str, int]:  # noqa: ARG002 - subclasses tell
        """Return the spans of one request, by name."""
        return {}

    def points(self, app: str) -> dict[str, int]:  # noqa: ARG002 - subclasses tell
        """Return the measurements of one request, by metric."""
        return {}

    def instrument(self, app: FastAPI) -> None:
        """Instrument the application where that has to be done by hand."""

    def observe(self, predict: Callable[[], float]) -> float:
        """Make one prediction."""
        return predict()

    def flush(self) -> bool:
        """Export everything; returns whether that worked."""
        return True


class Header(Bare):
    """No telemetry, but the answer has the request id that otelml sends."""

    def instrument(self, app: FastAPI) -> None:
        """Stand in for the application's call."""
        kind: Any = type(app)
        call, bits = kind.__call__, Random().getrandbits  # noqa: S311 - no secrets

        async def answer(app: FastAPI, scope: Any, receive: Any, send: Any) -> None:
            async def with_header(message: Any) -> None:
                if message["type"] == "http.response.start":
                    request_id = (b"x-request-id", f"{bits(128):032x}".encode())
                    message = {**message, "headers": [*message["headers"], request_id]}
                await send(message)

            await call(app, scope, receive, with_header)

        kind.__call__ = answer


class Otelml(Bare):
    """otelml as its users start it."""

    def __init__(self) -> None:
        import otelml  # noqa: PLC0415 - one way a process

        self.runtime = otelml.auto_instrument()

    def spans(self, app: str) -> dict[str, int]:
        """Return one span for the request and one for its prediction."""
        return {ROUTE: 1} if app == "plain" else {ROUTE: 1, "predict LogisticRegression": 1}

    def points(self, app: str) -> dict[str, int]:
        """Return one duration for the request and one for its prediction."""
        return {DURATION: 1} if app == "plain" else {DURATION: 1, "ml.prediction.duration": 1, "ml.requests": 1}

    def flush(self) -> bool:
        """Export everything."""
        return self.runtime.force_flush(60)


class NoRoom(Otelml):
    """The same with the garbage collector as Python has it."""

    def __init__(self) -> None:
        os.environ["OTELML_GC_ROOM"] = "0"
        super().__init__()


class HttpOnly(Otelml):
    """The same, but nobody looks at the model."""

    def __init__(self) -> None:
        import otelml  # noqa: PLC0415 - one way a process

        self.runtime = otelml.auto_instrument(disabled=["sklearn"])

    def spans(self, app: str) -> dict[str, int]:  # noqa: ARG002 - the same for all
        """Return one span for the request."""
        return {ROUTE: 1}

    def points(self, app: str) -> dict[str, int]:  # noqa: ARG002 - the same for all
        """Return one duration for the request."""
        return {DURATION: 1}


class Sdk(Bare):
    """The OpenTelemetry SDK set up by hand; on its own it is FastAPI's native telemetry that uses it."""

    def __init__(self) -> None:
        from opentelemetry import metrics, trace  # noqa: PLC0415 - one way a process
        from opentelemetry._logs import set_logger_provider  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        traces, logs = TracerProvider(), LoggerProvider()
        traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
        trace.set_tracer_provider(traces)
        set_logger_provider(logs)
        metrics.set_meter_provider(meters)
        self.providers: tuple[Any, ...] = (traces, logs, meters)

    def spans(self, app: str) -> dict[str, int]:  # noqa: ARG002 - subclasses tell
        """Return the server span."""
        return {ROUTE: 1}

    def points(self, app: str) -> dict[str, int]:  # noqa: ARG002 - subclasses tell
        """Return one duration."""
        return {DURATION: 1}

    def flush(self) -> bool:
        """Export everything."""
        return all(provider.force_flush(60_000) for provider in self.providers)


class Upstream(Sdk):
    """OpenTelemetry's FastAPI instrumentation as its documentation starts it."""

    exclude: Any = None

    def spans(self, app: str) -> dict[str, int]:  # noqa: ARG002 - subclasses tell
        """Return the server span and one for each of the two messages sent."""
        return {ROUTE: 1, f"{ROUTE} http send": 2}

    def instrument(self, app: FastAPI) -> None:
        """Instrument the application."""
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - one way a process

        FastAPIInstrumentor.instrument_app(app, exclude_spans=self.exclude)


class Quiet(Upstream):
    """The same without its send and receive spans, and every prediction recorded by hand."""

    exclude = ("send", "receive")

    def __init__(self) -> None:
        super().__init__()
        from opentelemetry import metrics, trace  # noqa: PLC0415 - one way a process
        from opentelemetry._logs import LogRecord, SeverityNumber, get_logger  # noqa: PLC0415

        meter = metrics.get_meter("benchmark")
        self.tracer, self.logger = trace.get_tracer("benchmark"), get_logger("benchmark")
        self.requests = meter.create_counter("ml.requests")
        self.duration = meter.create_histogram("ml.prediction.duration", "s")
        self.confidence = meter.create_histogram("ml.prediction.confidence")
        self.record, self.severity = LogRecord, SeverityNumber.INFO

    def spans(self, app: str) -> dict[str, int]:
        """Return the server span and the prediction's."""
        return {ROUTE: 1} if app == "plain" else {ROUTE: 1, "predict LogisticRegression": 1}

    def points(self, app: str) -> dict[str, int]:
        """Return one duration for the request and one for its prediction."""
        return {DURATION: 1} if app == "plain" else {DURATION: 1, "ml.prediction.duration": 1, "ml.requests": 1}

    def observe(self, predict: Callable[[], float]) -> float:
        """Make one prediction with a span, three measurements and an event."""
        started = perf_counter()
        with self.tracer.start_as_current_span("predict LogisticRegression", attributes=MODEL) as span:
            found = predict()
            took = perf_counter() - started
            facts: dict[str, Any] = {**MODEL, "ml.batch.size": 1, "ml.prediction.confidence": max(found, 1 - found)}
            span.set_attributes(facts)
            self.logger.emit(
                self.record(
                    severity_number=self.severity, attributes=facts, event_name="ml.prediction", body="predicted"
                )
            )
            self.requests.add(1, MODEL)
            self.duration.record(took, MODEL)
            self.confidence.record(facts["ml.prediction.confidence"], MODEL)
        return found


WAYS: dict[str, type[Bare]] = {
    "bare": Bare,
    "header": Header,
    "otelml": Otelml,
    "otelml-no-room": NoRoom,
    "otelml-http": HttpOnly,
    "upstream": Upstream,
    "by-hand": Quiet,
    "native": Sdk,
}
