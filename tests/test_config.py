"""Settings: precedence, sources, every kind of fault at once, and what `otelml config` shows."""

from dataclasses import FrozenInstanceError

import pytest
from odd_values import Untouchable, raising, wrong

from otelml import config
from otelml.errors import ConfigError


def faults(overrides=None, **environ):
    """Return the faults of a configuration."""
    with pytest.raises(ConfigError) as caught:
        config.load(overrides or {}, environ)
    return caught.value.faults


def test_defaults_are_the_conventions_bar_those_that_hurt():
    """An empty environment gives these."""
    loaded = config.load({}, {})
    assert loaded.traces_exporter == loaded.metrics_exporter == loaded.logs_exporter == ("otlp",)
    assert loaded.traces == config.Signal(endpoint="http://localhost:4318/v1/traces")
    assert (loaded.traces.protocol, loaded.traces.timeout) == ("http/protobuf", 3.0)
    assert (loaded.temporality, loaded.metric_interval, loaded.span_queue) == ("cumulative", 60_000.0, 65_536)
    assert (loaded.capture, loaded.low_confidence, loaded.sampler) == ("stats", 0.5, "parentbased_always_on")
    assert set(loaded.sources.values()) == {"default"}
    with pytest.raises(FrozenInstanceError):
        loaded.capture = "none"


def test_precedence_and_sources(tmp_path):
    """Code beats environment beats file beats default, and each value says where it came from."""
    path = tmp_path / "otelml.yaml"
    path.write_text("capture: none\nmodel_name: file\nlow_confidence: 0.7\nOTEL_BSP_MAX_QUEUE_SIZE: 100\n")
    environ = {"OTELML_CONFIG": str(path), "OTELML_MODEL_NAME": "environment", "OTELML_CAPTURE": "payload"}
    loaded = config.load({"capture": "stats", "model_version": None}, environ)
    assert (loaded.capture, loaded.model_name, loaded.low_confidence) == ("stats", "environment", 0.7)
    assert (loaded.span_queue, loaded.model_version) == (100, None)
    assert {name: loaded.sources[name] for name in ("capture", "model_name", "low_confidence", "gpu")} == {
        "capture": "code",
        "model_name": "environment OTELML_MODEL_NAME",
        "low_confidence": f"file {path}",
        "gpu": "default",
    }


def test_the_file_can_be_named_in_code(tmp_path):
    """A path given in code is read as OTELML_CONFIG would be."""
    path = tmp_path / "otelml.yaml"
    path.write_text("gpu: false\nexcluded_urls: [/a, /b]\nresource_attributes: {team: ml}\nbuckets: {x.y: [1, 2.5]}\n")
    loaded = config.load({"config_file": str(path)}, {})
    assert (loaded.gpu, loaded.excluded_urls) == (False, ("/a", "/b"))
    assert loaded.resource_attributes == {"team": "ml"}
    assert loaded.buckets == {"x.y": (1.0, 2.5)}


def test_empty_means_unset():
    """An empty variable is as good as none, as the specification says."""
    assert config.load({}, {"OTELML_CAPTURE": "", "OTEL_TRACES_EXPORTER": ""}) == config.load({}, {})


ODD = {"object": Untouchable, "text": lambda: raising(str, "x"), "size": lambda: wrong("__len__", -1)}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
@pytest.mark.parametrize("key", ["capture", "exporter_otlp_endpoint", "exporter_otlp_logs_endpoint"])
def test_values_in_code_that_raise(key, make):
    """An object that raises whatever is asked of it is a fault of the setting, not an exception of its own."""
    with pytest.raises(ConfigError):
        config.load({key: make()}, {})


def test_disabled_instrumentations_of_code_and_environment_add_up():
    """Code cannot switch on what the operator switched off."""
    loaded = config.load({"disabled": ["requests"]}, {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "fastapi, logging"})
    assert loaded.disabled == {"requests", "fastapi", "logging"}


@pytest.mark.parametrize(
    ("environ", "traces", "metrics"),
    [
        ({}, "http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/x/"}, "http://c:1/x/v1/traces", "http://c:1/x/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1/t"}, "http://c:1/t", "http://localhost:4318/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://localhost:4317", "http://localhost:4317"),
        ({"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"}, "http://localhost:4318/v1/traces", "http://localhost:4317"),
    ],
)
def test_endpoints(environ, traces, metrics):
    """The general HTTP endpoint gets the path of the signal; a signal's own endpoint, and gRPC's, are used as given."""
    loaded = config.load({}, environ)
    assert (loaded.traces.endpoint, loaded.metrics.endpoint) == (traces, metrics)


