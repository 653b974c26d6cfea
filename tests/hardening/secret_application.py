"""An application that has a secret in every value it handles, and marks in what otelml shows by design.

usage: python secret_application.py FOLDER < SECRET

Everything else is set by OTEL_* and OTELML_* variables. What Prometheus would scrape is written to FOLDER.
"""

import logging
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import joblib
import numpy as np
import pandas as pd
import requests
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import otelml
from otelml import prometheus
from otelml.recorder import Recorder

MARKS = {
    "model": "shown-model",
    "version": "shown-version",
    "variant": "shown-variant",
    "stage": "shown-stage",
    "class": "shown-class",
    "source of features": "shown-source",
    "truth": "shown-truth",
    "slice": "shown-slice",
    "business unit": "shown-unit",
    "request id": "shown-request",
    "prediction id": "shown-prediction",
    "event": "shown.event",
    "event attributes": "shown-attribute",
    "log words": "shown words of a log call",
    "names of extras": "shown-extra",
    "route": "shown-route",
    "exception class": "ShownError",
    "function and file": "shown_function",
    "words of exceptions": "shown words of an exception",
    "trace state": "shown-state",
    "span attributes of your own": "shown-span",
    "hosts that are called": "shown-host.invalid",
    "service and resource": "shown-service",
    "features of a reference": "shown-feature",
    "categories of a reference": "shown-category",
}
"""What is exported as it is, by the row of docs/privacy.md that says so."""


class ShownError(ValueError):
    """An exception of the application's."""


def shown_function(secret):
    """Fail with a secret in everything that an exception has."""
    local = {"password": secret}
    try:
        float(secret)
    except ValueError as cause:
        error = ShownError(f"bad row: {local!r} '{secret}' {secret}", secret, {"key": secret})
        error.add_note(f"note: {secret}")
        error.secret = secret
        raise error from cause


def application(secret):
    """Return a service that fails in every way."""
    app = FastAPI(title=secret)

    @app.get("/shown-route/{key}")
    def found(key: str, request: Request):
        return {"key": key, "headers": dict(request.headers)}

    @app.post("/fails/{key}")
    async def fails(key: str):
        shown_function(secret)

    @app.get("/refuses/{key}")
    def refuses(key: str):
        raise HTTPException(418, detail=secret, headers={"X-Secret": secret})

    return app


