"""Makes the exporters, samplers and preferences that the settings name; imports only what is configured."""

from __future__ import annotations

import importlib
import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.metrics.view import Aggregation, ExponentialBucketHistogramAggregation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace.id_generator import IdGenerator

    from otelml.config import Config, Signal
    from otelml.export import Exporter

_OTLP = "opentelemetry.exporter.otlp.proto"
_CLASSES = {
    ("traces", "http/protobuf"): (f"{_OTLP}.http.trace_exporter", "OTLPSpanExporter"),
    ("metrics", "http/protobuf"): (f"{_OTLP}.http.metric_exporter", "OTLPMetricExporter"),
    ("logs", "http/protobuf"): (f"{_OTLP}.http._log_exporter", "OTLPLogExporter"),
    ("traces", "grpc"): (f"{_OTLP}.grpc.trace_exporter", "OTLPSpanExporter"),
    ("metrics", "grpc"): (f"{_OTLP}.grpc.metric_exporter", "OTLPMetricExporter"),
    ("logs", "grpc"): (f"{_OTLP}.grpc._log_exporter", "OTLPLogExporter"),
    ("traces", "console"): ("opentelemetry.sdk.trace.export", "ConsoleSpanExporter"),
    ("metrics", "console"): ("opentelemetry.sdk.metrics.export", "ConsoleMetricExporter"),
    ("logs", "console"): ("opentelemetry.sdk._logs.export", "ConsoleLogRecordExporter"),
}

_CREDENTIALS = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_{}CREDENTIAL_PROVIDER"


def maker(
    config: Config, signal: str, name: str, hear: Callable[[bytes], None] = lambda _: None
) -> Callable[[], Exporter]:
    """Return what makes an exporter: ``otlp``, ``console`` or an installed entry point, for one signal.

    ``hear`` is given what the receiver answers over OTLP/HTTP.
    """
    options = config.signal(signal)
    if name == "otlp":
        made = _load(signal, options.protocol)
        if options.protocol == "grpc":
            return lambda: made(**_grpc(options))
        return lambda: made(**_http(options), **_session(options, signal, hear))
    if name == "console":
        return _load(signal, "console")
    loaded: Callable[[], Exporter] = entry_point(f"opentelemetry_{signal}_exporter", name)
    return loaded


def entry_point(group: str, name: str) -> Any:
    """Load the object that an installed package registers; StopIteration when none does."""
    return next(iter(entry_points(group=group, name=name))).load()


def id_generator(name: str) -> IdGenerator | None:
    """Return the generator that ``OTEL_PYTHON_ID_GENERATOR`` names; None for ``random``, which otelml makes itself."""
    if name == "random":
        return None
    made: IdGenerator = entry_point("opentelemetry_id_generator", name)()
    return made


def _load(signal: str, kind: str) -> Callable[..., Exporter]:
    module, name = _CLASSES[signal, kind]
    made: Callable[..., Exporter] = getattr(importlib.import_module(module), name)
    return made


def _http(options: Signal) -> dict[str, Any]:
    return {
        "endpoint": options.endpoint,
        "headers": dict(options.headers),
        "timeout": options.timeout,
        "certificate_file": options.certificate,
        "client_key_file": options.client_key,
        "client_certificate_file": options.client_certificate,
    }


def _session(options: Signal, signal: str, hear: Callable[[bytes], None]) -> dict[str, Any]:
    """Return our session, which compresses; a credential provider brings its own, and the exporter compresses."""
    from opentelemetry.exporter.otlp.proto.http import Compression  # noqa: PLC0415 - only for this protocol

    from otelml.otlp_http import OtlpSession  # noqa: PLC0415 - the same

    if any(os.environ.get(_CREDENTIALS.format(of)) for of in ("", f"{signal.upper()}_")):
        return {"compression": Compression(options.compression)}
    gzip = options.compression == "gzip"
    official = Compression.NoCompression if gzip else Compression(options.compression)
    return {"session": OtlpSession(hear, gzip=gzip), "compression": official}


def _grpc(options: Signal) -> dict[str, Any]:
    import grpc  # noqa: PLC0415 - only for this protocol

    compression = grpc.Compression.Gzip if options.compression == "gzip" else grpc.Compression.NoCompression
    files = [options.certificate, options.client_key, options.client_certificate]
    credentials = grpc.ssl_channel_credentials(*map(_content, files)) if any(files) else None
    return {
        "endpoint": options.endpoint,
        "headers": dict(options.headers),
        "timeout": options.timeout,
        "compression": compression,
        "insecure": options.insecure,
        "credentials": credentials,
    }


def _content(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None


def sampler(config: Config) -> Sampler:
    """Return the sampler that ``OTEL_TRACES_SAMPLER`` and its argument name."""
    name, argument = config.sampler, config.sampler_arg
    root = name.removeprefix("parentbased_")
    known: Sampler | None = {"always_on": ALWAYS_ON, "always_off": ALWAYS_OFF}.get(root)
    if known is None and root == "traceidratio":
        known = TraceIdRatioBased(float(argument) if argument else 1.0)
    if known is not None:
        return known if root == name else ParentBased(known)
    made: Sampler = entry_point("opentelemetry_traces_sampler", name)(argument)
    return made


def temporality(config: Config) -> dict[type, AggregationTemporality]:
    """Return what ``OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`` asks for; the rest is cumulative."""
    delta: dict[str, tuple[type, ...]] = {
        "delta": (Counter, Histogram, ObservableCounter),
        "lowmemory": (Counter, Histogram),
    }
    return dict.fromkeys(delta.get(config.temporality, ()), AggregationTemporality.DELTA)


def aggregation(config: Config) -> dict[type, Aggregation]:
    """Return exponential histograms when they are asked for."""
    wanted = config.histogram_aggregation == "base2_exponential_bucket_histogram"
    return {Histogram: ExponentialBucketHistogramAggregation()} if wanted else {}
