"""``otelml traces|logs|metrics|errors|slow|sql|await|export``: what the page shows, for the terminal and scripts."""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from otelml.errors import OtelmlError
from otelml.viewer.api.answer import seconds
from otelml.viewer.api.export import SIGNALS
from otelml.viewer.api.parameters import BadRequestError
from otelml.viewer.api.search import SEVERITIES
from otelml.viewer.rows import NANOS
from otelml.viewer.sources import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from otelml.viewer.sources import Source

OK, FALSE, BAD_INPUT = 0, 1, 2
POLL = 0.2
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_ID = re.compile(r"[0-9a-fA-F]{32}")


def main(arguments: Sequence[str]) -> int:
    """Run a command; return 0, 1 where ``await`` waited in vain, 2 on misuse or where there is nothing to read."""
    name, *rest = arguments
    parser, run = _COMMANDS[name](name)
    options = parser.parse_args(rest)
    try:
        with opened(options.db) as source:
            return run(source, options)
    except BadRequestError as error:
        print(f"otelml {name}: {error}\n  {error.fix}", file=sys.stderr)
    except (OtelmlError, OSError) as error:
        print(f"otelml {name}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return BAD_INPUT


_Command = tuple[argparse.ArgumentParser, "Callable[[Source, argparse.Namespace], int]"]


def _parser(name: str, text: str, *, last: bool = True) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"otelml {name}", description=text)
    parser.add_argument("--db", metavar="FILE", help="a store, or OTLP JSON lines (default: the viewer that runs)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    if last:
        parser.add_argument("--last", type=_length, metavar="TIME", help="such as 15m, 6h, 2d (default: everything)")
    return parser


def _length(text: str) -> int:
    matched = _LENGTH.fullmatch(text)
    if matched is None:
        raise argparse.ArgumentTypeError(f"{text!r}: give a time such as 30s, 15m, 6h or 2d")
    return int(float(matched[1]) * _UNITS[matched[2]] * NANOS)


def _from(options: argparse.Namespace) -> int:
    return 0 if options.last is None else -options.last


def _query(words: list[str]) -> str | None:
    """Return words of the command line as one search; the shell has taken the quotes away."""
    return " ".join(f'"{word}"' if " " in word and '"' not in word else word for word in words) or None


# traces, errors, slow -------------------------------------------------------------------------------------------


def _traces_command(name: str) -> _Command:
    texts = {"traces": "Traces, the latest first; with an id, one trace.", "errors": "Traces with errors."}
    parser = _parser(name, texts.get(name, "The slowest traces."))
    parser.add_argument("query", nargs="*", help="such as model=flight-delay 'duration>100ms' http.route=/predict")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default: 20)")
    return parser, {"traces": _traces, "errors": _errors, "slow": _slow}[name]


def _traces(source: Source, options: argparse.Namespace) -> int:
    if len(options.query) == 1 and _ID.fullmatch(options.query[0]):
        return _one(source, options.query[0], as_json=options.json)
    return _listed(source, options)


def _errors(source: Source, options: argparse.Namespace) -> int:
    return _listed(source, options, errors=1)


def _slow(source: Source, options: argparse.Namespace) -> int:
    """Print the slowest of the traces that the scatter has: the slowest are always among them."""
    query, start = _query(options.query), _from(options)
    found = source.get("traces", q=query, from_=start, limit=1, whole=1)["scatter"]
    slowest = sorted(found, key=lambda point: -point[1])[: options.limit]
    rows = [dict(zip(("start_ns", "duration_s", "error", "trace_id"), point, strict=True)) for point in slowest]
    if options.json:
        return _printed({"traces": rows})
    for row in rows:
        _told(row["start_ns"], seconds(row["duration_s"]), "error" if row["error"] else "", row["trace_id"])
    return OK


def _listed(source: Source, options: argparse.Namespace, **more: int) -> int:
    query = _query(options.query)
    whole = 1 if query else None
    found = source.get("traces", q=query, from_=_from(options), limit=options.limit, whole=whole, **more)
    if options.json:
        return _printed({"traces": found["traces"], "total": found["total"]})
    for row in found["traces"]:
        errors = f"{row['errors']} errors" if row["errors"] else ""
        _told(row["start_ns"], seconds(row["duration_s"]), errors, row["trace_id"], f"{row['service']}: {row['name']}")
    print(f"{len(found['traces'])} of {found['total']:,}", file=sys.stderr)
    return OK


