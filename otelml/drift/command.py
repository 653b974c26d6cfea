"""``otelml profile`` and ``otelml drift``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from otelml.drift.comparison import compare
from otelml.drift.profile import count, profile
from otelml.drift.reference import BINS, TOP, Reference
from otelml.errors import OtelmlError

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, DRIFTED, BAD_INPUT = 0, 1, 2


def main(command: str, arguments: Sequence[str]) -> int:
    """Run ``profile`` or ``drift``; return the exit code (1: features drifted, 2: bad input)."""
    options = (_profile_parser() if command == "profile" else _drift_parser()).parse_args(arguments)
    try:
        return _profile(options) if command == "profile" else _drift(options)
    except (OtelmlError, OSError, ValueError) as error:
        sys.stderr.write(f"otelml {command}: {error}\n")
        return BAD_INPUT


def _profile_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("otelml profile", description="Make a reference of data where all was well.")
    parser.add_argument("data", metavar="DATA", help="CSV file with a header, or Parquet file")
    parser.add_argument("-o", "--output", default="reference.json", metavar="FILE", help="default: reference.json")
    parser.add_argument("--bins", type=int, default=BINS, help=f"bins of a feature of numbers (default: {BINS})")
    parser.add_argument("--top", type=int, default=TOP, help=f"categories with a bin of their own (default: {TOP})")
    parser.add_argument("--categorical", default="", metavar="A,B", help="columns whose numbers are categories")
    return parser


def _drift_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "otelml drift", description="Compare data with a reference. Exit status 1: features have drifted."
    )
    parser.add_argument("reference", metavar="REFERENCE", help="what otelml profile wrote")
    parser.add_argument("data", metavar="DATA", help="CSV file with a header, or Parquet file")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--alpha", type=float, default=0.01, help="error rate over all features (default: 0.01)")
    parser.add_argument("--effect", type=float, default=0.005, help="least PSI less its bias (default: 0.005)")
    return parser


def _profile(options: argparse.Namespace) -> int:
    categorical = [name for name in options.categorical.split(",") if name]
    reference = profile(options.data, bins=options.bins, top=options.top, categorical=categorical, progress=_progress)
    reference.save(options.output)
    sys.stdout.write(
        f"{len(reference.features)} features of {reference.rows} rows in {options.output}\n"
        f"Next: otelml drift {options.output} DATA\n"
    )
    return OK


def _drift(options: argparse.Namespace) -> int:
    reference = Reference.load(options.reference)
    window = count(reference, options.data, _progress)
    report = compare(reference, window, alpha=options.alpha, effect=options.effect)
    sys.stdout.write(f"{json.dumps(report.to_dict()) if options.json else report}\n")
    return DRIFTED if report.drifted else OK


def _progress(rows: int, share: float) -> None:
    """Show on a terminal how far the file has been read; elsewhere nothing."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{rows:,} rows, {share:.0%} " + ("\n" if share >= 1 else ""))
        sys.stderr.flush()
