"""The ``otelml`` command: run a program with telemetry, list settings and names, check them, try the demo."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from otelml import config, semconv
from otelml.errors import OtelmlError
from otelml.prometheus_names import label_name, metric_name
from otelml.slo import command as slo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ORIGIN = "Made by `otelml semconv --markdown` from `otelml/semconv.py`; edit that file, not this one."
OK, BAD_INPUT, NOT_FOUND = 0, 2, 127


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code (1: faults found, 2: bad input or settings, 127: no such command)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] and arguments[0] in APART:
        return APART[arguments[0]](arguments)
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.function is None:
        parser.print_help()
        return OK
    try:
        return int(options.function(options))
    except OtelmlError as error:
        print(error, file=sys.stderr)
        print("\nSee every setting and its value: otelml config", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it exits
        return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="otelml", description="Observability for machine-learning services, on OpenTelemetry."
    )
    parser.set_defaults(function=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    run = commands.add_parser("run", help="run a program with telemetry, without changing it")
    run.add_argument("--service-name", help="name of the service (OTEL_SERVICE_NAME)")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD", help="the program and its arguments")
    run.set_defaults(function=_run)
    settings = commands.add_parser("config", help="list every setting, its value and where it came from")
    settings.add_argument("--json", action="store_true", help="as JSON")
    settings.set_defaults(function=_config)
    checks = commands.add_parser("doctor", help="say where each signal goes, whether it is taken, and what is wrong")
    checks.add_argument("--json", action="store_true", help="as JSON")
    checks.add_argument("--offline", action="store_true", help="send nothing, not even empty OTLP requests")
    checks.add_argument("--url", help="look at a running service too, by its /metrics (http://host:9464/metrics)")
    checks.set_defaults(function=_doctor)
    names = commands.add_parser("semconv", help="list every metric, span, event and attribute")
    names.add_argument("--markdown", action="store_true", help="as docs/metrics.md holds them")
    names.set_defaults(function=_semconv)
    slo.add_command(commands)
    commands.add_parser("profile", help="make a reference of data, for drift (otelml profile --help)")
    commands.add_parser("drift", help="say which features of data have moved from a reference (otelml drift --help)")
    commands.add_parser("demo", help="serve real flights and watch the telemetry (otelml demo --help)")
    commands.add_parser("stack", help="run the collector, Prometheus, Jaeger and Loki here (otelml stack --help)")
    commands.add_parser("compare", help="compare two versions of a model by their outcomes (otelml compare --help)")
    commands.add_parser("outcomes", help="import the truths of predictions (otelml outcomes --help)")
    commands.add_parser("health", help="ask a health probe, for container checks (otelml health --help)")
    commands.add_parser("spool", help="list or send batches that wait on the disk (otelml spool --help)")
    commands.add_parser("view", help="receive telemetry and see it in the browser (otelml view --help)")
    for name in VIEWED:
        commands.add_parser(name, help=f"of what a viewer has: otelml {name} --help")
    commands.add_parser("version", help="print the version").set_defaults(function=_version)
    return parser


# run ------------------------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command or command[0].startswith("-"):
        print("otelml run needs a program, as in: otelml run -- python app.py", file=sys.stderr)
        return BAD_INPUT
    if options.service_name:
        os.environ["OTEL_SERVICE_NAME"] = options.service_name
    config.load()
    if shutil.which(command[0]) is None:
        print(f"otelml run: {command[0]}: command not found", file=sys.stderr)
        return NOT_FOUND
    os.environ["OTEL_PYTHON_DISTRO"] = os.environ["OTEL_PYTHON_CONFIGURATOR"] = "otelml"
    # OpenTelemetry's own mechanism: it puts its sitecustomize first on PYTHONPATH, which children inherit, and
    # replaces this process. Imported here because nothing else needs it.
    from opentelemetry.instrumentation import auto_instrumentation  # noqa: PLC0415

    sys.argv = ["opentelemetry-instrument", *command]
    sys.stdout.flush()
    auto_instrumentation.run()
    return OK


# config ---------------------------------------------------------------------------------------------------------


def _config(options: argparse.Namespace) -> int:
    rows = config.rows(config.load())
    if options.json:
        print(
            json.dumps([{key: getattr(row, key) for key in ("name", "value", "source", "env", "help")} for row in rows])
        )
        return OK
    _table(["SETTING", "VALUE", "SOURCE", "VARIABLE"], [[row.name, row.value, row.source, row.env] for row in rows])
    print("\nPrecedence: code > environment > file (OTELML_CONFIG) > default. Next: otelml run -- python app.py")
    return OK


def _table(heads: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


# doctor ---------------------------------------------------------------------------------------------------------


def _doctor(options: argparse.Namespace) -> int:
    settings = config.load()
    from otelml.doctor.command import run  # noqa: PLC0415 - it builds the whole pipeline

    return int(run(settings, as_json=options.json, offline=options.offline, url=options.url))


# semconv --------------------------------------------------------------------------------------------------------


def _semconv(options: argparse.Namespace) -> int:
    if options.markdown:
        print(markdown())
        return OK
    _table(
        ["METRIC", "KIND", "UNIT", "PROMETHEUS"],
        [[row.name, row.kind, row.unit or "-", prometheus_name(row)] for row in semconv.METRICS],
    )
    print()
    _table(["SPAN", "MEANING"], [[row.name, row.help] for row in semconv.SPANS])
    print()
    _table(["EVENT", "MEANING"], [[row.name, row.help] for row in semconv.EVENTS])
    print("\nWith attributes and buckets: otelml semconv --markdown")
    return OK


def prometheus_name(metric: semconv.Metric) -> str:
    """Return the name of a metric in Prometheus; a histogram's series add ``_bucket``, ``_count`` and ``_sum``."""
    kind = metric.kind.removeprefix("observable_")
    return metric_name(metric.name, metric.unit, counter=kind == "counter", gauge=kind == "gauge")


