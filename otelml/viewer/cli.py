"""``otelml view``: receive telemetry, keep it, show it in the browser."""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import os
import re
import signal
import sys
import threading
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from otelml.errors import OtelmlError
from otelml.viewer import running, sources
from otelml.viewer.access import Access, is_loopback
from otelml.viewer.api.promised import promises
from otelml.viewer.api.routes import Stored
from otelml.viewer.page import PageServer
from otelml.viewer.receiver import Receiver
from otelml.viewer.running import Running
from otelml.viewer.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otelml.viewer.api.promised import Promise

OK, FAILED, BAD_INPUT = 0, 1, 2
PAGE, OTLP_HTTP, OTLP_GRPC = 4319, 4318, 4317
LOOPBACK = "127.0.0.1"
BACKENDS = {"Prometheus": "metrics and models", "Jaeger": "traces", "Loki": "logs"}
"""Of a running stack, and what is read there."""
SHORTEST_TOKEN = 16
_SIZES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_SIZE = re.compile(r"(\d+)\s*([KMG]?)(?:i?B)?", re.IGNORECASE)


def main(arguments: Sequence[str]) -> int:
    """Run ``otelml view``; return 0, 1 where a file's lines were bad, 2 on misuse or where it can't start."""
    options = _parser().parse_args(arguments)
    try:
        if options.url:
            return _url(options.db)
        return _view(options)
    except (OtelmlError, OSError) as error:
        fix = getattr(error, "fix", "")
        print(f"otelml view: {error}{f'. {fix[:1].upper()}{fix[1:]}' if fix else ''}", file=sys.stderr)
        return BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="otelml view", description="See traces, metrics, logs and models.")
    parser.add_argument("file", nargs="?", metavar="FILE.jsonl", help="show OTLP JSON lines, of a file exporter")
    parser.add_argument("--db", metavar="FILE", help="keep it in a file, which survives (default: in memory)")
    parser.add_argument("--port", type=_port, help=f"of the page; 0 takes a free one (default: {PAGE}, or a free one)")
    parser.add_argument("--otlp-port", type=_port, help=f"of OTLP over HTTP (default: {OTLP_HTTP}, or a free one)")
    parser.add_argument("--grpc-port", type=_port, help=f"of OTLP over gRPC (default: {OTLP_GRPC}, or a free one)")
    parser.add_argument("--max-size", type=_size, metavar="SIZE", help="such as 500MB; then the oldest goes")
    for name, what in BACKENDS.items():
        parser.add_argument(f"--{name.lower()}", metavar="URL", help=f"read {what} there, and receive nothing")
    parser.add_argument("--slo", metavar="FILE", help="objectives to show, as `otelml slo generate` reads them")
    parser.add_argument("--ca", metavar="FILE", help="certificates to trust of Prometheus, Jaeger and Loki")
    parser.add_argument("--listen", metavar="ADDR", help="an address that others reach; needs --token-file")
    parser.add_argument("--token-file", metavar="FILE", help="token of senders and programs, for --listen")
    parser.add_argument("--no-browser", action="store_true", help="print the link alone")
    parser.add_argument("--url", action="store_true", help="print a fresh link to the viewer that runs")
    return parser


def _url(db: str | None) -> int:
    wanted = None if db is None else str(Path(db).resolve())
    viewer = next((each for each in running.viewers() if wanted in (None, each.db)), None)
    if viewer is None:
        raise sources.SourceError("no viewer runs here. Start one: otelml view")
    print(sources.Remote(viewer).get("link")["url"])
    return OK


