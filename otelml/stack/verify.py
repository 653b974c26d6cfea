"""One marked prediction, sent by otelml and read back from Prometheus, Jaeger and Loki."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

import requests

from otelml import semconv
from otelml.prometheus_names import metric_name
from otelml.stack import web
from otelml.stack.errors import StackError
from otelml.stack.marked import SERVICE
from otelml.stack.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FIND_SECONDS, SEND_SECONDS = 30.0, 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one store says: where to look, and whether it is there."""

    store: str
    what: str
    link: str
    found: bool


def verify(ports: Mapping[str, int], token: str, *, seconds: float = FIND_SECONDS) -> list[Finding]:
    """Send one prediction and look for it in all three stores until it is there, or so many seconds are over.

    Raises:
        StackError: When the collector takes nothing, or the prediction could not be sent.
    """
    endpoint = f"http://{LOOPBACK}:{ports['otlp-http']}"
    check_ingest(endpoint, token)
    instance = str(uuid4())
    mark = _predict(endpoint, token, instance)
    checks = [_counter(ports, instance), _trace(ports, mark["trace_id"]), _event(ports, mark)]
    deadline = time.monotonic() + seconds
    found = [False] * len(checks)
    while True:
        found = [already or check[3]() for already, check in zip(found, checks, strict=True)]
        if all(found) or time.monotonic() > deadline:
            break
        time.sleep(0.25)
    return [Finding(*check[:3], found=there) for check, there in zip(checks, found, strict=True)]


def check_ingest(endpoint: str, token: str) -> None:
    """Raise StackError when the collector is not there, does not take the token, or takes what has none."""
    url, kind = f"{endpoint}/v1/traces", {"Content-Type": "application/x-protobuf"}
    try:
        answer = web.post(url, b"", {**kind, "Authorization": f"Bearer {token}"})
        without = web.post(url, b"", kind)
    except requests.RequestException as error:
        raise StackError(
            "The collector does not answer.",
            [f"{url}: {type(error).__name__}; see: otelml stack status, otelml stack logs otelcol"],
        ) from None
    if answer.status_code == requests.codes.unauthorized:
        raise StackError(
            "The collector refuses the token.",
            ["it takes those in its own token file: is it the stack of another state directory (--state DIR)?"],
        )
    if not answer.ok:
        raise StackError("The collector refuses.", [f"{url} answers {answer.status_code}: {answer.text[:200]}"])
    if without.ok:
        raise StackError("The collector takes telemetry from anybody.", ["without a token it should answer 401"])


def _predict(endpoint: str, token: str, instance: str) -> dict[str, Any]:
    """Let a child process predict, with none of this one's settings; return the ids."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL", "OTELML_"))}
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{token}",
        "OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={instance}",
        "OTELML_GPU": "false",
        "OTELML_HOST": "false",
        "NO_PROXY": LOOPBACK,
    }
    done = subprocess.run(
        [sys.executable, "-m", "otelml.stack.marked"],
        env={**kept, **settings},
        capture_output=True,
        text=True,
        timeout=SEND_SECONDS,
        check=False,
    )
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = {}
    if not said.get("sent"):
        last = done.stderr.strip().splitlines()[-5:] or [f"exit code {done.returncode}"]
        raise StackError("The prediction could not be sent.", last)
    return said


_Check = tuple[str, str, str, "Callable[[], bool]"]


def _counter(ports: Mapping[str, int], instance: str) -> _Check:
    name = metric_name(semconv.REQUESTS.name, semconv.REQUESTS.unit, counter=True, gauge=False)
    query = f'sum({name}{{service_instance_id="{instance}"}})'
    url = f"http://{LOOPBACK}:{ports['prometheus']}/api/v1/query"

    def there() -> bool:
        said = web.json_of(url, {"query": query}) or {}
        return [row["value"][1] for row in said.get("data", {}).get("result", ())] == ["1"]

    return "Prometheus", f"{query} = 1", f"{url}?{urlencode({'query': query})}", there


def _trace(ports: Mapping[str, int], trace_id: str) -> _Check:
    url = f"http://{LOOPBACK}:{ports['jaeger']}/api/traces/{trace_id}"

    def there() -> bool:
        said = web.json_of(url) or {}
        return sum(len(found["spans"]) for found in said.get("data") or ()) == 2  # noqa: PLR2004 - root and stage

    return "Jaeger", f"trace {trace_id}, 2 spans", url, there


def _event(ports: Mapping[str, int], mark: Mapping[str, str]) -> _Check:
    query = f'{{service_name="{SERVICE}"}} | trace_id="{mark["trace_id"]}"'
    url = f"http://{LOOPBACK}:{ports['loki']}/loki/api/v1/query_range"
    parameters = {"query": query, "since": "1h"}

    def there() -> bool:
        said = web.json_of(url, parameters) or {}
        return sum(len(stream["values"]) for stream in said.get("data", {}).get("result", ())) == 1

    return "Loki", f"{query}, 1 event", f"{url}?{urlencode(parameters)}", there