@pytest.mark.parametrize("key", ["exporter_otlp_endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_a_general_endpoint_in_code_gets_the_paths(key):
    """The same holds in code, by either name."""
    assert config.load({key: "http://c:1"}, {}).logs.endpoint == "http://c:1/v1/logs"
    assert config.load({"exporter_otlp_logs_endpoint": "http://c:1"}, {}).logs.endpoint == "http://c:1"


def test_a_signals_own_setting_beats_the_general_one():
    """Headers, timeouts and the rest follow the same rule."""
    environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": "7", "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "2.5"}
    loaded = config.load({}, environ)
    assert (loaded.traces.timeout, loaded.logs.timeout) == (7.0, 2.5)
    assert loaded.sources["logs.timeout"] == "environment OTEL_EXPORTER_OTLP_LOGS_TIMEOUT"


@pytest.mark.parametrize(
    ("env", "value", "expected"),
    [
        ("OTELML_CAPTURE", "stat", "must be one of none, stats, payload; did you mean 'stats'?"),
        ("OTEL_TRACES_EXPORTER", "otpl", "did you mean 'otlp'?"),
        ("OTEL_TRACES_EXPORTER", "prometheus", "must be one of otlp, console, none"),
        ("OTEL_TRACES_EXPORTER", "otlp,none", "'none' cannot be combined"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "must be one of http/protobuf, grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "did you mean 'gzip'?"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always", "did you mean 'parentbased_always_on'?"),
        ("OTEL_PROPAGATORS", "tracecontxt", "did you mean 'tracecontext'?"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "must be a URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://:99999", "must be a URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:99999", "must be a URL"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1", "from 0.001 to 600"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10000", "from 0.001 to 600"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "ten", "must be a number of seconds"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such.pem", "cannot be read: No such file"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team", "must read key=value"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1.5", "must be a whole number"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "must be a whole number"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "nan", "must be a number of milliseconds"),
        ("OTEL_SDK_DISABLED", "maybe", "must be true or false"),
        ("OTELML_LOW_CONFIDENCE", "1.1", "must be a number from 0 to 1"),
        ("OTELML_LOG_FILE", "/no/such/dir/x.log", "there is no directory '/no/such/dir'"),
        ("OTELML_LOG_FILE", "/", "it is a directory"),
        ("OTELML_LOG_FILE_WHEN", "daily", "must be one of S, M, H"),
        ("OTELML_LOG_LEVEL", "warn", "did you mean 'warning'?"),
        ("OTELML_BUCKETS", "x=2,1", "rising"),
        ("OTELML_BUCKETS", "x", "must read metric="),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "70000", "must be a whole number"),
        ("OTELML_CONFIG", "/no/such.yaml", "cannot be read"),
        ("OTELML_CAPTUER", "x", "unknown setting; did you mean 'OTELML_CAPTURE'?"),
    ],
)
def test_a_fault_names_the_setting_and_the_fix(env, value, expected):
    """One bad value gives one fault, even when it is wrong for all three signals."""
    (fault,) = faults(**{env: value})
    assert fault.startswith(env)
    assert expected in fault


def test_all_faults_come_at_once(tmp_path):
    """Environment, code and file are all checked before anything is raised."""
    path = tmp_path / "otelml.yaml"
    path.write_text("captur: none\nflush_interval: soon\n")
    found = faults(
        {"capture": "all", "nonsense": 1}, OTELML_CONFIG=str(path), OTELML_GPUS="1", OTEL_LOGS_EXPORTER="lokki"
    )
    assert len(found) == 6
    for part in (
        "captur (file",
        "flush_interval='soon' (file",
        "capture='all' (code)",
        "nonsense",
        "OTELML_GPUS",
        "lokki",
    ):
        assert any(part in fault for fault in found), (part, found)


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [", "just text", "\x00"])
def test_a_file_that_holds_no_settings(tmp_path, content):
    """A list, broken YAML or plain text is one clear fault."""
    path = tmp_path / "otelml.yaml"
    path.write_text(content)
    (fault,) = faults(OTELML_CONFIG=str(path))
    assert fault.startswith("OTELML_CONFIG=")


def test_combinations_that_cannot_work():
    """Deflate over gRPC, a key without its certificate and a bad sampler argument are faults."""
    assert "gRPC offers" in faults(OTEL_EXPORTER_OTLP_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_COMPRESSION="deflate")[0]
    assert "set both" in faults(OTEL_EXPORTER_OTLP_CLIENT_KEY=__file__)[0]
    found = faults(OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="2")
    assert found == ["OTEL_TRACES_SAMPLER_ARG='2': must be a number from 0 to 1"]


def test_an_unwritable_log_file():
    """A file that nobody can create, root included, is refused; so is one in a directory that is not there."""
    assert "cannot be written" in faults(OTELML_LOG_FILE="/proc/otelml.log")[0]
    assert "create it" in faults(OTELML_LOG_FILE="/no/such/directory/otelml.log")[0]


def test_secrets_are_shown_neither_in_faults_nor_in_rows():
    """Header values appear nowhere; their names do."""
    assert "hunter2" not in faults(OTEL_EXPORTER_OTLP_HEADERS="bad header=hunter2")[0]
    shown = {row.name: row for row in config.rows(config.load({}, {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=hunter2"}))}
    assert shown["traces.headers"].value == "api-key=***"
    assert shown["traces.headers"].source == "environment OTEL_EXPORTER_OTLP_HEADERS"


def test_every_setting_has_a_row_with_help():
    """Every field is declared once, listed once, and says what it means."""
    rows = config.rows(config.load({}, {}))
    assert len({row.name for row in rows}) == len(rows) == len(config.SETTINGS)
    assert all(row.help.endswith(".") and row.env.startswith(("OTEL_", "OTELML_")) for row in rows)
    keys = [key for row in config.SETTINGS.values() for key in row.keys[:1]]
    assert len(set(keys)) == len(keys)


def test_an_installed_entry_point_is_a_valid_name():
    """Exporters and samplers that packages register are accepted by their own names."""
    loaded = config.load({}, {"OTEL_TRACES_EXPORTER": "otlp_proto_http", "OTEL_METRICS_EXPORTER": "prometheus,console"})
    assert (loaded.traces_exporter, loaded.metrics_exporter) == (("otlp_proto_http",), ("prometheus", "console"))
    assert config.load({}, {"OTEL_LOGS_EXPORTER": "none"}).logs_exporter == ()
