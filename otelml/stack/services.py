"""The five processes of the stack: what each is started with, and how to tell that it is ready."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from otelml.stack.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otelml.stack.places import State

_given = os.environ.get("STACK_MEMORY_MIB", "")
MEMORY_MIB = int(_given) if _given.isdecimal() and int(_given) else 512
"""What the collector may use; it refuses before that, and its garbage collector works harder from 80 % on."""


@dataclass(frozen=True, slots=True)
class Service:
    """One process: its binary, arguments, the variables it reads, and the URL that answers 200 when it is ready."""

    name: str
    arguments: tuple[str, ...]
    ready: str
    address: str
    environment: Mapping[str, str]


def services(files: Path, state: State, ports: Mapping[str, int], overlays: Sequence[str] = ()) -> list[Service]:
    """Return the processes in the order they start: whoever sends comes after those it sends to."""
    collector, shared = files / "collector", _environment(state, ports)
    made = [_prometheus(state, ports), _loki(collector, ports), _alertmanager(state, ports)]
    made += [_jaeger(collector, ports), _otelcol(collector, ports, overlays)]
    return [Service(name, tuple(arguments), ready, address, shared) for name, arguments, ready, address in made]


_Row = tuple[str, list[str], str, str]


def _http(ports: Mapping[str, int], name: str) -> str:
    return f"http://{LOOPBACK}:{ports[name]}"


def _prometheus(state: State, ports: Mapping[str, int]) -> _Row:
    url = _http(ports, "prometheus")
    arguments = [
        f"--config.file={state.config}/prometheus/prometheus.yaml",
        f"--storage.tsdb.path={state.data}/prometheus",
        "--storage.tsdb.retention.time=15d",
        "--storage.tsdb.retention.size=8GB",
        f"--web.listen-address={LOOPBACK}:{ports['prometheus']}",
        "--web.enable-otlp-receiver",
        "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion",
        "--log.level=warn",
    ]
    return "prometheus", arguments, f"{url}/-/ready", url


def _loki(collector: Path, ports: Mapping[str, int]) -> _Row:
    url = _http(ports, "loki")
    return "loki", [f"-config.file={collector}/loki.yaml", "-config.expand-env=true"], f"{url}/ready", url


def _alertmanager(state: State, ports: Mapping[str, int]) -> _Row:
    url = _http(ports, "alertmanager")
    arguments = [
        f"--config.file={state.config}/alertmanager/alertmanager.yaml",
        f"--storage.path={state.data}/alertmanager",
        f"--web.listen-address={LOOPBACK}:{ports['alertmanager']}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    return "alertmanager", arguments, f"{url}/-/ready", url


def _jaeger(collector: Path, ports: Mapping[str, int]) -> _Row:
    ready = f"{_http(ports, 'jaeger-health')}/status"
    return "jaeger", ["--config", f"file:{collector}/jaeger.yaml"], ready, _http(ports, "jaeger")


def _otelcol(collector: Path, ports: Mapping[str, int], overlays: Sequence[str]) -> _Row:
    arguments = ["--config", f"file:{collector}/otelcol.yaml"]
    for overlay in overlays:
        arguments += ["--config", f"file:{overlay_file(collector, overlay)}"]
    return "otelcol", arguments, f"{_http(ports, 'otelcol-health')}/", _http(ports, "otlp-http")


def overlay_file(collector: Path, overlay: str) -> Path:
    """Return the file of an overlay: one that is shipped, by its name, or the user's own, by its path."""
    shipped = collector / "overlays" / f"{overlay}.yaml"
    return shipped if shipped.is_file() else Path(overlay).absolute()


def _environment(state: State, ports: Mapping[str, int]) -> dict[str, str]:
    def at(name: str) -> str:
        return f"{LOOPBACK}:{ports[name]}"

    return {
        "STACK_OTLP_GRPC": at("otlp-grpc"),
        "STACK_OTLP_HTTP": at("otlp-http"),
        "STACK_HEALTH": at("otelcol-health"),
        "STACK_OTELCOL_PORT": str(ports["otelcol-metrics"]),
        "STACK_QUEUE_DIR": str(state.data / "queue"),
        "STACK_TOKEN_FILE": str(state.token_file),
        "STACK_REDACTION_KEY_FILE": str(state.key_file),
        "STACK_MEMORY_MIB": str(MEMORY_MIB),
        "STACK_PROMETHEUS_URL": _http(ports, "prometheus"),
        "STACK_JAEGER_OTLP": at("jaeger-otlp"),
        "STACK_JAEGER_HTTP": at("jaeger"),
        "STACK_JAEGER_GRPC": at("jaeger-grpc"),
        "STACK_JAEGER_HEALTH": at("jaeger-health"),
        "STACK_JAEGER_PORT": str(ports["jaeger-metrics"]),
        "STACK_JAEGER_DIR": str(state.data / "jaeger"),
        "STACK_LOKI_URL": _http(ports, "loki"),
        "STACK_LOKI_PORT": str(ports["loki"]),
        "STACK_LOKI_GRPC_PORT": str(ports["loki-grpc"]),
        "STACK_LOKI_DIR": str(state.data / "loki"),
    }
