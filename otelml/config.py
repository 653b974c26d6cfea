"""Settings, resolved: every row of ``settings`` from code, environment, file or default into one frozen `Config`.

Precedence: code > environment > file (``OTELML_CONFIG``, YAML) > default. In code and in the file a setting is
named by its field, or by its variable in lower case without ``OTEL_`` or ``OTELML_``. All faults are raised
together, in one `ConfigError`. Variables of the SDK that are not listed here (span limits, resource detectors, ...)
keep working: the SDK reads them itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from otelml import _parse as parse
from otelml._guard import attempt
from otelml.errors import ConfigError
from otelml.settings import EXCLUDED_URLS, SETTINGS, SIGNALS, Config, Setting, Signal

__all__ = ["EXCLUDED_URLS", "SETTINGS", "SIGNALS", "Config", "Row", "Setting", "Signal", "load", "rows"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})
_DEEPEST = 2
_NAME_OF_KEY = {key: name for name, row in SETTINGS.items() for key in (*row.keys, *row.envs, name)}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of ``otelml config``: a resolved setting and where its value came from."""

    name: str
    value: str
    source: str
    env: str
    help: str


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
        for name in ("drift_reference", "outcomes_database") if values["capture"] == "none" else ():
            if values[name]:
                self.faults.append(f"{SETTINGS[name].envs[0]}: needs OTELML_CAPTURE=stats or payload")
        if self.faults:
            raise ConfigError(list(dict.fromkeys(self.faults)))
        return Config(**values, sources=MappingProxyType(self.sources))

    def _value(self, name: str) -> Any:
        """Return the value of one setting and note its source; the default when it is unset or wrong."""
        row = SETTINGS[name]
        self.sources[name] = "default"
        for source, raw in self._candidates(row):
            self.sources[name] = source
            found, error = attempt(_parsed, row, raw)
            if error is None:
                return found
            self.faults.append(_fault(row, source, raw, error))
            break
        return row.default

    def _candidates(self, row: Setting) -> Iterator[tuple[str, object]]:
        for values, source in ((self.code, "code"), (self.environ, "environment"), (self.file, f"file {self.path}")):
            for env in row.envs:
                raw = values.get(env)
                if not parse.is_unset(raw):
                    yield (f"environment {env}" if source == "environment" else source), raw

    def _from_environment(self, name: str) -> Any:
        raw = self.environ.get(SETTINGS[name].envs[0])
        return attempt(SETTINGS[name].parser, raw)[0] if raw else None  # a fault was noted when it was looked up

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
        return source == f"environment {own}" or not parse.is_unset(values.get(own))

    def _known(self, given: Mapping[str, object], source: str) -> dict[str, object]:
        """Return the given settings by variable; note a fault for each unknown one."""
        known: dict[str, object] = {}
        for key, value in given.items():
            word = parse.shown(key)
            name = _NAME_OF_KEY.get(word)
            if name is None:
                self.faults.append(f"{word[:80]} ({source}): unknown setting{parse.did_you_mean(word, _NAME_OF_KEY)}")
            elif value is not None:
                row = SETTINGS[name]
                named = word if word in row.envs else row.envs[0]
                known[dict(zip(row.keys, row.envs, strict=True)).get(word, named)] = value
        return known

    def _read(self, path: str) -> Mapping[str, object]:
        import yaml  # noqa: PLC0415 - only when a file is named

        # A value that says it is a date or a number, and is none, raises anything.
        content, error = attempt(lambda: yaml.safe_load(Path(path).read_text("utf-8")))
        if error is not None:
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
                self.faults.append(f"{env[:80]}: unknown setting{parse.did_you_mean(env, known)}")

    def _check_sampler(self, values: Mapping[str, Any]) -> None:
        argument = values["sampler_arg"]
        if argument is not None and values["sampler"].endswith("traceidratio"):
            try:
                parse.number(0, 1)(argument)
            except ValueError as error:
                self.faults.append(f"OTEL_TRACES_SAMPLER_ARG={argument[:80]!r}: {error}")


def _parsed(row: Setting, raw: object) -> Any:
    if _depth(raw) > _DEEPEST:  # YAML's aliases make texts without end of a few lines
        raise ValueError("must not hold lists or mappings as deep as this")
    return row.parser(raw)


def _depth(value: object, limit: int = 3) -> int:
    """Return how many lists and mappings are inside one another, ``limit`` at most."""
    inner = list(value.values()) if isinstance(value, Mapping) else value
    if limit == 0 or not isinstance(inner, (list, tuple, set, frozenset)):
        return 0
    return 1 + max((_depth(each, limit - 1) for each in inner), default=0)


def _fault(row: Setting, source: str, raw: object, error: Exception) -> str:
    shown = "" if row.secret else f"={parse.without_password(parse.shown(raw))[:80]!r}"
    if not isinstance(error, ValueError):
        error = ValueError("can't be read")  # what it says is the text of an object of the application's
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
    return f"{value:g}" if isinstance(value, float) else parse.without_password(str(value))
