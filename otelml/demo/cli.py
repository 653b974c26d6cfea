"""``otelml demo``: real flights through a real model behind real HTTP, observed by otelml."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import re
import signal
import sys
import time
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from otelml.errors import MissingExtraError, OtelmlError

try:
    from rich.console import Console, Group, RenderableType
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    from otelml import drift
    from otelml.demo import data, training
    from otelml.demo.landings import Landings
    from otelml.demo.replay import Replay
    from otelml.demo.screen import QUIET, Screen, slowest_tree
    from otelml.demo.services import Services
    from otelml.demo.summary import summarize
except ModuleNotFoundError as missing:
    raise MissingExtraError(f"the demo ({missing.name})", "demo") from None

from otelml.viewer.cli import serve, stay
from otelml.viewer.receiver import Receiver

if TYPE_CHECKING:
    from otelml.viewer.page import PageServer
    from otelml.viewer.store import Store

MODEL = "flight-delay"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
REFRESH_SECONDS = 0.5


def main(argv: list[str] | None = None) -> int:
    """Run the demo; returns 0 when everything sent was received, 1 when not or when a service failed, 2 on misuse."""
    options = _parser().parse_args(argv)
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 80
    console = Console(record=options.svg is not None, width=width, highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the services end as well
    try:
        return _run(options, console)
    except OtelmlError as error:
        console.print(f"[red]■[/] {error}")
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="otelml demo", description=__doc__.replace("``", ""))
    parser.add_argument(
        "--seconds", type=_positive, help="how long to send flights (default: 30, unless --count is given)"
    )
    parser.add_argument("--count", type=_count, help="how many flights to send")
    parser.add_argument(
        "--rate", type=_rate, default=40.0, help="flights a second; 0: as fast as answered (default: 40)"
    )
    parser.add_argument(
        "--from", dest="day", type=_day, default=data.REPLAY_FROM, help="first day (default: 2013-04-01)"
    )
    parser.add_argument("--summary", type=_writable, metavar="FILE", help="write the counts as JSON")
    parser.add_argument(
        "--view",
        action=argparse.BooleanOptionalAction,
        help="show the page while it runs, and stay until Ctrl-C (default: at a terminal)",
    )
    parser.add_argument("--svg", type=_writable, metavar="FILE", help="write the last screen as an SVG picture")
    return parser


def _run(options: argparse.Namespace, console: Console) -> int:
    seconds = options.seconds or (None if options.count else 30.0)
    console.print("[bold]otelml demo[/]: will this flight arrive more than 15 minutes late?")
    _prepare(console)
    elsewhere = os.environ.get(ENDPOINT)
    with contextlib.ExitStack() as stack:
        receiver = None if elsewhere else stack.enter_context(Receiver())
        store = None if receiver is None else receiver.store
        page = None if receiver is None else _page(options, console, receiver, stack)
        console.print(f"Telemetry goes to {elsewhere or 'a receiver in this process'}. Starting two services ...")
        settings = _settings(Path(stack.enter_context(TemporaryDirectory(prefix="otelml-demo-"))))
        services = stack.enter_context(Services(receiver.http_endpoint if receiver else None, settings))
        flights = data.flights_from(data.store_path(), options.day, options.count)
        replay = Replay(services.predict_url, flights, rate=options.rate, seconds=seconds)
        landings = Landings(services.outcomes_url, lambda: replay.clock)
        replay.predicted = landings.predicted
        screen = None if store is None else Screen(store, MODEL, drift.Reference.load(training.reference_path()))
        goal = _Goal(replay, options.count, seconds)
        landings.start()
        _watch(console, replay, services, screen, goal)
        landings.stop()
        services.stop()
        summary = _settled(replay, landings, store)
        if screen is not None and store is not None:
            _report(console, screen, store, goal)
        _close(console, summary, elsewhere)
        _write(options, console, summary)
        if page is not None:
            stay(page)
    return 0 if summary["equal"] and replay.answered["200"] else 1


def _page(
    options: argparse.Namespace, console: Console, receiver: Receiver, stack: contextlib.ExitStack
) -> PageServer | None:
    """Serve the page, at a terminal or where asked for, until the stack ends; print its link."""
    at_terminal = console.is_terminal and sys.stdin.isatty() and not os.environ.get("CI")
    if not (at_terminal if options.view is None else options.view):
        return None
    page = serve(receiver, stack)
    console.print(f"Watch it: {page.link()}", soft_wrap=True)
    return page


def _write(options: argparse.Namespace, console: Console, summary: dict[str, Any]) -> None:
    if options.summary:
        options.summary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    if options.svg:
        options.svg.write_text(_picture(console), encoding="utf-8")


def _prepare(console: Console) -> None:
    """Make the store of flights and the model, where they are not there yet."""
    if not data.store_path().exists():
        console.print("Reading 336,776 real flights of 2013 with weather and planes (about 5 s, once) ...")
    store = data.ensure_store()
    if not training.model_path().exists():
        console.print("Training a scikit-learn pipeline on January to March (about 15 s, once) ...")
    quality = training.ensure_model(store)
    training.ensure_reference(store)
    if quality is not None:
        console.print(
            f"  on {quality.flights:,} flights of March that it had not seen: ROC AUC {quality.auc:.3f},"
            f" Brier score {quality.brier:.3f} ({quality.base_rate:.0%} were late)"
        )


def _settings(directory: Path) -> dict[str, str]:
    """Return what the prediction service needs to watch drift and to join truths, in a database of this run."""
    return {
        "OTELML_DRIFT_REFERENCE": f"{MODEL}={training.reference_path()}",
        "OTELML_OUTCOMES_DATABASE": str(directory / "outcomes.db"),
        "OTELML_OUTCOMES_SPOOL": str(directory / "spool"),
    }


class _Goal:
    """How far the replay is."""

    def __init__(self, replay: Replay, count: int | None, seconds: float | None) -> None:
        self._replay, self._count, self._seconds = replay, count, seconds

    def share(self) -> float:
        """Return the share done, from 0 to 1."""
        shares = [self._replay.sent / self._count] if self._count else []
        if self._seconds:
            shares.append(self._replay.elapsed / self._seconds)
        return 1.0 if self._replay.done else min(1.0, max(shares, default=0.0))

    def caption(self) -> str:
        """Return what is being sent and how long it takes."""
        if self._replay.done:
            return f"{self._replay.sent:,} flights sent, up to {self._replay.day}"
        share = self.share()
        left = self._replay.elapsed * (1 - share) / share if share else 0.0
        return f"{self._replay.sent:,} flights sent, now {self._replay.day}, {left:.0f} s to go"


def _watch(console: Console, replay: Replay, services: Services, screen: Screen | None, goal: _Goal) -> None:
    """Send flights until done, with the live picture on a terminal."""

    def picture() -> RenderableType:
        return Text(goal.caption()) if screen is None else screen.picture(goal.share(), goal.caption())

    replay.start()
    live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
    with live or contextlib.nullcontext():
        try:
            while not replay.done:
                services.check()
                current = picture()
                if live is not None:
                    live.update(current, refresh=True)
                time.sleep(REFRESH_SECONDS)
        finally:
            replay.stop()


def _picture(console: Console) -> str:
    """Return the screen as an SVG that asks for nothing over the network: without rich's font on a server."""
    return re.sub(r"@font-face\s*{.*?}", "", console.export_svg(title="otelml demo"), flags=re.DOTALL)