def _one(source: Source, trace_id: str, *, as_json: bool) -> int:
    found = source.get("trace", id=trace_id)
    if as_json:
        return _printed(found)
    for span in found["spans"]:
        error = f"  error {_clean(span['status_message'])}".rstrip() if span["status"] == "error" else ""
        took, name = seconds(span["duration_ns"] / NANOS), _clean(span["name"])
        print(f"{took:>9}  {'  ' * span['depth']}{name}  ({_clean(span['service'])}){error}")
    for log in found["logs"]:
        _log(log)
    return OK


# logs, metrics --------------------------------------------------------------------------------------------------


def _logs_command(name: str) -> _Command:
    parser = _parser(name, "Log records and events, the latest last.")
    parser.add_argument("query", nargs="*", help="such as 'severity>=warn' event=ml.outcome refused")
    parser.add_argument("--severity", choices=list(SEVERITIES), help="this one and those above")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="how many (default: 50)")
    parser.add_argument("--follow", action="store_true", help="go on with what arrives, until Ctrl-C")
    return parser, _logs


def _logs(source: Source, options: argparse.Namespace) -> int:
    given = {"q": _query(options.query), "severity": options.severity, "from_": _from(options)}
    found = source.get("logs", **given, limit=options.limit)
    if options.json and not options.follow:
        return _printed({"logs": found["logs"], "total": found["total"]})
    show = _json_line if options.json else _log
    last = _shown(found["logs"], show, "0-0")
    while options.follow:
        time.sleep(1.0)
        last = _shown(source.get("logs", **given, limit=1000, tail_after=last)["logs"], show, last)
    return OK


def _shown(logs: list[dict[str, Any]], show: Callable[[dict[str, Any]], None], last: str) -> str:
    for log in reversed(logs):
        show(log)
    sys.stdout.flush()
    return str(logs[0]["id"]) if logs else last


def _log(log: dict[str, Any]) -> None:
    body = log["body"] if isinstance(log["body"], str) else json.dumps(log["body"], ensure_ascii=False)
    name = log["event_name"] or log["service"]
    _told(log["time_ns"], (log["severity_text"] or "").lower(), name, body, log["trace_id"] or "")


def _json_line(log: dict[str, Any]) -> None:
    print(json.dumps(log, ensure_ascii=False))


def _metrics_command(name: str) -> _Command:
    parser = _parser(name, "Every metric; with a name, its values over time.")
    parser.add_argument("name", nargs="?", help="a metric, such as ml.requests")
    parser.add_argument("--by", metavar="KEY", help="a line for each value of this attribute; '*' for every series")
    parser.add_argument("--where", metavar="KEY=VALUE", help="only these series")
    parser.add_argument("--stat", help="rate, value, p50, p95, p99 or mean")
    return parser, _metrics


def _metrics(source: Source, options: argparse.Namespace) -> int:
    if options.name is None:
        found = source.get("metrics")
        if options.json:
            return _printed(found)
        for row in found["metrics"]:
            print(f"{row['name']:<44} {row['kind']:<10} {row['unit'] or '-':<12} {row['series']:>5} series")
        return OK
    start = -15 * 60 * NANOS if options.last is None else -options.last
    given = {"by": options.by, "where": options.where, "stat": options.stat}
    found = source.get("metric", name=options.name, from_=start, **given)
    if options.json:
        return _printed(found)
    print(f"{found['name']} ({found['unit'] or 'no unit'}), {found['stat']}:")
    for line in found["series"]:
        known = [value for value in line["values"] if value is not None]
        last = f"{known[-1]:g}" if known else "-"
        print(f"  {_clean(line['label']) or 'all':<40} {last:>12}  {_spark(line['values'])}")
    return OK


def _spark(values: Iterable[float | None]) -> str:
    """Return values as a row of bars; a gap where there are none."""
    values = list(values)
    top = max((abs(value) for value in values if value is not None), default=0.0)
    bars = "▁▂▃▄▅▆▇█"
    return "".join(" " if v is None else bars[math.floor(abs(v) / top * 7) if top else 0] for v in values).strip()