def markdown() -> str:
    """Return ``docs/metrics.md``: every metric, span, event and attribute."""
    parts = [
        "# Metrics, spans, events and attributes",
        f"{_ORIGIN} Schema: <{semconv.SCHEMA_URL}>. Scope: `{semconv.SCOPE}`.",
        "## Metrics\n\nA histogram's series in Prometheus end in `_bucket`, `_count` and `_sum`.",
        _grid(["Metric", "Kind", "Unit", "Prometheus", "Attributes", "Meaning"], map(_metric_cells, semconv.METRICS)),
        "## Buckets",
        _grid(["Histogram", "Bounds"], ([f"`{m.name}`", _numbers(m.buckets)] for m in semconv.METRICS if m.buckets)),
        "## Spans",
        _grid(
            ["Span", "Attributes", "Meaning"], ([f"`{s.name}`", _codes(s.attributes), s.help] for s in semconv.SPANS)
        ),
        "## Events",
        "Log records with an event name.",
        _grid(
            ["Event", "Attributes", "Meaning"], ([f"`{e.name}`", _codes(e.attributes), e.help] for e in semconv.EVENTS)
        ),
        "## Attributes",
        "At most so many values of an attribute reach metrics; later ones become `other`. `-`: never on a metric.",
        _grid(
            ["Attribute", "Type", "Values", "Prometheus label", "Meaning"], map(_attribute_cells, semconv.ATTRIBUTES)
        ),
    ]
    return "\n\n".join(parts)


def _metric_cells(m: semconv.Metric) -> list[str]:
    unit = f"`{m.unit}`" if m.unit else "-"
    return [f"`{m.name}`", m.kind, unit, f"`{prometheus_name(m)}`", _codes(m.attributes), m.help]


def _attribute_cells(a: semconv.Attribute) -> list[str]:
    name, template, key = a.name.partition("<")
    label = f"`{label_name(name)}{template}{key}`" if a.limit else "-"
    return [f"`{a.name}`", a.type, str(a.limit or "-"), label, a.help]


def _grid(heads: list[str], rows: Iterable[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.12g}" for value in values)


# The rest -------------------------------------------------------------------------------------------------------


def _demo(arguments: list[str]) -> int:
    try:
        from otelml.demo.cli import main as demo  # noqa: PLC0415 - needs the demo extra
    except ImportError as error:
        print(
            f"otelml demo needs a package that is not installed ({error.name}): pip install 'otelml[demo]'",
            file=sys.stderr,
        )
        return BAD_INPUT
    except OtelmlError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return int(demo(arguments[1:]))


def _stack(arguments: list[str]) -> int:
    from otelml.stack.cli import main as stack  # noqa: PLC0415 - nothing else needs it

    return int(stack(arguments[1:]))


def _drift(arguments: list[str]) -> int:
    from otelml.drift.command import main as drift  # noqa: PLC0415 - it needs NumPy

    return drift(arguments[0], arguments[1:])


def _compare(arguments: list[str]) -> int:
    from otelml.outcomes.command import compare  # noqa: PLC0415 - nothing else needs it

    return int(compare(arguments[1:]))


def _outcomes(arguments: list[str]) -> int:
    from otelml.outcomes.command import main as outcomes  # noqa: PLC0415 - nothing else needs it

    return int(outcomes(arguments[1:]))


def _health(arguments: list[str]) -> int:
    from otelml.health.probe import main as health  # noqa: PLC0415 - nothing else needs it

    return health(arguments[1:])


def _spool(arguments: list[str]) -> int:
    from otelml.spool.command import main as spool  # noqa: PLC0415 - nothing else needs it

    return int(spool(arguments[1:]))


def _view(arguments: list[str]) -> int:
    from otelml.viewer.cli import main as view  # noqa: PLC0415 - nothing else needs it

    return int(view(arguments[1:]))


def _viewed(arguments: list[str]) -> int:
    from otelml.viewer.terminal import main as viewed  # noqa: PLC0415 - nothing else needs it

    return int(viewed(arguments))


def _version(_: argparse.Namespace) -> int:
    sdk, python = version("opentelemetry-sdk"), sys.version.split()[0]
    print(f"otelml {version('otelml')} (opentelemetry-sdk {sdk}, Python {python})")
    return OK


APART = {
    "demo": _demo,
    "stack": _stack,
    "profile": _drift,
    "drift": _drift,
    "outcomes": _outcomes,
    "compare": _compare,
    "health": _health,
}
"""Commands that read their own arguments, and import what nothing else needs."""
VIEWED = ("traces", "logs", "metrics", "errors", "slow", "sql", "await", "export")
APART |= {"spool": _spool, "view": _view} | dict.fromkeys(VIEWED, _viewed)