def _view(options: argparse.Namespace) -> int:
    host, token = options.listen or LOOPBACK, _token(options)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with contextlib.ExitStack() as stack:
        access, promised = Access(host, token), _promised(options.slo)
        if _remote(options):
            return _view_stack(options, access, stack, stopped)
        store = stack.enter_context(Store(options.db, max_bytes=options.max_size))
        page = _bound(options.port, PAGE, lambda port: PageServer(Stored(store, promised), access, (host, port)))
        stack.callback(page.close)
        receiver = stack.enter_context(_receiver(store, host, token, options))
        page.otlp = {"http": receiver.http_endpoint, "grpc": receiver.grpc_endpoint}
        stack.enter_context(running.announced(_running(page, access, options.db)))
        link = page.link()
        _greet(options, page, link, token)
        if not options.no_browser and has_display():
            webbrowser.open(link)
        # Rows come and go by the thousand and refer to nothing: to look for cycles among them took a tenth of the time.
        gc.freeze()
        gc.set_threshold(20_000, 50, 100)
        code = OK if options.file is None else _shown(store, options.file)
        while not stopped.wait(1.0):
            pass
        _goodbye(store, options.db)
    return code


def _promised(name: str | None) -> tuple[Promise, ...]:
    """Return the objectives of a file; SourceError with every fault in it."""
    if name is None:
        return ()
    try:
        return promises(Path(name).read_text("utf-8"))
    except (OtelmlError, ValueError) as error:  # not UTF-8
        raise sources.SourceError("\n".join(f"{name}: {fault}" for fault in str(error).splitlines())) from error


def _remote(options: argparse.Namespace) -> dict[str, str]:
    """Return the addresses of a running stack by name; none where the viewer receives by itself."""
    found = {name: getattr(options, name.lower()) for name in BACKENDS if getattr(options, name.lower())}
    if found:
        own = ("file", "db", "otlp_port", "grpc_port", "max_size")
        given = [name for name in own if getattr(options, name) is not None]
        if given:
            option = "FILE.jsonl" if given[0] == "file" else f"--{given[0].replace('_', '-')}"
            raise sources.SourceError(f"{option} is of what is received here; with --{min(found).lower()} nothing is")
    elif options.ca is not None:
        raise sources.SourceError("--ca is of --prometheus, --jaeger and --loki: none of them is given")
    return found


def _view_stack(
    options: argparse.Namespace, access: Access, stack: contextlib.ExitStack, stopped: threading.Event
) -> int:
    """Show what Prometheus, Jaeger and Loki hold, until the end."""
    from otelml.viewer import remote  # noqa: PLC0415 - what only this needs takes a while

    running_stack = remote.Stack(_remote(options), options.ca, _promised(options.slo))
    running_stack.check()
    host = options.listen or LOOPBACK
    page = _bound(options.port, PAGE, lambda port: PageServer(running_stack, access, (host, port)))
    stack.callback(page.close)
    page.otlp = {"http": None, "grpc": None}
    stack.enter_context(running.announced(_running(page, access, None)))
    link = page.link()
    print(f"otelml view   {link}")
    for name, each in running_stack.backends.items():
        print(f"  {name}: {each.shown}")
    print("The link works once; another: otelml view --url. Ctrl-C ends.", flush=True)
    if not options.no_browser and has_display():
        webbrowser.open(link)
    stopped.wait()
    return OK


def _receiver(store: Store, host: str, token: str | None, options: argparse.Namespace) -> Receiver:
    """Return a started receiver; each protocol on its usual port, or on a free one where that is taken."""
    http = _free(host, options.otlp_port, OTLP_HTTP)
    grpc = _free(host, options.grpc_port, OTLP_GRPC)
    return Receiver(store, host=host, http_port=http, grpc_port=grpc, token=token).start()


def _free(host: str, asked: int | None, usual: int) -> int:
    """Return the port that was asked for, or the usual one, or 0 where somebody has that."""
    import socket  # noqa: PLC0415 - this alone needs it

    if asked is not None:
        return asked
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, usual))
        except OSError:
            return 0
    return usual


