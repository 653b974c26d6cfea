"""Settings: every ``OTELML_*`` and ``OTEL_*`` variable otelml reads, one row each, resolved into one frozen `Config`.

Precedence: code > environment > file (``OTELML_CONFIG``, YAML) > default. In code and in the file a setting is
named by its field, or by its variable in lower case without ``OTEL_`` or ``OTELML_``. All faults are raised
together, in one `ConfigError`. Variables of the SDK that are not listed here (span limits, resource detectors, ...)
keep working: the SDK reads them itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from otelml import _parse as parse
from otelml.errors import ConfigError

SIGNALS = ("traces", "metrics", "logs")
_EMPTY: Mapping[str, Any] = MappingProxyType({})
_DAY = 86_400.0


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


@dataclass(frozen=True, slots=True)
class Row:
    """One line of ``otelml config``: a resolved setting and where its value came from."""

    name: str
    value: str
    source: str
    env: str
    help: str


def setting(envs: str, parser: parse.Parser[Any], default: Any, help: str, *, secret: bool = False) -> Any:  # noqa: A002 - the table reads best with the plain word
    """Declare a field of `Config`; several variables are separated by a space."""
    row = Setting(tuple(envs.split()), parser, default, help, secret)
    return field(default_factory=lambda: default, metadata={"setting": row})


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


def _millis(env: str, default: float, help: str) -> Any:  # noqa: A002 - as in setting
    return setting(env, parse.number(1, _DAY * 1000, "milliseconds"), default, help)


def _seconds(env: str, low: float, default: float, help: str) -> Any:  # noqa: A002 - as in setting
    return setting(env, parse.number(low, _DAY, "seconds"), default, help)


def _count(env: str, default: int, help: str) -> Any:  # noqa: A002 - as in setting
    return setting(env, parse.integer(1, 10_000_000), default, help)


def _flag(env: str, help: str, *, default: bool) -> Any:  # noqa: A002 - as in setting
    return setting(env, parse.boolean, default, help)


EXCLUDED_URLS = ("/health", "/healthz", "/live", "/livez", "/ready", "/readyz", "/startupz", "/ping", "/metrics")
"""Asked every few seconds, and they say nothing about predictions."""
_NAMES = parse.listed(parse.text)
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
    sdk_disabled: bool = _flag("OTEL_SDK_DISABLED", "Switch all telemetry off.", default=False)
    otel_config: str | None = setting(
        "OTEL_CONFIG_FILE", parse.readable, None, "Declarative OpenTelemetry configuration; rules all OTEL_* settings."
    )
    config_file: str | None = setting("OTELML_CONFIG", parse.readable, None, "YAML file of these settings.")
    metric_interval: float = _millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000.0, "Milliseconds between metric exports.")
    metric_timeout: float = _millis("OTEL_METRIC_EXPORT_TIMEOUT", 30_000.0, "Milliseconds for one metric collection.")
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
    span_queue: int = _count("OTEL_BSP_MAX_QUEUE_SIZE", 65_536, "Spans that may wait for export.")
    span_batch: int = _count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 2048, "Spans in one export.")
    span_delay: float = _millis("OTEL_BSP_SCHEDULE_DELAY", 1000.0, "Milliseconds between span exports.")
    log_queue: int = _count("OTEL_BLRP_MAX_QUEUE_SIZE", 65_536, "Log records that may wait for export.")
    log_batch: int = _count("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", 2048, "Log records in one export.")
    log_delay: float = _millis("OTEL_BLRP_SCHEDULE_DELAY", 1000.0, "Milliseconds between log exports.")
    prometheus_host: str = setting("OTEL_EXPORTER_PROMETHEUS_HOST", parse.text, "localhost", "Address of /metrics.")
    prometheus_port: int = setting("OTEL_EXPORTER_PROMETHEUS_PORT", parse.port, 9464, "Port of /metrics; 0: any.")
    flush_interval: float = _seconds("OTELML_FLUSH_INTERVAL", 0.001, 0.2, "Seconds between turns of the worker.")
    buffer_size: int = _count("OTELML_BUFFER_SIZE", 16_384, "Predictions that may wait for the worker.")
    shutdown_timeout: float = _seconds("OTELML_SHUTDOWN_TIMEOUT", 0.0, 5.0, "Seconds the exit may take.")
    log_file: str | None = setting("OTELML_LOG_FILE", parse.writable, None, "JSON log file; none when unset.")
    log_file_max_bytes: int = setting(
        "OTELML_LOG_FILE_MAX_BYTES", parse.integer(0, 1 << 40, "bytes"), 50 << 20, "Size at which it rolls; 0: never."
    )
    log_file_when: str | None = setting(
        "OTELML_LOG_FILE_WHEN", parse.rotation, None, "Roll by time instead: S, M, H, D, W0 to W6, midnight."
    )
    log_file_backups: int = setting("OTELML_LOG_FILE_BACKUPS", parse.integer(0, 10_000), 5, "Rolled files to keep.")
    log_level: str = setting("OTELML_LOG_LEVEL", parse.choice(*_LEVELS), "info", "Lowest level of exported logs.")
    event_started: bool = _flag("OTELML_EVENT_STARTED", "Log an event when a prediction starts, too.", default=False)
    gpu: bool = _flag("OTELML_GPU", "Watch GPUs through NVML.", default=True)
    host: bool = _flag("OTELML_HOST", "Watch CPU, memory, disk, network and the process.", default=True)
    probe_interval: float = _seconds("OTELML_PROBE_INTERVAL", 0.1, 5.0, "Seconds a probe's reading stays fresh.")
    excluded_urls: tuple[str, ...] = setting(
        "OTELML_EXCLUDED_URLS", _NAMES, EXCLUDED_URLS, "Paths that are not traced, comma separated."
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
_NAME_OF_KEY = {key: name for name, row in SETTINGS.items() for key in (*row.keys, *row.envs, name)}


def load(overrides: Mapping[str, object] = _EMPTY, environ: Mapping[str, str] = os.environ) -> Config:
    """Resolve every setting.

    Args:
        overrides: Settings given in code, by field or key; None means not given.
        environ: The environment.

    Raises:
        ConfigError: With every fault found.
    """
    return _Resolver(overrides, environ).config()


class _Resolver:
    """Looks each setting up in code, environment, file and default, collecting the faults."""

    def __init__(self, overrides: Mapping[str, object], environ: Mapping[str, str]) -> None:
        self.faults: list[str] = []
        self.sources: dict[str, str] = {}
        self.environ = environ
        self.code = self._known(overrides, "code")
        self.file: dict[str, object] = {}
        self.path: str | None = None
        self.path = self._value("config_file")
        if self.path is not None:
            self.file = self._known(self._read(self.path), f"file {self.path}")

    def config(self) -> Config:
        """Return the resolved `Config`, or raise ConfigError with all faults."""
        self._unknown_variables()
        values = {name: self._value(name) for name in SETTINGS if "." not in name}
        values |= {signal: self._signal(signal) for signal in SIGNALS}
        values["disabled"] |= self._from_environment("disabled") or frozenset()
        self._check_sampler(values)
        if self.faults:
            raise ConfigError(list(dict.fromkeys(self.faults)))
        return Config(**values, sources=MappingProxyType(self.sources))

    def _value(self, name: str) -> Any:
        """Return the value of one setting and note its source; the default when it is unset or wrong."""
        row = SETTINGS[name]
        self.sources[name] = "default"
        for source, raw in self._candidates(row):
            self.sources[name] = source
            try:
                return row.parser(raw)
            except ValueError as error:
                self.faults.append(_fault(row, source, raw, error))
                break
        return row.default

    def _candidates(self, row: Setting) -> Iterator[tuple[str, object]]:
        for values, source in ((self.code, "code"), (self.environ, "environment"), (self.file, f"file {self.path}")):
            for env in row.envs:
                raw = values.get(env)
                if raw is not None and raw != "":
                    yield (f"environment {env}" if source == "environment" else source), raw

    def _from_environment(self, name: str) -> Any:
        raw = self.environ.get(SETTINGS[name].envs[0])
        return SETTINGS[name].parser(raw) if raw else None

    def _signal(self, signal: str) -> Signal:
        values = {f.name: self._value(f"{signal}.{f.name}") for f in fields(Signal)}
        grpc = values["protocol"] == "grpc"
        given = values["endpoint"] or f"http://localhost:{4317 if grpc else 4318}"
        if not grpc and not self._is_own_endpoint(signal):
            given = f"{given.rstrip('/')}/v1/{signal}"
        values["endpoint"] = given
        if grpc and values["compression"] == "deflate":
            self.faults.append(f"OTEL_EXPORTER_OTLP_COMPRESSION='deflate' ({signal}): gRPC offers none and gzip")
        if bool(values["client_key"]) != bool(values["client_certificate"]):
            self.faults.append(
                f"OTEL_EXPORTER_OTLP_CLIENT_KEY and OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE ({signal}): set both or none"
            )
        return Signal(**values)

    def _is_own_endpoint(self, signal: str) -> bool:
        """Tell whether the endpoint was given for this signal alone, so that no path is added."""
        own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
        source = self.sources[f"{signal}.endpoint"]
        values: Mapping[str, object] = {"code": self.code, "default": _EMPTY}.get(source, self.file)
        return source == f"environment {own}" or bool(values.get(own))

    def _known(self, given: Mapping[str, object], source: str) -> dict[str, object]:
        """Return the given settings by variable; note a fault for each unknown one."""
        known: dict[str, object] = {}
        for key, value in given.items():
            name = _NAME_OF_KEY.get(str(key))
            if name is None:
                self.faults.append(f"{key} ({source}): unknown setting{parse.did_you_mean(str(key), _NAME_OF_KEY)}")
            elif value is not None:
                row = SETTINGS[name]
                known[dict(zip(row.keys, row.envs, strict=True)).get(key, key if key in row.envs else row.envs[0])] = (
                    value
                )
        return known

    def _read(self, path: str) -> Mapping[str, object]:
        import yaml  # noqa: PLC0415 - only when a file is named

        try:
            content = yaml.safe_load(Path(path).read_text("utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            self.faults.append(f"OTELML_CONFIG={path!r}: is not valid YAML: {' '.join(str(error).split())[:200]}")
            return {}
        if content is None or isinstance(content, Mapping):
            return content or {}
        self.faults.append(f"OTELML_CONFIG={path!r}: must hold settings as 'name: value' lines")
        return {}

    def _unknown_variables(self) -> None:
        known = {env for row in SETTINGS.values() for env in row.envs}
        for env in sorted(self.environ):
            if env.startswith("OTELML_") and env not in known:
                self.faults.append(f"{env}: unknown setting{parse.did_you_mean(env, known)}")

    def _check_sampler(self, values: Mapping[str, Any]) -> None:
        argument = values["sampler_arg"]
        if argument is not None and values["sampler"].endswith("traceidratio"):
            try:
                parse.number(0, 1)(argument)
            except ValueError as error:
                self.faults.append(f"OTEL_TRACES_SAMPLER_ARG={argument!r}: {error}")


def _fault(row: Setting, source: str, raw: object, error: ValueError) -> str:
    shown = "" if row.secret else f"={str(raw)[:80]!r}"
    place, _, env = source.partition(" ")
    return f"{env}{shown}: {error}" if place == "environment" else f"{row.keys[-1]}{shown} ({source}): {error}"


def rows(config: Config) -> list[Row]:
    """Return every setting with its value and source, as ``otelml config`` prints them; secrets are masked."""
    found = []
    for name, row in SETTINGS.items():
        signal, _, option = name.partition(".")
        value = getattr(config.signal(signal), option) if option else getattr(config, name)
        found.append(Row(name, _shown(value, row.secret), config.sources.get(name, "default"), row.envs[0], row.help))
    return found


def _shown(value: object, secret: bool) -> str:
    if value is None or value == "" or (isinstance(value, (Mapping, tuple, frozenset)) and not value):
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ",".join(f"{key}={'***' if secret else _shown(item, secret)}" for key, item in value.items())
    if isinstance(value, (tuple, frozenset)):
        return ",".join(str(item) for item in (sorted(value) if isinstance(value, frozenset) else value))
    return f"{value:g}" if isinstance(value, float) else str(value)
