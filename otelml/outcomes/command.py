"""``otelml outcomes``: truths from a file into the database; ``otelml compare``: what they say of two versions."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from otelml import config
from otelml._parse import without_password
from otelml.errors import OtelmlError
from otelml.outcomes import joining, window
from otelml.outcomes.database import DatabaseError, connect
from otelml.outcomes.files import Bad, Columns, FileError, read
from otelml.outcomes.rows import Actual

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from otelml.outcomes.database import Database

OK, FAULTY, BAD_INPUT = 0, 1, 2
CHUNK = 5000
"""Truths in one transaction."""
SHOWN = 10
"""Bad lines that are printed."""


def main(arguments: Sequence[str]) -> int:
    """Run ``otelml outcomes``; return 0, 1 where some lines were bad, 2 where nothing could be done."""
    parser = argparse.ArgumentParser(prog="otelml outcomes", description="The truths of predictions.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    load = commands.add_parser("import", help="write the truths of a file to the database")
    load.add_argument("file", type=Path, help=".csv, .jsonl or .parquet")
    load.add_argument("--id", metavar="COLUMN", help="prediction id (default: prediction_id or id)")
    load.add_argument("--actual", metavar="COLUMN", help="truth (default: actual, label, outcome or y_true)")
    load.add_argument("--at", metavar="COLUMN", help="when it was known: ISO 8601 or seconds since the epoch")
    load.set_defaults(function=_import)
    show = commands.add_parser("status", help="say what the database holds, and how right each model was")
    show.set_defaults(function=_status)
    for command in (load, show):
        _add_database(command)
    return _run(parser.parse_args(arguments))


def compare(arguments: Sequence[str]) -> int:
    """Run ``otelml compare``; return 0, 1 where the second version is worse, 2 where nothing could be done."""
    parser = argparse.ArgumentParser(
        prog="otelml compare",
        description="Compare two versions of a model by what the database of outcomes holds: a canary or a shadow with "
        "the stable one, say. Exit code 1: the second one is worse in something.",
    )
    parser.add_argument("model")
    parser.add_argument("first", help='version to compare with ("" where it has none)')
    parser.add_argument("second", help="version that is judged")
    parser.add_argument("--since", type=float, metavar="SECONDS", help="only predictions not older (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(function=_compare)
    _add_database(parser)
    return _run(parser.parse_args(arguments))


def _add_database(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--database", help="SQLite file or postgresql:// URL (OTELML_OUTCOMES_DATABASE)")


def _run(options: argparse.Namespace) -> int:
    try:
        return int(options.function(options))
    except DatabaseError as error:
        print(f"otelml outcomes: the database takes nothing: {error}", file=sys.stderr)
    except OtelmlError as error:
        print(f"otelml outcomes: {error}", file=sys.stderr)
    return BAD_INPUT


def _settings(options: argparse.Namespace) -> config.Config:
    settings = config.load({"outcomes_database": options.database})
    if settings.outcomes_database is None:
        raise FileError("no database: give --database or set OTELML_OUTCOMES_DATABASE")
    return settings


def _import(options: argparse.Namespace) -> int:
    settings = _settings(options)
    database = connect(settings.outcomes_database or "", timeout=30.0)
    started, done = time.monotonic(), Counter[str]()
    try:
        truths = _good(read(options.file, Columns(options.id, options.actual, options.at), time.time()), done)
        while chunk := list(islice(truths, CHUNK)):
            _write(database, chunk, done)
            if sys.stderr.isatty():
                print(f"\r{done['read']:,} read", end="", file=sys.stderr)
    finally:
        database.close()
        _summary(done, options.file, settings.outcomes_database or "", time.monotonic() - started)
    return FAULTY if done["bad"] else OK


def _good(lines: Iterable[Actual | Bad], done: Counter[str]) -> Iterator[Actual]:
    for line in lines:
        done["read"] += 1
        if isinstance(line, Actual):
            yield line
            continue
        done["bad"] += 1
        if done["bad"] <= SHOWN:
            print(f"line {line.line}: {line.why}", file=sys.stderr)


def _write(database: Database, truths: Sequence[Actual], done: Counter[str]) -> None:
    found = joining.write(database, (), truths, time.time(), report=False)
    done["joined"] += len(found.joined)
    done["waiting"] += found.waiting
    for (what, _, _), n in found.tallies.items():
        done[what] += n


def _summary(done: Counter[str], file: Path, address: str, took: float) -> None:
    said = [f"{done['joined']:,} joined", f"{done['waiting']:,} waiting for their prediction"]
    said += [f"{done[what]:,} {what.replace('_', ' ')}" for what in (*joining.IGNORED, "bad") if done[what]]
    print(f"{file.name}: {done['read']:,} read in {took:.1f} s: {', '.join(said)}; in {without_password(address)}")
    print("Counters and gauges are told by the services that use this database.")


def _status(options: argparse.Namespace) -> int:
    settings = _settings(options)
    database = connect(settings.outcomes_database or "", timeout=30.0)
    try:
        ((kept, joined),) = database.select("SELECT COUNT(*), COUNT(joined) FROM otelml_predictions")
        ((waiting,),) = database.select("SELECT COUNT(*) FROM otelml_actuals")
        since = time.time() - settings.outcomes_window
        found, expected = window.qualities(database, since), window.estimates(database, since)
    finally:
        database.close()
    print(f"{kept:,} predictions, {joined:,} with their truth; {waiting:,} truths wait for their prediction")
    for (model, version), q in found.items():
        figures = {"accuracy": q.accuracy, "AUC": q.auc, "calibration error": q.calibration_error}
        figures |= {"MAE": q.mae, "RMSE": q.rmse}
        said = ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if value is not None)
        print(f"{model} {version}: {q.n:,} outcomes in {settings.outcomes_window:,.0f} s: {said}")
    for (model, version), e in expected.items():
        print(
            f"{model} {version}: accuracy {e.accuracy:.4g} to expect of {e.n:,} predictions, "
            f"{e.lower:.4g} to {e.upper:.4g} with 95 %, learnt from {e.known:,} outcomes"
        )
    return OK


def _compare(options: argparse.Namespace) -> int:
    from otelml.outcomes import comparison, versions  # noqa: PLC0415 - they need NumPy, nothing else here does

    settings, names = _settings(options), (options.first, options.second)
    database = connect(settings.outcomes_database or "", timeout=30.0)
    try:
        known = versions.known(database, options.model)
        if missing := [name for name in names if name not in known]:
            there = f"known are {', '.join(map(repr, known))}" if known else "it has none"
            raise FileError(f"{options.model}: no predictions of version {missing[0]!r}; {there}")
        since = 0.0 if options.since is None else time.time() - options.since
        found = comparison.compare(database, options.model, names, since)
    finally:
        database.close()
    print(json.dumps(found.to_dict(), indent=2) if options.json else found)
    return FAULTY if found.worse else OK
