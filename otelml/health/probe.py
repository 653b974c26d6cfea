#!python
"""``otelml health URL``: ask a probe from inside a container, and exit 0, 1 or 2. The standard library alone.

This file imports nothing of otelml, so that it also runs by itself, in a fraction of the time: ``otelml-health URL``.
"""

from __future__ import annotations

import argparse
import math
import socket
import sys
import threading
from time import perf_counter
from urllib.parse import SplitResult, urlsplit

HEALTHY, UNHEALTHY, BAD_INPUT = 0, 1, 2
_PORTS = {"http": 80, "https": 443}
_MOST = 1024
"""Bytes of the answer that are looked at: its first line must be within."""
_GOOD = range(200, 300)


def main(arguments: list[str] | None = None) -> int:
    """Ask once and print one line; return 0 for a status of 2xx in time, 1 for anything else, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="otelml health", description="Ask a health probe: exit 0 when it says yes, 1 when not, 2 for bad input."
    )
    parser.add_argument("url", metavar="URL", help="such as http://127.0.0.1:8000/health/readyz")
    parser.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS", help="for everything (default: 2)")
    parser.add_argument("--unix", metavar="SOCKET", help="connect to this Unix socket; the URL gives path and host")
    options = parser.parse_args(arguments)
    url, fault = _read(options.url)
    if not 0 < options.timeout < math.inf:
        fault = "--timeout must be more than 0 seconds"
    if url is None or fault:
        print(f"otelml health: {fault}", file=sys.stderr)
        return BAD_INPUT
    started = perf_counter()
    good, said = _ask(url, options.unix, options.timeout)
    where = f"{url.scheme}://{url.netloc}{url.path}"
    print(f"{'pass' if good else 'fail'}: {said} from {where} in {(perf_counter() - started) * 1000:.0f} ms")
    return HEALTHY if good else UNHEALTHY


def _read(text: str) -> tuple[SplitResult | None, str]:
    """Return the address, or None and what is wrong with it."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return None, "this is no URL"
    if url.scheme not in _PORTS or not url.hostname or port == 0:
        return None, "the URL must begin with http:// or https:// and name a host"
    if url.username is not None or url.password is not None:
        return None, "the URL must hold no user name or password: they would be seen in the list of processes"
    if not (url.path + url.query).isascii() or any(c.isspace() for c in url.path + url.query):
        return None, "the URL's path must be plain ASCII without spaces"
    return url, ""


def _ask(url: SplitResult, path: str | None, timeout: float) -> tuple[bool, str]:
    """Return whether the answer is yes, and what was answered, after at most ``timeout`` seconds."""
    answers: list[tuple[bool, str]] = []
    # In a thread: looking up a name takes no timeout, and an answer that drips in would renew one.
    asking = threading.Thread(target=lambda: answers.append(_exchange(url, path, timeout)), daemon=True)
    asking.start()
    asking.join(timeout)
    return answers[0] if answers else (False, f"no answer within {timeout:g} s")


def _exchange(url: SplitResult, path: str | None, timeout: float) -> tuple[bool, str]:
    try:
        with _connected(url, path, timeout) as connection:
            target = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
            request = f"GET {target} HTTP/1.1\r\nHost: {url.netloc}\r\nUser-Agent: otelml-health\r\nConnection: close"
            connection.sendall(f"{request}\r\n\r\n".encode("ascii"))
            head = b""
            while b"\n" not in head and len(head) < _MOST and (more := connection.recv(_MOST)):
                head += more
    except (OSError, ValueError) as error:
        return False, type(error).__name__
    protocol, _, rest = head.partition(b" ")
    code = rest[:3]
    if not protocol.startswith(b"HTTP/1.") or not code.isdigit():
        return False, "something that is not HTTP"
    return int(code) in _GOOD, code.decode()


def _connected(url: SplitResult, path: str | None, timeout: float) -> socket.socket:
    if path is not None:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(path)
    else:
        connection = socket.create_connection((url.hostname, url.port or _PORTS[url.scheme]), timeout)
    if url.scheme == "http":
        return connection
    import ssl  # noqa: PLC0415 - a third of the start, for https alone

    # Certificates are checked; SSL_CERT_FILE names those to trust.
    return ssl.create_default_context().wrap_socket(connection, server_hostname=url.hostname)


if __name__ == "__main__":
    sys.exit(main())
