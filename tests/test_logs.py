"""The JSON log file: every record, one object a line, private, rotated, and never in the application's way."""

import json
import logging
import os
import stat
import time
from functools import partial

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otelml import _guard, context, logs
from otelml.errors import ConfigError
from otelml.export import BatchQueue
from otelml.integrations.logging import Bridge
from otelml.outage import Outage
from otelml.processors import LogQueueProcessor

CANARY = "canary-7f3a Smith"


@pytest.fixture
def provider():
    """A logger provider that is shut down after the test."""
    provider = LoggerProvider(resource=Resource({"service.name": "flights"}), shutdown_on_exit=False)
    yield provider
    provider.shutdown()


@pytest.fixture
def app_logger(provider):
    """An application's logger, bridged to the provider."""
    logger = logging.getLogger("app.test_logs")
    bridge = Bridge(logger_provider=provider)
    logger.addHandler(bridge)
    logger.setLevel(logging.INFO)
    yield logger
    logger.removeHandler(bridge)


def writing(path, **options):
    """Return what ``OTELML_LOG_FILE`` adds to the logger provider."""
    make = partial(logs.JsonFileExporter, path, **options)
    return LogQueueProcessor(BatchQueue("log_line", make, lambda *_: None, Outage()))


def lines(path):
    """Return the objects in a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_event_and_a_log_call_become_lines(tmp_path, provider, app_logger):
    """Events and bridged log calls stand in one file with time, severity, ids and text, non-ASCII kept."""
    path = tmp_path / "log.json"
    provider.add_log_record_processor(writing(path))
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    with tracer.start_as_current_span("s") as span, context.with_request_id("r-1"):
        app_logger.warning("flight %s läuft ✈", "B6")
        provider.get_logger("otelml").emit(
            timestamp=1_700_000_000_123_456_789,
            severity_number=SeverityNumber.INFO,
            event_name="ml.prediction",
            attributes={"ml.prediction.id": "p-1", "ml.batch.size": 3, "shape": [3, 4]},
        )
    assert provider.force_flush()
    ids = {"trace_id": f"{span.context.trace_id:032x}", "span_id": f"{span.context.span_id:016x}"}
    log, event = lines(path)
    assert log.pop("timestamp").endswith("Z")
    assert log == {
        "severity": "WARN",
        "logger": "app.test_logs",
        "message": "flight B6 läuft ✈",
        "service.name": "flights",
        "request_id": "r-1",
        **ids,
    }
    assert event == {
        "timestamp": "2023-11-14T22:13:20.123Z",
        "severity": "INFO",
        "logger": "otelml",
        "event_name": "ml.prediction",
        "service.name": "flights",
        "prediction_id": "p-1",
        "attributes": {"ml.batch.size": 3, "shape": [3, 4]},
        **ids,
    }
    assert "läuft ✈" in path.read_text(encoding="utf-8")


def test_odd_values_stay_json(tmp_path, provider):
    """NaN, infinity, bytes, a megabyte, line breaks and lone surrogates give one valid line each."""
    path = tmp_path / "log.json"
    provider.add_log_record_processor(writing(path))
    odd = {"nan": float("nan"), "inf": float("inf"), "bytes": b"\xff\x00", "long": "x" * 1_000_000, "deep": {"a": [1]}}
    provider.get_logger("a").emit(body="two\nlines \ud800", attributes=odd)
    provider.force_flush()
    (line,) = lines(path)
    attributes = line["attributes"]
    assert (attributes["nan"], attributes["inf"], attributes["deep"]) == ("nan", "inf", {"a": [1]})
    assert len(attributes["long"]) == logs.MAX_TEXT + 1
    assert line["message"].startswith("two\nlines")


def test_exceptions_are_scrubbed_whoever_logged_them(tmp_path, provider, app_logger):
    """Neither a bridged ``exc_info`` nor ``emit(exception=)`` leaves raw values in the file."""
    path = tmp_path / "log.json"
    provider.add_log_record_processor(writing(path))
    try:
        float(CANARY)
    except ValueError as error:
        app_logger.exception("conversion failed: %s", error)  # noqa: TRY401 - applications do this
        provider.get_logger("foreign").emit(body="failed", exception=error)
    provider.force_flush()
    assert "canary" not in path.read_text()
    first, second = lines(path)
    assert first["exception"]["message"] == second["exception"]["message"] == "could not convert string to float: '…'"
    assert "test_logs.py" in first["exception"]["stacktrace"]
    assert "test_logs.py" in second["exception"]["stacktrace"]
    assert first["message"] == "conversion failed: could not convert string to float: '…'"


def test_rotation_by_size_keeps_the_backups_and_every_line(tmp_path, provider):
    """Files stay under the size, no more than ``backups`` are kept, all private, the newest lines are there."""
    path = tmp_path / "log.json"
    provider.add_log_record_processor(writing(path, max_bytes=2_000, backups=2))
    for number in range(100):
        provider.get_logger("a").emit(body=f"line {number}")
    provider.force_flush()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log.json", "log.json.1", "log.json.2"]
    assert all(file.stat().st_size <= 2_000 for file in files)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    messages = [line["message"] for file in reversed(files) for line in lines(file)]
    assert messages == [f"line {number}" for number in range(100 - len(messages), 100)]


def test_rotation_by_time(tmp_path, provider):
    """A file of the last second is put aside when the next line comes."""
    path = tmp_path / "log.json"
    provider.add_log_record_processor(writing(path, when="S", backups=3))
    for number in range(2):
        provider.get_logger("a").emit(body=f"line {number}")
        provider.force_flush()
        time.sleep(1.1)
    assert len(list(tmp_path.iterdir())) == 2
    assert [line["message"] for line in lines(path)] == ["line 1"]


def test_each_process_has_its_own_file(tmp_path, provider):
    """``{pid}`` in the path gives a forked child a file of its own."""
    provider.add_log_record_processor(writing(tmp_path / "log-{pid}.json"))
    provider.get_logger("a").emit(body="parent")
    provider.force_flush()
    pid = os.fork()
    if pid == 0:
        provider.get_logger("a").emit(body="child")
        provider.force_flush()
        os._exit(0)
    os.waitpid(pid, 0)
    assert lines(tmp_path / f"log-{os.getpid()}.json")[0]["message"] == "parent"
    assert [line["message"] for line in lines(tmp_path / f"log-{pid}.json")] == ["child"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"max_bytes": -1}, "0 for no rotation"),
        ({"when": "weekly"}, "midnight"),
        ({"backups": -1}, "at least 0"),
    ],
)
def test_a_senseless_rotation_is_refused_at_the_start(tmp_path, options, word):
    """Each wrong option is named with its fix."""
    with pytest.raises(ConfigError, match=word):
        logs.JsonFileExporter(tmp_path / "log.json", **options)


def test_an_unwritable_path_is_refused_at_the_start(tmp_path):
    """A directory that is not there is named at start-up, not when the first line is lost."""
    with pytest.raises(ConfigError, match="No such file or directory"):
        logs.JsonFileExporter(tmp_path / "missing" / "log.json")


def test_a_file_that_breaks_later_is_only_counted(tmp_path, provider, monkeypatch, capfd):
    """A full disk costs lines and a count; the application sees nothing raised and nothing printed per line."""
    monkeypatch.setattr(_guard, "strict", False)
    before = _guard.errors().get("logs.write", 0)
    (tmp_path / "log.json").symlink_to("/dev/full")
    provider.add_log_record_processor(writing(tmp_path / "log.json"))
    for _ in range(5):
        provider.get_logger("a").emit(body="x")
    provider.force_flush()
    assert _guard.errors()["logs.write"] == before + 5
    assert "--- Logging error ---" not in capfd.readouterr().err


def test_the_logger_adds_the_ids_and_keeps_the_rest(caplog):
    """``otelml.logger()`` is named after its caller, keeps ``extra`` and the caller's line, and adds the ids."""
    logger = logs.logger()
    with caplog.at_level(logging.INFO), context.with_request_id("r-1"):
        logger.info("hello %s", "you", extra={"mine": 1})
    (record,) = caplog.records
    assert (record.name, record.getMessage(), record.mine) == (__name__, "hello you", 1)
    assert vars(record)["ml.request.id"] == "r-1"
    assert record.filename == "test_logs.py"
    assert logs.logger("other").logger.name == "other"
