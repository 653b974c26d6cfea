"""What the servers of ``test_servers.py`` serve: one prediction a request, and otelml started where WAY says.

``parent``: here, or in the server's configuration; ``child``: in the server's hook for a new worker; ``both``; ``run``:
nowhere, ``otelml run`` does it. A parent predicts WARM times and flushes, so that it has counts and open connections.
"""

import asyncio
import os
import sys
from pathlib import Path

import otelml
from otelml import runtime

WAY = os.environ.get("WAY", "child")
WARM = 5


def predict():
    """Make one prediction of one stage."""
    with otelml.prediction("m") as p:
        with p.stage("inference"):
            pass
        p.result(classes="late", confidence=0.9)


def start_in_parent():
    """Start otelml if this is the way, and make predictions that are the parent's own."""
    if WAY in ("parent", "both"):
        otelml.auto_instrument()
    if WAY != "child":
        warm()


def start_in_child():
    """Start otelml if this is the way."""
    if WAY in ("child", "both"):
        otelml.auto_instrument()


def warm():
    """Predict and flush, and leave a note of how often."""
    for _ in range(WARM):
        predict()
    assert "COLD" in os.environ or runtime.active.force_flush(20.0)
    note("warm", WARM)


def note(name, text):
    """Leave a file for the test."""
    Path(os.environ["NOTES"], f"{name}-{os.getpid()}").write_text(str(text))


def wsgi(environ, start_response):
    """Predict, answer a scrape, or end the process the way the path says."""
    if environ["PATH_INFO"] == "/metrics":
        return metrics(environ, start_response)
    predict()
    answer = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    if environ["PATH_INFO"] == "/exit":
        sys.exit(3)
    return [answer]


def metrics(environ, start_response):
    """Answer with what Prometheus is to know, as an application that mounts it."""
    from otelml import prometheus  # noqa: PLC0415 - where it is asked for

    return prometheus.wsgi_app()(environ, start_response)


async def asgi(scope, receive, send):
    """Predict; an application without a lifespan."""
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    predict()
    await asyncio.sleep(0)
    answer = str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


if os.environ.get("AT_IMPORT") == "parent":
    start_in_parent()
elif os.environ.get("AT_IMPORT") == "child":
    start_in_child()
