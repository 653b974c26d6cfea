"""Several workers: what their number and the way metrics leave mean for the counts.

Whether a worker is instrumented shows only in its own telemetry: each has a ``service.instance.id`` of its own. Here
it is read how many there will be, from ``WEB_CONCURRENCY``, ``GUNICORN_CMD_ARGS`` and ``gunicorn.conf.py``, which is
parsed and never run.
"""

from __future__ import annotations

import argparse
import ast
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otelml._guard import attempt
from otelml.doctor.findings import FAULT, NOTE, OK, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otelml.config import Config

_FILE = "gunicorn.conf.py"
_LARGEST = 1 << 20
_ID = "service.instance.id"


def workers(settings: Config, folder: Path | None = None) -> Iterator[Finding]:
    """Say how many workers there will be, and what does not go with several."""
    read = _read(folder or Path.cwd())
    number, where = _number(read)
    if number is None or number < 2:  # noqa: PLR2004 - several
        return
    said = f"{number} by {where}"
    if "prometheus" in settings.metrics_exporter:
        text = f"{said}: a scrape reaches one of them, and the others find the port taken"
        yield Finding("workers", FAULT, text, "set OTEL_METRICS_EXPORTER=otlp: the collector has the sum of all")
    elif _ID in settings.resource_attributes:
        text = f"{said}, all of the one {_ID} in OTEL_RESOURCE_ATTRIBUTES"
        yield Finding("workers", NOTE, text, f"leave {_ID} out: each process makes its own")
    else:
        yield Finding("workers", OK, f"{said}; each reports for itself, under a {_ID} of its own")
    if read.get("preload_app") is True and "fork" not in read:
        text = "preload_app without post_fork: threads that the application starts as it is loaded are not in workers"
        yield Finding("workers", NOTE, text, "call auto_instrument() in post_fork too: it is the same runtime there")


def _read(folder: Path) -> dict[str, Any]:
    """Return what ``gunicorn.conf.py`` and ``GUNICORN_CMD_ARGS`` say in plain words; later ones win, as in gunicorn."""
    read: dict[str, Any] = {}
    text, _ = attempt(_text, folder / _FILE)
    tree, _ = attempt(ast.parse, text or "")
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            read.update((target.id, node.value.value) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.FunctionDef) and node.name == "post_fork":
            read["fork"] = True
    arguments, _ = attempt(shlex.split, os.environ.get("GUNICORN_CMD_ARGS", ""))
    return read | _arguments(arguments or [])


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.stat().st_size <= _LARGEST else ""


def _arguments(given: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-w", "--workers", type=int)
    parser.add_argument("--preload", dest="preload_app", action="store_true", default=None)
    parsed, _ = attempt(parser.parse_known_args, given)
    return {} if parsed is None else {name: value for name, value in vars(parsed[0]).items() if value is not None}


def _number(read: dict[str, Any]) -> tuple[int | None, str]:
    """Return the number of workers and where it stands; None where nothing says so."""
    number = read.get("workers")
    if type(number) is int:
        return number, "gunicorn's settings"
    given = os.environ.get("WEB_CONCURRENCY", "")
    return (int(given), "WEB_CONCURRENCY") if given.isdigit() else (None, "")
