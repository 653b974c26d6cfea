"""The rows of ``config``: every ``OTELML_*`` and ``OTEL_*`` variable otelml reads, its parser, default and meaning."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from otelml import _parse as parse
from otelml._rows.windows import FIGURES

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNALS = ("traces", "metrics", "logs")
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: the variables it is read from (the first one set wins), its parser and what it means."""

    envs: tuple[str, ...]
    parser: parse.Parser[Any]
    default: Any
    help: str
    secret: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the setting in code and in the YAML file, one for each variable."""
        return tuple(env.removeprefix("OTEL_").removeprefix("OTELML_").lower() for env in self.envs)


def setting(envs: str, parser: parse.Parser[Any], default: Any, help: str, *, secret: bool = False) -> Any:  # noqa: A002 - the table reads best with the plain word
    """Declare a field of `Config`; several variables are separated by a space."""
    row = Setting(tuple(envs.split()), parser, default, help, secret)
    return field(default_factory=lambda: default, metadata={"setting": row})


def millis(env: str, default: float, help: str) -> Any:  # noqa: A002 - as in setting
    """Declare a time in milliseconds, of a day at most."""
    return setting(env, parse.number(1, DAY * 1000, "milliseconds"), default, help)


def seconds(env: str, low: float, default: float, help: str, high: float = DAY) -> Any:  # noqa: A002 - as in setting
    """Declare a time in seconds, from ``low`` to ``high``."""
    return setting(env, parse.number(low, high, "seconds"), default, help)


def count(env: str, default: int, help: str) -> Any:  # noqa: A002 - as in setting
    """Declare a whole number from 1 on."""
    return setting(env, parse.integer(1, 10_000_000), default, help)


def flag(env: str, help: str, *, default: bool) -> Any:  # noqa: A002 - as in setting
    """Declare what is on or off."""
    return setting(env, parse.boolean, default, help)


_EMPTY: Mapping[str, Any] = MappingProxyType({})


def _otlp(name: str) -> str:
    return f"OTEL_EXPORTER_OTLP_{{signal}}_{name} OTEL_EXPORTER_OTLP_{name}"


_PROTOCOLS = ("http/protobuf", "grpc")
_COMPRESSIONS = ("none", "gzip", "deflate")
_SAMPLERS = (
    *("parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"),
    *("always_on", "always_off", "traceidratio"),
)
_LEVELS = ("debug", "info", "warning", "error", "critical")


@dataclass(frozen=True)
class Signal:
    """How traces, metrics or logs are exported over OTLP; ``endpoint`` is complete, path included."""

    protocol: str = setting(_otlp("PROTOCOL"), parse.choice(*_PROTOCOLS), "http/protobuf", "OTLP protocol.")
    endpoint: str = setting(_otlp("ENDPOINT"), parse.url, "", "OTLP endpoint.")
    headers: Mapping[str, str] = setting(_otlp("HEADERS"), parse.headers, _EMPTY, "OTLP headers.", secret=True)
    timeout: float = setting(
        _otlp("TIMEOUT"), parse.number(0.001, 600, "seconds"), 3.0, "Seconds for one OTLP export, retries included."
    )
    compression: str = setting(_otlp("COMPRESSION"), parse.choice(*_COMPRESSIONS), "none", "OTLP compression.")
    certificate: str | None = setting(_otlp("CERTIFICATE"), parse.readable, None, "CA certificate file.")
    client_key: str | None = setting(_otlp("CLIENT_KEY"), parse.readable, None, "Client key file.")
    client_certificate: str | None = setting(
        _otlp("CLIENT_CERTIFICATE"), parse.readable, None, "Client certificate file."
    )
    insecure: bool | None = setting(_otlp("INSECURE"), parse.boolean, None, "gRPC without TLS.")


def _exporters(signal: str, *words: str) -> Any:
    parser = parse.exporters("otlp", "console", *words, group=f"opentelemetry_{signal}_exporter")
    return setting(f"OTEL_{signal.upper()}_EXPORTER", parser, ("otlp",), f"Exporters of {signal}, comma separated.")


EXCLUDED_URLS = (
    "/health",
    "/healthz",
    "/live",
    "/livez",
    "/ready",
    "/readyz",
    "/startupz",
    "/statusz",
    "/ping",
    "/metrics",
)
"""Asked every few seconds, and they say nothing about predictions."""
_NAMES, _REFERENCES = parse.listed(parse.text), parse.files(parse.reference)
_PROPAGATORS = parse.choice(
    "tracecontext", "baggage", "none", also=lambda word: parse.installed("opentelemetry_propagator", word)
)
_ID_GENERATOR = parse.choice("random", also=lambda word: parse.installed("opentelemetry_id_generator", word))
_SAMPLER = parse.choice(*_SAMPLERS, also=lambda word: parse.installed("opentelemetry_traces_sampler", word))


@dataclass(frozen=True)  # without slots, which would build this large class twice
class Config:
    """Every setting, resolved. Durations are in seconds unless the field says milliseconds; sizes in bytes."""

    service_name: str | None = setting("OTEL_SERVICE_NAME", parse.text, None, "Name of the service.")
    model_name: str | None = setting("OTELML_MODEL_NAME", parse.text, None, "Model of predictions that name none.")
    model_version: str | None = setting("OTELML_MODEL_VERSION", parse.text, None, "Version of that model.")
    capture: Literal["none", "stats", "payload"] = setting(
        "OTELML_CAPTURE", parse.choice("none", "stats", "payload"), "stats", "What is kept of inputs and outputs."
    )
    low_confidence: float = setting(
        "OTELML_LOW_CONFIDENCE", parse.number(0, 1), 0.5, "Confidence under which a prediction counts as low."
    )
    disabled: frozenset[str] = setting(
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        lambda value: frozenset(_NAMES(value)),
        frozenset(),
        "Integrations to leave off, comma separated; code adds to the environment.",
    )
    traces_exporter: tuple[str, ...] = _exporters("traces")
    metrics_exporter: tuple[str, ...] = _exporters("metrics", "prometheus")
    logs_exporter: tuple[str, ...] = _exporters("logs")
    traces: Signal = field(default_factory=Signal)
    metrics: Signal = field(default_factory=Signal)
    logs: Signal = field(default_factory=Signal)
    sampler: str = setting("OTEL_TRACES_SAMPLER", _SAMPLER, "parentbased_always_on", "Sampler of traces.")
    sampler_arg: str | None = setting("OTEL_TRACES_SAMPLER_ARG", parse.text, None, "Sampler argument, such as 0.1.")
    propagators: tuple[str, ...] = setting(
        "OTEL_PROPAGATORS", parse.listed(_PROPAGATORS), ("tracecontext", "baggage"), "Propagators, comma separated."
    )
    resource_attributes: Mapping[str, str] = setting(
        "OTEL_RESOURCE_ATTRIBUTES", parse.pairs, _EMPTY, "Attributes of the resource, key=value,key=value."
    )
    id_generator: str = setting("OTEL_PYTHON_ID_GENERATOR", _ID_GENERATOR, "random", "Maker of trace and span ids.")
    sdk_disabled: bool = flag("OTEL_SDK_DISABLED", "Switch all telemetry off.", default=False)
    otel_config: str | None = setting(
        "OTEL_CONFIG_FILE", parse.readable, None, "Declarative OpenTelemetry configuration; rules all OTEL_* settings."
    )
    config_file: str | None = setting("OTELML_CONFIG", parse.readable, None, "YAML file of these settings.")
    metric_interval: float = millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000.0, "Milliseconds between metric exports.")
    metric_timeout: float = millis("OTEL_METRIC_EXPORT_TIMEOUT", 30_000.0, "Milliseconds for one metric collection.")
    temporality: str = setting(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        parse.choice("cumulative", "delta", "lowmemory"),
        "cumulative",
        "Temporality of OTLP metrics.",
    )
    histogram_aggregation: str = setting(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        parse.choice("explicit_bucket_histogram", "base2_exponential_bucket_histogram"),
        "explicit_bucket_histogram",
        "Aggregation of OTLP histograms.",
    )
    buckets: Mapping[str, tuple[float, ...]] = setting(
        "OTELML_BUCKETS", parse.buckets, _EMPTY, "Bounds of histograms, metric=0.1,0.5;metric=1,2."
    )
    span_queue: int = count("OTEL_BSP_MAX_QUEUE_SIZE", 65_536, "Spans that may wait for export.")
    span_batch: int = count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 2048, "Spans in one export.")
    span_delay: float = millis("OTEL_BSP_SCHEDULE_DELAY", 1000.0, "Milliseconds between span exports.")
    log_queue: int = count("OTEL_BLRP_MAX_QUEUE_SIZE", 65_536, "Log records that may wait for export.")
    log_batch: int = count("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", 2048, "Log records in one export.")
    log_delay: float = millis("OTEL_BLRP_SCHEDULE_DELAY", 1000.0, "Milliseconds between log exports.")
    prometheus_host: str = setting("OTEL_EXPORTER_PROMETHEUS_HOST", parse.text, "localhost", "Address of /metrics.")
    prometheus_port: int = setting("OTEL_EXPORTER_PROMETHEUS_PORT", parse.port, 9464, "Port of /metrics; 0: any.")
    flush_interval: float = seconds("OTELML_FLUSH_INTERVAL", 0.001, 0.2, "Seconds between turns of the worker.")
    buffer_size: int = count("OTELML_BUFFER_SIZE", 16_384, "Predictions that may wait for the worker.")
    shutdown_timeout: float = seconds("OTELML_SHUTDOWN_TIMEOUT", 0.0, 3.0, "Seconds the exit may take.")
    log_file: str | None = setting("OTELML_LOG_FILE", parse.writable, None, "JSON log file; none when unset.")
    log_file_max_bytes: int = setting(
        "OTELML_LOG_FILE_MAX_BYTES", parse.integer(0, 1 << 40, "bytes"), 50 << 20, "Size at which it rolls; 0: never."
    )
    log_file_when: str | None = setting(
        "OTELML_LOG_FILE_WHEN", parse.rotation, None, "Roll by time instead: S, M, H, D, W0 to W6, midnight."
    )
    log_file_backups: int = setting("OTELML_LOG_FILE_BACKUPS", parse.integer(0, 10_000), 5, "Rolled files to keep.")
    log_level: str = setting("OTELML_LOG_LEVEL", parse.choice(*_LEVELS), "info", "Lowest level of exported logs.")
    event_started: bool = flag("OTELML_EVENT_STARTED", "Log an event when a prediction starts, too.", default=False)
    gpu: bool = flag("OTELML_GPU", "Watch GPUs through NVML.", default=True)
    host: bool = flag("OTELML_HOST", "Watch CPU, memory, disk, network and the process.", default=True)
    gc_room: int = setting(
        "OTELML_GC_ROOM",
        parse.integer(0, 1_000_000),
        3000,
        "Objects that the garbage collector's first threshold is raised by, for otelml's own; 0 leaves it alone.",
    )
    probe_interval: float = seconds("OTELML_PROBE_INTERVAL", 0.1, 5.0, "Seconds a probe's reading stays fresh.")
    excluded_urls: tuple[str, ...] = setting(
        "OTELML_EXCLUDED_URLS", _NAMES, EXCLUDED_URLS, "Paths that are not traced, comma separated."
    )
    slices: tuple[str, ...] = setting(
        "OTELML_SLICES", parse.names(5), (), "Names that `p.slice()` may give to metrics, comma separated."
    )
    drift_reference: Mapping[str, str] = setting(
        "OTELML_DRIFT_REFERENCE", _REFERENCES, _EMPTY, "References of models' features (otelml profile)."
    )
    drift_window: float = seconds("OTELML_DRIFT_WINDOW", 0.1, 3600.0, "Seconds of a window of drift in this process.")
    outcomes_database: str | None = setting(
        "OTELML_OUTCOMES_DATABASE", parse.database, None, "SQLite file or postgresql:// URL of outcomes.", secret=True
    )
    outcomes_spool: str | None = setting(
        "OTELML_OUTCOMES_SPOOL", parse.text, None, "Directory of what the database does not take; a default when unset."
    )
    outcomes_report: bool = flag("OTELML_OUTCOMES_REPORT", "Give metrics of outcomes from here.", default=True)
    outcomes_rows: int = count("OTELML_OUTCOMES_MAX_ROWS", 1_000_000, "Predictions kept for their truth.")
    outcomes_age: float = seconds(
        "OTELML_OUTCOMES_MAX_AGE", 1, 30 * DAY, "Seconds that a prediction is kept.", 3660 * DAY
    )
    outcomes_wait: float = seconds(
        "OTELML_OUTCOMES_WAIT", 1, 1 * DAY, "Seconds that a truth waits for its prediction.", 3660 * DAY
    )
    outcomes_window: float = seconds(
        "OTELML_OUTCOMES_WINDOW", 1, 1 * DAY, "Seconds of truths that quality is computed over.", 3660 * DAY
    )
    outcomes_interval: float = seconds("OTELML_OUTCOMES_INTERVAL", 0.1, 15.0, "Seconds between quality figures.")
    outcomes_buffer: int = count("OTELML_OUTCOMES_BUFFER", 200_000, "Predictions and truths waiting in memory.")
    window: float = seconds("OTELML_WINDOW", 0, 300.0, "Seconds of the sliding window of each model; 0: none.")
    window_thresholds: Mapping[str, float] = setting(
        "OTELML_WINDOW_THRESHOLDS", parse.limits(*FIGURES), _EMPTY, "Limits of the window's figures."
    )
    window_deviation: float | None = setting(
        "OTELML_WINDOW_DEVIATION", parse.number(1, 100), None, "Modified z-score against earlier windows; none: off."
    )
    window_baseline: int = setting("OTELML_WINDOW_BASELINE", parse.integer(12, 288), 24, "Earlier windows to compare.")
    window_minimum: int = count("OTELML_WINDOW_MINIMUM", 50, "Calls that a window needs to be judged.")
    window_hysteresis: float = setting(
        "OTELML_WINDOW_HYSTERESIS", parse.number(0, 0.9), 0.1, "How far back a figure must be, as a share of its limit."
    )
    spool_dir: str | None = setting(
        "OTELML_SPOOL_DIR", parse.directory, None, "Directory that keeps OTLP batches until they arrive; none: off."
    )
    spool_max_bytes: int = setting(
        "OTELML_SPOOL_MAX_BYTES", parse.integer(1 << 16, 1 << 50, "bytes"), 1 << 30, "What all processes keep there."
    )
    spool_max_age: float = seconds("OTELML_SPOOL_MAX_AGE", 1, DAY, "Seconds that a batch is kept.", 30 * DAY)
    profile_rate: float = setting(
        "OTELML_PROFILE_RATE", parse.share, 0.0, "Share of requests to profile, such as 0.001 or 1/1000; 0: none."
    )
    profile_token: str | None = setting(
        "OTELML_PROFILE_TOKEN", parse.token, None, "Profiles a request whose X-Otelml-Profile is this.", secret=True
    )
    profile_per_minute: int = count("OTELML_PROFILE_PER_MINUTE", 6, "Requests profiled in a minute, at most.")
    profile_directory: str | None = setting(
        "OTELML_PROFILE_DIRECTORY", parse.text, None, "Directory of profiles' files; no files when unset."
    )
    profile_max_files: int = count("OTELML_PROFILE_MAX_FILES", 50, "Profiles kept in that directory.")
    profile_max_bytes: int = setting(
        "OTELML_PROFILE_MAX_BYTES", parse.integer(1, 1 << 40, "bytes"), 50 << 20, "Size of all of them together."
    )
    children: bool = flag(
        "OTELML_CHILDREN", "Start otelml in children of multiprocessing and joblib too.", default=True
    )
    prometheus_dir: str | None = setting(
        "OTELML_PROMETHEUS_DIR", parse.text, None, "Folder by which /metrics answers for several processes."
    )
    log_values: bool = flag("OTELML_LOG_VALUES", "Export values of log calls as they are, not scrubbed.", default=False)
    device_time: bool = flag(
        "OTELML_DEVICE_TIME",
        "Measure how long devices work for PyTorch modules; not where CUDA graphs are captured.",
        default=False,
    )
    sources: Mapping[str, str] = field(default_factory=lambda: _EMPTY, compare=False)
    """Where each value came from: ``default``, ``code``, ``environment NAME`` or ``file PATH``, by row name."""

    def signal(self, name: str) -> Signal:
        """Return the OTLP settings of ``traces``, ``metrics`` or ``logs``."""
        return {"traces": self.traces, "metrics": self.metrics, "logs": self.logs}[name]


def _declare() -> dict[str, Setting]:
    """Return every row by name: the field of `Config`, or ``traces.endpoint`` and so on for OTLP."""
    rows = {f.name: f.metadata["setting"] for f in fields(Config) if "setting" in f.metadata}
    for signal in SIGNALS:
        for f in fields(Signal):
            row: Setting = f.metadata["setting"]
            envs = tuple(env.format(signal=signal.upper()) for env in row.envs)
            rows[f"{signal}.{f.name}"] = replace(row, envs=envs)
    return rows


SETTINGS: Mapping[str, Setting] = MappingProxyType(_declare())
