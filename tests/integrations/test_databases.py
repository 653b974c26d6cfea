"""Clients of databases within a prediction's retrieval: their spans are below the stage, and hold no statement."""

import socket
import threading
from importlib import import_module

import duckdb
import pytest
import sqlalchemy

import otelml

CANARY = "canary7f3a"
STATEMENT = f"SELECT '{CANARY}' AS airport"


def instrumented(name, kind, telemetry):
    """Switch one integration on, with the test's provider."""
    one = getattr(import_module(f"otelml.integrations.{name}"), kind)()
    one.instrument(skip_dep_check=True, tracer_provider=telemetry.tracer_provider)
    return one


def retrieved(telemetry, call):
    """Call within a prediction's retrieval; return the spans below the stage."""
    with otelml.prediction("delay"), otelml.feature_retrieval():
        call()
    spans = telemetry.spans()
    (stage,) = [span for span in spans if span.name == "feature_retrieval"]
    assert CANARY not in str([span for span in spans if span.name != "predict delay"])
    return [span for span in spans if span.parent_id == stage.span_id]


def test_duckdb(telemetry):
    """A statement is a child; outside of any span it is none; a fault is told without the statement."""
    before = [vars(duckdb.DuckDBPyConnection)[name] for name in ("execute", "executemany")]
    one = instrumented("duckdb", "DuckDBInstrumentor", telemetry)
    try:
        with duckdb.connect() as connection:
            assert connection.execute(STATEMENT).fetchall() == [(CANARY,)]
            assert telemetry.spans() == []
            (span,) = retrieved(telemetry, lambda: connection.execute(STATEMENT).fetchall())
            with pytest.raises(duckdb.Error, match=CANARY), otelml.prediction("delay"):
                connection.execute(f"SELECT * FROM {CANARY}")  # noqa: S608 - a constant
    finally:
        one.uninstrument()
    assert (span.name, span.kind, span.attributes["db.system.name"]) == ("duckdb execute", "CLIENT", "duckdb")
    failed = [each for each in telemetry.spans() if each.name == "duckdb execute"][-1]
    assert failed.status == "ERROR"
    assert [vars(duckdb.DuckDBPyConnection)[name] for name in ("execute", "executemany")] == before


def test_sqlalchemy(telemetry):
    """With upstream's instrumentation installed a statement is a child, without its text."""
    pytest.importorskip("opentelemetry.instrumentation.sqlalchemy", reason="scripts/test-integrations stores")
    pytest.importorskip("greenlet", reason="upstream's instrumentation imports SQLAlchemy's asyncio part")
    one = instrumented("sqlalchemy", "SQLAlchemyInstrumentor", telemetry)
    try:
        engine = sqlalchemy.create_engine("sqlite://")
        with engine.connect() as connection:
            spans = retrieved(telemetry, lambda: connection.execute(sqlalchemy.text(STATEMENT)).all())
        engine.dispose()
    finally:
        one.uninstrument()
    assert [span.kind for span in spans] == ["CLIENT"]
    assert not {"db.statement", "db.query.text", "db.user"} & set(spans[0].attributes)


@pytest.fixture
def redis_server():
    """A server that answers each command with OK; gives its port and what it got."""
    got, listening = [], socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(65536):
                    got.append(data)
                    connection.sendall(b"+OK\r\n" * max(1, data.count(b"*") - data.count(b"$*")))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1], got
    listening.close()


def test_redis(telemetry, redis_server):
    """With upstream's instrumentation installed a command is a child, without its key and value."""
    redis = pytest.importorskip("redis", reason="redis is not installed; scripts/test-integrations stores")
    pytest.importorskip("opentelemetry.instrumentation.redis", reason="scripts/test-integrations stores")
    port, got = redis_server
    one = instrumented("redis", "RedisInstrumentor", telemetry)
    try:
        client = redis.Redis("127.0.0.1", port, protocol=2, socket_timeout=5)
        spans = retrieved(telemetry, lambda: client.set(CANARY, CANARY))
        client.close()
    finally:
        one.uninstrument()
    assert CANARY.encode() in b"".join(got)
    assert [(span.name, span.kind) for span in spans] == [("SET", "CLIENT")]
    assert "db.statement" not in spans[0].attributes


def test_without_upstream_nothing_happens(telemetry, monkeypatch):
    """Where upstream's instrumentation is not installed, calls go on as they are."""
    monkeypatch.setitem(import_module("sys").modules, "opentelemetry.instrumentation.sqlalchemy", None)
    one = instrumented("sqlalchemy", "SQLAlchemyInstrumentor", telemetry)
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        assert retrieved(telemetry, lambda: connection.execute(sqlalchemy.text(STATEMENT)).all()) == []
    engine.dispose()
    one.uninstrument()
