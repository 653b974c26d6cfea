"""``otelml spool``: what waits on the disk, and ``otelml spool send``, which sends what no running process will."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from otelml import config
from otelml._parse import without_password
from otelml.errors import OtelmlError
from otelml.outage import Outage, begin_exporting
from otelml.spool import folders
from otelml.spool.batches import WHAT, of_name
from otelml.spool.delivery import Delivery, Fate, UnknownExporterError
from otelml.spool.storing import Spool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otelml.config import Config
    from otelml.spool.batches import Batch

OK, LEFT, BAD_INPUT = 0, 1, 2
ASIDE = 3
"""Batches of a signal that may be answered with a fault before the rest is left for later."""


@dataclass
class Line:
    """What waits of one signal: files, spans or records or points, bytes, and the age of the oldest in seconds."""

    signal: str
    batches: int = 0
    items: int = 0
    bytes: int = 0
    oldest: float | None = None

    def add(self, batch: Batch, now: float) -> None:
        """Count one batch."""
        self.batches += 1
        self.items += batch.items
        self.bytes += batch.size
        self.oldest = max(self.oldest or 0.0, now - batch.made / 1e9)


def main(arguments: Sequence[str]) -> int:
    """Run ``otelml spool``; return 0, 1 where something could not be sent, 2 where nothing could be done."""
    parser = argparse.ArgumentParser(
        prog="otelml spool", description="Batches on the disk that no receiver has taken yet (OTELML_SPOOL_DIR)."
    )
    parser.set_defaults(function=_list)
    parser.add_argument("--dir", metavar="DIR", help="the directory (OTELML_SPOOL_DIR)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    commands = parser.add_subparsers(metavar="COMMAND")
    send = commands.add_parser(
        "send",
        help="send what dead processes left behind",
        description="Send what dead processes left behind, oldest first, by the OTEL_* settings. Running processes "
        "send their own. Exit code 1: something is left.",
    )
    send.add_argument("--endpoint", metavar="URL", help="where to (OTEL_EXPORTER_OTLP_ENDPOINT)")
    send.add_argument("--protocol", metavar="NAME", help="http/protobuf or grpc (OTEL_EXPORTER_OTLP_PROTOCOL)")
    send.add_argument("--dir", metavar="DIR", default=argparse.SUPPRESS, help="the directory (OTELML_SPOOL_DIR)")
    send.set_defaults(function=_send)
    options = parser.parse_args(arguments)
    try:
        return int(options.function(options))
    except (OtelmlError, UnknownExporterError) as error:
        print(f"otelml spool: {error}", file=sys.stderr)
        return BAD_INPUT


def _settings(options: argparse.Namespace) -> tuple[Config, Path]:
    given = {"spool_dir": options.dir}
    given |= {f"exporter_otlp_{name}": getattr(options, name, None) for name in ("endpoint", "protocol")}
    settings = config.load(given)
    if settings.spool_dir is None:
        raise OtelmlError("no directory: give --dir or set OTELML_SPOOL_DIR")
    return settings, Path(settings.spool_dir)


# list -----------------------------------------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> int:
    _, root = _settings(options)
    lines, running = waiting(root)
    aside = [batch for name in folders.names(root / folders.ASIDE) if (batch := of_name(name)) is not None]
    if options.json:
        print(json.dumps({"signals": [asdict(line) for line in lines], "running": running, "torn": len(aside)}))
        return OK
    print(f"{'SIGNAL':8} {'BATCHES':>8} {'ITEMS':>12} {'SIZE':>10}  OLDEST")
    for line in lines:
        print(f"{line.signal:8} {line.batches:8,} {line.items:12,} {size(line.bytes):>10}  {age(line.oldest)}")
    if running:
        print(f"\nRunning processes with a folder of their own: {running}. They send what is theirs.")
    if aside:
        print(f"\n{len(aside)} files that are not whole: {root / folders.ASIDE}. They are not sent.")
    if any(line.batches for line in lines):
        print("\nSend what dead processes left behind: otelml spool send")
    return OK


def waiting(root: Path) -> tuple[list[Line], int]:
    """Return what waits of each signal, and how many running processes have a folder."""
    lines, now, running = {signal: Line(signal) for signal in WHAT}, time.time(), 0
    for path in folders.found(root):
        running += folders.held(path)
        for name in folders.names(path):
            batch = of_name(name)
            if batch is not None:
                lines[batch.signal].add(batch, now)
    return list(lines.values()), running


def size(n: int) -> str:
    """Return bytes as people read them."""
    units = ["B", "KiB", "MiB", "GiB"]
    value = float(n)
    while value >= 1024 and len(units) > 1:  # noqa: PLR2004 - the step between units
        value /= 1024
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def age(seconds: float | None) -> str:
    """Return an age as people read it."""
    if seconds is None:
        return "-"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"


# send -----------------------------------------------------------------------------------------------------------


def _send(options: argparse.Namespace) -> int:
    settings, root = _settings(options)
    Outage()  # keeps back what the exporters say: we say it ourselves
    begin_exporting()
    torn = Counter[str]()
    # A person asks for it: nothing is too old, and nothing has to make room.
    spool = Spool(root, sys.maxsize, 10_000 * 86_400.0, lambda what, _, count: torn.update({what: count}))
    spool.signals = set(WHAT)
    spool.tend(now=True)
    left = 0
    for signal in WHAT:
        batches = spool.arrived(signal)
        if batches:
            left += _send_signal(settings, spool, signal, batches)
    spool.signals = set()
    spool.leave("")
    for what, count in torn.items():
        print(f"{what}s in files that are not whole, set aside: {count:,}")
    _, running = waiting(root)
    if running:
        print(f"Running processes with a folder of their own: {running}. They send what is theirs.")
    return LEFT if left else OK


def _send_signal(settings: Config, spool: Spool, signal: str, batches: list[Batch]) -> int:
    """Send all batches of a signal; return how many are left."""
    rejected = Counter[str]()
    delivery = Delivery(settings, signal, lambda _, where, count: rejected.update({where: count}))
    done, items, aside, reason = 0, 0, 0, ""
    batches.sort(key=lambda batch: batch.made)
    for batch in batches:
        request = spool.read(batch) if spool.take(batch) else None
        if request is None:
            done += 1
            continue
        fate, said = delivery.send(request)
        reason = said or reason
        aside += fate is Fate.ASIDE
        if fate is Fate.LATER or aside >= ASIDE:
            break
        if fate is not Fate.ASIDE:
            spool.remove(batch)
            done += 1
            items += batch.items if fate is Fate.SENT else 0
            rejected["refused"] += batch.items if fate is Fate.REFUSED else 0
        if sys.stderr.isatty():
            print(f"\r{signal}: {done:,} of {len(batches):,} batches", end="", file=sys.stderr)
    delivery.shutdown()
    _told(settings, signal, (done, len(batches), items), rejected, reason)
    return len(batches) - done


def _told(settings: Config, signal: str, sent: tuple[int, int, int], rejected: Counter[str], reason: str) -> None:
    done, total, items = sent
    clear = "\r" if sys.stderr.isatty() else ""
    print(f"{clear}{signal}: {items:,} {WHAT[signal]}s sent, in {done:,} of {total:,} batches")
    for where, count in rejected.items():
        if count:
            print(f"{signal}: {count:,} {WHAT[signal]}s {where} by the receiver: {reason or 'see its log'}")
    if done < total:
        endpoint = without_password(settings.signal(signal).endpoint.partition("?")[0])
        print(f"otelml spool: {total - done:,} batches of {signal} are left: {endpoint}: {reason}", file=sys.stderr)