# sql, await, export ---------------------------------------------------------------------------------------------


def _sql_command(name: str) -> _Command:
    parser = _parser(name, "Ask with SQL (DuckDB's): spans, logs, series, points. It only reads.", last=False)
    parser.add_argument("query", help="SELECT service, count(*) FROM spans GROUP BY service")
    parser.add_argument("--limit", type=int, default=1000, metavar="N", help="rows (default: 1000)")
    parser.add_argument("--timeout", type=int, default=10, metavar="SECONDS", help="(default: 10)")
    return parser, _sql


def _sql(source: Source, options: argparse.Namespace) -> int:
    found = source.get("sql", query=options.query, limit=options.limit, timeout=options.timeout)
    if options.json:
        return _printed([dict(zip(found["columns"], row, strict=True)) for row in found["rows"]])
    rows = [["" if cell is None else _clean(str(cell)) for cell in row] for row in found["rows"]]
    widths = [max(map(len, column)) for column in zip(found["columns"], *rows, strict=True)]
    for row in [found["columns"], *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if found["truncated"]:
        print(f"there are more than {options.limit} rows (--limit)", file=sys.stderr)
    return OK


def _await_command(name: str) -> _Command:
    parser = _parser(name, "Wait until something holds; 0 when it does, 1 when time is up, 2 on misuse.", last=False)
    parser.add_argument("expression", help="'traces>=1 model=flight-delay', 'ml.requests>=100', or a SELECT")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="(default: 30)")
    return parser, _await


def _await(source: Source, options: argparse.Namespace) -> int:
    deadline = time.monotonic() + options.timeout
    seen = None
    while True:
        arrivals = source.get("version")["arrivals"]
        if arrivals != seen:
            seen = arrivals
            found = source.get("check", expression=options.expression)
        left = deadline - time.monotonic()
        if found["holds"] or left <= 0:
            break
        time.sleep(min(POLL, left))
    if options.json:
        _printed(found)
    else:
        print(f"{options.expression}: {'yes' if found['holds'] else 'no'}, it is {found['value']}")
    return OK if found["holds"] else FALSE


def _export_command(name: str) -> _Command:
    parser = _parser(name, "Write everything as OTLP JSON lines, for otelml view and collectors.", last=False)
    parser.add_argument("file", metavar="FILE.jsonl", help="where to write; - for the terminal")
    return parser, _export


def _export(source: Source, options: argparse.Namespace) -> int:
    if options.file == "-":
        _write(source, sys.stdout.write)
        return OK
    with open(options.file, "x", encoding="utf-8") as file:  # noqa: PTH123 - as the user gave it; never over another
        lines = _write(source, file.write)
    if options.json:
        return _printed({"file": options.file, "lines": lines})
    print(f"{lines:,} lines in {options.file}. See them: otelml view {options.file}")
    return OK


def _write(source: Source, write: Callable[[str], object]) -> int:
    lines = 0
    for signal in SIGNALS:
        after: int | None = -1
        while after is not None:
            found = source.get("export", signal=signal, after=after)
            after = found["next"]
            for line in found["lines"]:
                write(f"{line}\n")
                lines += 1
    return lines


# The terminal ---------------------------------------------------------------------------------------------------


def _told(time_ns: int, *cells: str) -> None:
    at = datetime.fromtimestamp(time_ns / NANOS).astimezone()
    print(f"{at:%Y-%m-%d %H:%M:%S}.{time_ns // 10**6 % 1000:03}", *filter(None, map(_clean, cells)), sep="  ")


def _clean(text: str) -> str:
    """Return text without what steers a terminal: names and bodies are anybody's."""
    return "".join(character if character.isprintable() else "�" for character in text)


def _printed(value: Any) -> int:
    print(json.dumps(value, ensure_ascii=False))
    return OK


_COMMANDS: dict[str, Callable[[str], _Command]] = {
    **dict.fromkeys(("traces", "errors", "slow"), _traces_command),
    "logs": _logs_command,
    "metrics": _metrics_command,
    "sql": _sql_command,
    "await": _await_command,
    "export": _export_command,
}
NAMES = tuple(_COMMANDS)
"""The commands, by name."""