def served(app):
    """Serve an application on a free port; return its server and address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", access_log=False))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return server, f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


def call(secret, address):
    """Send requests with secrets in every part."""
    headers = dict.fromkeys(("Authorization", "Cookie", "X-Api-Key", "User-Agent", "Referer", "X-Custom"), secret)
    headers |= {"X-Forwarded-For": secret, "X-Request-ID": f"{secret} is no id", "Content-Type": f"text/{secret}"}
    headers |= {"tracestate": f"a={MARKS['trace state']}", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    for path in ("shown-route", "fails", "refuses", "unknown"):
        for method in ("GET", "POST", "DELETE", secret):
            url = f"http://{secret}:{secret}@{address}/{path}/{secret}?q={secret}&{secret}#{secret}"
            requests.request(method, url, headers=headers, data=secret, timeout=20)
    requests.get(f"http://{address}/refuses/x", headers={"X-Request-ID": MARKS["request id"]}, timeout=20)
    for url in (
        f"http://127.0.0.1:9/{secret}?q={secret}",
        f"http://{MARKS['hosts that are called']}/",
        f"{secret}://x",
        f"http://[{secret}",
    ):
        with suppress(requests.RequestException, ValueError):
            requests.get(url, headers=headers, timeout=0.5)
    with suppress(ValueError):
        requests.get(f"http://{address}/", headers={"X-Bad": f"{secret}\nx"}, timeout=0.5)


def log(secret):
    """Log a secret in every argument and extra."""
    logger = logging.getLogger("app")
    extra = {MARKS["names of extras"]: secret, "more": {"deep": [secret, {"x": secret}]}, "raw": secret.encode()}
    logger.warning("%s %r", secret, [secret], extra=extra)
    logger.warning("shown words of a log call: %(key)s", {"key": secret})
    logger.error({"key": secret})
    logger.error(ShownError(secret))
    logger.error("%s", ShownError(f"'{secret}'"))
    logger.error("%s", pd.DataFrame({secret: [secret]}))
    logger.warning("%d", secret)  # a fault of the application's, which Python prints
    otelml.logger("app").warning("x", extra={"key": secret}, stack_info=True)
    try:
        shown_function(secret)
    except ShownError:
        logger.exception("failed for %s", secret)
        logging.getLogger("urllib3").exception("GET /%s", secret)


def predict(secret):
    """Predict with the manual calls, with secrets in inputs, outputs, exceptions, and values of every type."""
    frame = pd.DataFrame({"shown-feature": [secret, secret], secret: [secret, 1.5]})
    inputs = (
        frame,
        [{secret: secret}],
        np.array([[secret]]),
        secret,
        {secret: [secret]},
        [[secret]],
        pd.Series([secret]),
    )
    for each in inputs:
        with otelml.prediction(MARKS["model"], MARKS["version"], variant=MARKS["variant"]) as p:
            with p.stage(MARKS["stage"]):
                p.result(inputs=each, predictions=[[secret, secret]], confidence=[secret], values=[secret])
                p.observe(inputs=each, values=secret, confidence=secret)
            p.result(business_value=secret, business_value_unit=MARKS["business unit"])
            p.slice(carrier=MARKS["slice"], unknown=secret)
            p.set_attribute("own", MARKS["span attributes of your own"])
        with suppress(ShownError), otelml.feature_retrieval(source=MARKS["source of features"]) as retrieval:
            retrieval.observe(each)
            shown_function(secret)
    with suppress(ShownError), otelml.prediction(MARKS["model"]) as p, p.stage("inference"):
        shown_function(secret)
    with suppress(ShownError), otelml.prediction(MARKS["model"]):
        raise ShownError(f"{MARKS['words of exceptions']}: {secret!r} and {secret}")
    with suppress(ShownError), otelml.prediction(MARKS["model"], members=[otelml.batch_member()]) as p:
        p.record_exception(ShownError(f"'{secret}'"))
        shown_function(secret)
    with otelml.prediction(MARKS["model"], prediction_id=MARKS["prediction id"]) as p:
        p.result(predictions=MARKS["class"], confidence=0.9, inputs=[["shown-category", 1.0]])
    otelml.record_outcome(MARKS["prediction id"], MARKS["truth"])
    otelml.record_outcome("another", {"secret": secret}, at=secret)
    otelml.event(MARKS["event"], attribute=MARKS["event attributes"])

    @otelml.track_prediction(model=MARKS["model"])
    def tracked(given):
        return float(len(given))

    tracked(secret)
    with suppress(ShownError):
        otelml.track_prediction(shown_function)(secret)


def learn(secret, folder):
    """Fit, save, load and use models whose data and paths hold secrets."""
    frame = pd.DataFrame({secret: [secret, "b"] * 10, "x": np.arange(20.0)})
    texts = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(
        frame[[secret]], [0, 1] * 10
    )
    texts.predict(frame[[secret]])
    numbers = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame[["x"]], [0, 1] * 10)
    for wrong in (frame[[secret]], [[secret]], np.array([[secret]], dtype=object)):
        with suppress(ValueError):
            numbers.predict(wrong)
    place = Path(folder, secret)
    place.mkdir()
    path = place / f"{secret}.joblib"
    joblib.dump(numbers, path)
    joblib.load(path).predict_proba(frame[["x"]].to_numpy())
    with suppress(FileNotFoundError):
        joblib.load(place / "missing.joblib")
    return otelml.watch(numbers, "watched", artifact=path, device=secret)


def break_otelml(secret):
    """Make a part of otelml fail with a secret in its hands: what it prints then is looked at as well."""

    def broken(*_):
        raise RuntimeError(f"'{secret}'")

    with patch.object(Recorder, "put", broken), suppress(ShownError), otelml.prediction("broken"):
        shown_function(secret)


def main(folder):
    """Do all of it, in threads as well, and write what Prometheus would read."""
    secret = sys.stdin.read()
    logging.basicConfig(stream=open(os.devnull, "w"), level=logging.DEBUG)  # noqa: PTH123, SIM115 - what it prints itself
    logging.raiseExceptions = False
    for name in ("otelml", "opentelemetry"):
        logging.getLogger(name).addHandler(logging.StreamHandler(sys.stderr))
    runtime = otelml.auto_instrument()
    server, address = served(application(secret))
    with ThreadPoolExecutor(1, thread_name_prefix=secret) as pool:
        pool.submit(predict, secret).result()
    call(secret, address)
    log(secret)
    model = learn(secret, folder)
    break_otelml(secret)
    assert runtime.force_flush(20.0)
    body = prometheus.wsgi_app()({"HTTP_ACCEPT": "application/openmetrics-text;version=1.0.0"}, lambda *_: None)
    Path(folder, "metrics.txt").write_bytes(b"".join(body))
    del model
    server.should_exit = True
    assert runtime.shutdown(20.0)


if __name__ == "__main__":
    main(sys.argv[1])