def _settled(replay: Replay, landings: Landings, store: Store | None) -> dict[str, Any]:
    """Return the counts once everything is in, within five seconds of the services' end."""
    if store is not None:
        store.wait_for(lambda s: summarize(replay, landings, s, MODEL)["equal"], timeout=5.0)
    return summarize(replay, landings, store, MODEL)


def _report(console: Console, screen: Screen, store: Store, goal: _Goal) -> None:
    console.print()
    console.print(screen.picture(1.0, goal.caption()))
    tree = slowest_tree(store, MODEL)
    if tree is not None:
        console.print(Group(Text(), tree))


def _close(console: Console, summary: dict[str, Any], elsewhere: str | None) -> None:
    console.print()
    if elsewhere:
        sent = summary["sent"]
        console.print(
            f"{sent['requests']:,} flights sent, answered {sent['answered']}. Their telemetry is at {elsewhere}."
        )
    else:
        _counts(console, summary)
    console.print(Text("Next:", "bold"))
    # scripts/demo says how it was called: the environment it made is not on the PATH
    again = os.environ.get("DEMO_COMMAND", "otelml demo")
    otelml = ".venv/bin/otelml" if again != "otelml demo" else "otelml"
    for command, what in (
        (f"{again} --from 2013-12-01", "December: a third of them is late"),
        (f"{again} --rate 0 --count 28000", "April, as fast as the service answers: what moved?"),
        (f"{otelml} semconv", "every name that otelml emits"),
        (f"{otelml} stack verify", "the bundled stack: one prediction, all the way to three stores")
        if elsewhere
        else (f"{ENDPOINT}=http://localhost:4318 {again}", "a collector"),
    ):
        console.print(Text.assemble(f"  {command:<37}  ", (what, QUIET)))


def _counts(console: Console, summary: dict[str, Any]) -> None:
    wrong = {name: pair for name, pair in summary["checks"].items() if pair[0] != pair[1]}
    items = summary["received"]["items"]
    if not wrong:
        received = ", ".join(f"{count:,} {_ITEMS[signal]}" for signal, count in items.items())
        console.print(
            f"[green]●[/] [bold]Sent = counted[/] for {summary['sent']['requests']:,} flights,"
            f" {len(summary['checks'])} ways to count; none dropped."
        )
        console.print(Text(f"  {received}", QUIET))
        return
    table = Table("what", "sent", "received", title="[red]■[/] Counts differ", title_justify="left", border_style=QUIET)
    for name, (sent, received) in wrong.items():
        table.add_row(name, f"{sent:,}", f"{received:,}")
    console.print(table)


_ITEMS = {"traces": "spans", "metrics": "metric points", "logs": "log records"}


def _number(text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r}: give {what}")
    return value


def _positive(text: str) -> float:
    return _number(text, 0.1, 1e6, "a number of seconds over 0")


def _rate(text: str) -> float:
    return _number(text, 0, 1e5, "flights a second, 0 for as fast as answered")


def _count(text: str) -> int:
    value = _number(text, 1, 1e9, "a whole number over 0")
    if not value.is_integer():
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number over 0")
    return int(value)


def _day(text: str) -> str:
    try:
        day = date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day: write it as 2013-06-15") from None
    if not data.FIRST_DAY <= day <= data.LAST_DAY:
        raise argparse.ArgumentTypeError(f"{text}: the flights are those of 2013")
    return day


def _writable(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir() or (path.exists() and not os.access(path, os.W_OK)):
        raise argparse.ArgumentTypeError(f"{text}: name a file in a directory that exists")
    return path


if __name__ == "__main__":
    sys.exit(main())
