"""Ordinary logging becomes OpenTelemetry log records; what the application prints itself stays the same."""

import io
import logging
import logging.config
import subprocess
import sys

import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider

from otelml import context
from otelml.integrations.logging import Bridge, OtelmlLoggingInstrumentor

CANARY = "canary7f3a"
app = logging.getLogger("app.test_logging")


@pytest.fixture
def exporter():
    """Where records end."""
    return InMemoryLogRecordExporter()


@pytest.fixture
def provider(exporter):
    """A real logger provider that keeps its records in memory."""
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    return provider


@pytest.fixture
def instrumentor(provider):
    """Logging bridged for one test."""
    one = OtelmlLoggingInstrumentor()
    one.instrument(logger_provider=provider)
    app.setLevel(logging.DEBUG)
    yield one
    app.setLevel(logging.NOTSET)
    if one.is_instrumented_by_opentelemetry:
        one.uninstrument()


def records(exporter):
    """Return the exported records."""
    return [data.log_record for data in exporter.get_finished_logs()]


def test_a_log_call_is_bridged_with_its_ids(exporter, instrumentor):
    """Text, severity, extras, trace and request id arrive."""
    with (
        TracerProvider(shutdown_on_exit=False).get_tracer("t").start_as_current_span("s") as span,
        context.with_request_id("r-1"),
    ):
        app.info("flight %s is %d minutes late", "B6", 20, extra={"carrier": "B6"})
    (record,) = records(exporter)
    assert (record.body, record.severity_text) == ("flight B6 is 20 minutes late", "INFO")
    assert dict(record.attributes) == {"carrier": "B6", "ml.request.id": "r-1"}
    assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
    assert abs(record.timestamp - record.observed_timestamp) < 10**9


def test_exceptions_go_out_scrubbed_and_are_printed_whole(exporter, instrumentor):
    """``exc_info`` and exception arguments lose raw values on the way out; the application's own handler shows all."""
    stream = io.StringIO()
    console = logging.StreamHandler(stream)
    app.addHandler(console)
    try:
        try:
            try:
                float(f"{CANARY} a")
            except ValueError as error:
                raise RuntimeError(f"row '{CANARY}' is bad") from error
        except RuntimeError as error:
            app.exception("failed: %s", error)
    finally:
        app.removeHandler(console)
    (record,) = records(exporter)
    assert record.body == "failed: row '…' is bad"
    assert record.attributes["exception.type"] == "RuntimeError"
    assert record.attributes["exception.message"] == "row '…' is bad"
    assert "ValueError: could not convert" in record.attributes["exception.stacktrace"]
    assert CANARY not in str(record.attributes)
    assert stream.getvalue().count(CANARY) >= 3
    assert "Traceback" in stream.getvalue()


@pytest.mark.parametrize("name", ["otelml", "otelml.x", "opentelemetry.sdk.trace", "uvicorn.access"])
def test_loggers_that_would_loop_or_leak_are_left_out(exporter, instrumentor, name):
    """Our own loggers, OpenTelemetry's and access logs are not bridged."""
    logging.getLogger(name).error("GET /%s", CANARY)
    assert records(exporter) == []


def test_names_that_only_begin_alike_are_bridged(exporter, instrumentor):
    """``otelmlapp`` is not ours."""
    logging.getLogger("otelmlapp").error("x")
    assert len(records(exporter)) == 1


def test_libraries_that_print_addresses_are_scrubbed(exporter, instrumentor):
    """The text of HTTP libraries and of asyncio loses addresses and values."""
    logging.getLogger("httpx").warning("HTTP Request: GET https://host/%s?q=%s", CANARY, CANARY)
    logging.getLogger("asyncio").error("Task exception: <Task exception=ValueError('%s')>", CANARY)
    assert len(records(exporter)) == 2
    assert CANARY not in str(records(exporter))


def test_logs_of_exporters_are_not_exported(exporter, instrumentor):
    """What is logged while telemetry is being sent is not sent again."""
    with suppress_instrumentation():
        app.error("x")
    assert records(exporter) == []


def test_a_processor_that_logs_does_not_loop(provider, exporter, instrumentor):
    """A log call made while a record is being emitted ends there."""

    class Chatty(SimpleLogRecordProcessor):
        def on_emit(self, log_record):
            app.error("again")
            super().on_emit(log_record)

    provider.add_log_record_processor(Chatty(InMemoryLogRecordExporter()))
    app.error("once")
    assert [record.body for record in records(exporter)] == ["once"]


def test_the_level_is_kept(provider, exporter):
    """With a level, by name or number, lower records stay home."""
    one = OtelmlLoggingInstrumentor()
    one.instrument(logger_provider=provider, level="warning")
    try:
        app.setLevel(logging.DEBUG)
        app.info("a")
        app.warning("b")
    finally:
        one.uninstrument()
        app.setLevel(logging.NOTSET)
    assert [record.body for record in records(exporter)] == ["b"]


def test_uninstrument_restores_everything(provider):
    """Handlers, the record factory and the functions that configure logging are the very same again."""

    def state():
        functions = (logging.basicConfig, logging.config.dictConfig, logging.config.fileConfig)
        return (*functions, logging.getLogRecordFactory(), list(logging.getLogger().handlers))

    before = state()
    one = OtelmlLoggingInstrumentor()
    for _ in range(2):
        one.instrument(logger_provider=provider)
        assert sum(isinstance(handler, Bridge) for handler in logging.getLogger().handlers) == 1
        one.uninstrument()
        assert state() == before


def test_another_bridge_is_not_doubled(provider, exporter):
    """When a bridge is there already, one log call gives one record."""
    bridge = Bridge(logger_provider=provider)
    logging.getLogger().addHandler(bridge)
    one = OtelmlLoggingInstrumentor()
    try:
        one.instrument(logger_provider=provider)
        app.error("x")
        one.uninstrument()
    finally:
        logging.getLogger().removeHandler(bridge)
    assert len(records(exporter)) == 1


PRINTS = """
import logging, logging.config, sys
if "--plain" not in sys.argv:
    from otelml.integrations.logging import OtelmlLoggingInstrumentor
    OtelmlLoggingInstrumentor().instrument()
{body}
"""


@pytest.mark.parametrize(
    "body",
    [
        "logging.getLogger('app').warning('careful')\nlogging.getLogger('app').info('quiet')",
        "logging.basicConfig(format='%(name)s %(message)s', level='INFO')\nlogging.getLogger('app').info('x')",
        (
            "logging.config.dictConfig({'version': 1, 'handlers': {'c': {'class': 'logging.StreamHandler'}},"
            " 'root': {'handlers': ['c'], 'level': 'INFO'}})\nlogging.getLogger('app').info('x')"
        ),
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.getLogger('app').exception('no')",
    ],
)
def test_what_the_application_prints_stays_the_same(body):
    """Byte for byte the same stderr with and without the bridge: unconfigured, basicConfig, dictConfig, tracebacks."""
    printed = [
        subprocess.run(
            [sys.executable, "-c", PRINTS.format(body=body), *options], capture_output=True, text=True, check=True
        ).stderr
        for options in ([], ["--plain"])
    ]
    assert printed[0] == printed[1] != ""
