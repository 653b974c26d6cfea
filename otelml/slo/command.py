"""``otelml slo generate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from otelml.slo.rules import MINIMUM_ERRORS, render
from otelml.slo.specification import SpecError, read

if TYPE_CHECKING:
    import argparse

DEFAULT_SPEC = "collector/slo.yaml"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``slo`` to the commands of ``otelml``."""
    slo = commands.add_parser("slo", help="make burn-rate alerts from service level objectives")
    generate = slo.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "generate", help="write Prometheus rules for a Sloth specification"
    )
    generate.add_argument("spec", nargs="?", default=DEFAULT_SPEC, help=f"specification (default: {DEFAULT_SPEC})")
    generate.add_argument("-o", "--output", metavar="FILE", help="where to write the rules (default: stdout)")
    generate.add_argument(
        "--minimum-errors",
        type=float,
        default=MINIMUM_ERRORS,
        metavar="N",
        help=f"bad events in an alert's longer window below which it says nothing (default: {MINIMUM_ERRORS:g})",
    )
    generate.set_defaults(function=_generate)


def _generate(options: argparse.Namespace) -> int:
    """Write the rules; return 2 when the specification is at fault or a file cannot be read or written."""
    try:
        objectives = read(Path(options.spec).read_text("utf-8"))
        rules = render(objectives, options.minimum_errors)
        if options.output is None:
            sys.stdout.write(rules)
        else:
            Path(options.output).write_text(rules, "utf-8")
            sys.stdout.write(f"wrote {options.output}. Next: promtool check rules {options.output}\n")
    except SpecError as error:
        sys.stderr.write("".join(f"{options.spec}: {fault}\n" for fault in error.faults))
        return 2
    except (OSError, ValueError) as error:  # not UTF-8, or no name of a file
        sys.stderr.write(f"otelml slo: {error}\n")
        return 2
    return 0
