"""Soaks a served model in requests while its receiver is killed again and again: ``scripts/soak --minutes 60``.

A FastAPI service around the demo's classifier is asked at a steady rate. The receiver keeps what it is sent in a file;
it is ended by SIGKILL every so often and started on the same port, at once or after a silence. In the end every count
must be exact, and memory, open files and threads of the service as they were after warm-up: the exit code is 1 where a
bound is broken, and 2 where the run could not be done. ``--leak`` shows that each bound can be.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from _soak import outages, report
from _soak.processes import FailedError
from _soak.run import Options, run

from otelml.demo import data, training

LEAKS = ("memory", "files", "threads", "counts")


def main(arguments: list[str]) -> int:
    """Run the soak, or report on one that has been run; return the exit code."""
    options = _parser().parse_args(arguments)
    if options.report:
        return _report(options.report, options.graph, markdown=options.markdown)
    if options.folder:
        options.folder.mkdir(parents=True)
        return _run(options, options.folder)
    with TemporaryDirectory(prefix="otelml-soak-") as folder:
        return _run(options, Path(folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__.replace("``", ""))
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to send requests (default: 2)")
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second (default: 500)")
    parser.add_argument("--kill-every", type=float, default=12.0, metavar="S", help="seconds between kills")
    parser.add_argument("--down-nth", type=int, default=4, metavar="N", help="each Nth kill is followed by a silence")
    parser.add_argument("--down-for", type=float, default=10.0, metavar="S", help="seconds of silence")
    parser.add_argument("--leak", default="", help=f"make the service leak, to see it seen: {', '.join(LEAKS)}")
    parser.add_argument("--folder", type=Path, help="where to leave samples and result (default: nowhere)")
    parser.add_argument("--graph", type=Path, metavar="SVG", help="draw what the service took over time")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="run nothing: tell of a run that left its files")
    parser.add_argument("--markdown", action="store_true", help="tables as docs/hardening.md holds them")
    return parser


def _run(options: argparse.Namespace, folder: Path) -> int:
    leaks = [leak for leak in options.leak.split(",") if leak]
    if unknown := set(leaks) - set(LEAKS):
        print(f"no such leak: {', '.join(unknown)}; there are {', '.join(LEAKS)}", file=sys.stderr)
        return 2
    training.ensure_model(data.ensure_store())
    seconds = options.minutes * 60
    kills = outages.plan(seconds, options.kill_every, options.down_nth, options.down_for)
    try:
        run(Options(folder, seconds, options.rate, kills, leaks))
    except FailedError as error:
        print(error, file=sys.stderr)
        return 2
    return _report(folder, options.graph, markdown=options.markdown)


def _report(folder: Path, graph: Path | None, *, markdown: bool) -> int:
    result = report.result_of(folder)
    print(report.tables(result, markdown=markdown))
    if graph:
        report.draw(folder, graph)
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