def _bound(asked: int | None, usual: int, serve: Callable[[int], PageServer]) -> PageServer:
    """Serve on the port that was asked for; else on the usual one, or on a free one where that is taken."""
    try:
        return serve(usual if asked is None else asked)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        if asked is None:
            return serve(0)
        raise sources.SourceError(f"port {asked} is taken. Give another (--port), or 0 for a free one") from error


def _running(page: PageServer, access: Access, db: str | None) -> Running:
    return Running(page.url, access.bearer, os.getpid(), db, page.otlp["http"], page.otlp["grpc"])


def _token(options: argparse.Namespace) -> str | None:
    """Return the token for ``--listen``; SourceError where it is missing or short."""
    if options.listen is None or is_loopback(options.listen):
        return None if options.token_file is None else _read_token(options.token_file)
    if options.token_file is None:
        raise sources.SourceError(
            f"--listen {options.listen} lets other machines in, so it needs --token-file FILE. Make one:\n"
            "  python -c 'import secrets; print(secrets.token_urlsafe(32))' > token; chmod 600 token"
        )
    return _read_token(options.token_file)


def _read_token(name: str) -> str:
    token = Path(name).read_text("utf-8").strip()
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise sources.SourceError(f"{name}: a token has {SHORTEST_TOKEN} or more printable characters, without spaces")
    return token


def _greet(options: argparse.Namespace, page: PageServer, link: str, token: str | None) -> None:
    """Print the link, where to send, and three lines to send some."""
    http, grpc = page.otlp["http"], page.otlp["grpc"]
    kept = f"kept in {options.db}" if options.db else "kept in memory (--db FILE keeps it)"
    print(f"otelml view   {link}")
    print(f"  OTLP: {http} (HTTP), {grpc} (gRPC); {kept}")
    print("Send some:")
    print(f"  export OTEL_EXPORTER_OTLP_ENDPOINT={http}")
    if token is not None:
        print('  export OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20$(cat ' + str(options.token_file) + ')"')
    print("  otelml run -- python app.py")
    print("The link works once; another: otelml view --url. Ctrl-C ends.", flush=True)


def _shown(store: Store, name: str) -> int:
    """Load a file into the store; return 1 where some of its lines were bad."""
    requests, faults = sources.load(store, Path(name))
    counts = ", ".join(f"{count:,} {signal}" for signal, count in store.received.items())
    print(f"{name}: {requests:,} requests ({counts})", flush=True)
    if faults:
        print(sources.complaint(name, faults), file=sys.stderr, flush=True)
    return FAILED if faults else OK


def _goodbye(store: Store, db: str | None) -> None:
    if db is not None:
        counts = ", ".join(f"{count:,} {signal}" for signal, count in store.received.items())
        print(f"\n{counts} received so far; they stay in {db}")


def has_display() -> bool:
    """Return whether a browser can open here: a desktop, not a server, a terminal over SSH or CI."""
    if os.environ.get("CI") or os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def serve(receiver: Receiver, stack: contextlib.ExitStack) -> PageServer:
    """Serve the page of a started receiver's store until the stack ends, where the terminal's commands find it."""
    access = Access()
    page = _bound(None, PAGE, lambda port: PageServer(receiver.store, access, (LOOPBACK, port)))
    stack.callback(page.close)
    page.otlp = {"http": receiver.http_endpoint, "grpc": None}
    stack.enter_context(running.announced(_running(page, access, None)))
    return page


def stay(page: PageServer) -> None:
    """Wait until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        print(f"The page stays at {page.link()} until Ctrl-C.", flush=True)
        while True:
            time.sleep(3600)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:  # noqa: PLR2004 - the last port
        raise argparse.ArgumentTypeError(f"{text!r}: give a port from 0 to 65535")
    return int(text)


def _size(text: str) -> int:
    matched = _SIZE.fullmatch(text.strip())
    size = int(matched[1]) * _SIZES[matched[2].upper()] if matched else 0
    if size < 1024**2:
        raise argparse.ArgumentTypeError(f"{text!r}: give 1MB or more, such as 500MB or 2GB")
    return size
