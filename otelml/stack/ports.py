"""The ports of the stack: chosen, checked, remembered."""

from __future__ import annotations

import errno
import socket
from types import MappingProxyType
from typing import TYPE_CHECKING

import psutil

from otelml.stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOOPBACK = "127.0.0.1"
DEFAULT: Mapping[str, int] = MappingProxyType(
    {
        "otlp-grpc": 4317,
        "otlp-http": 4318,
        "otelcol-health": 13133,
        "otelcol-metrics": 8888,
        "prometheus": 9090,
        "jaeger": 16686,
        "jaeger-grpc": 16685,
        "jaeger-otlp": 14317,
        "jaeger-health": 13132,
        "jaeger-metrics": 8887,
        "loki": 3100,
        "loki-grpc": 9096,
        "alertmanager": 9093,
    }
)
HIGHEST = 65535


def choose(offset: int, given: Iterable[str]) -> dict[str, int]:
    """Return every port by name: the default plus ``offset``, or as given (``NAME=NUMBER``).

    Raises:
        StackError: With every name that does not exist, every number out of range, every number used twice.
    """
    faults: list[str] = []
    ports = {name: number + offset for name, number in DEFAULT.items()}
    for text in given:
        name, _, number = text.partition("=")
        if name not in DEFAULT:
            faults.append(f"--port {text}: no such port; there are {', '.join(DEFAULT)}")
        elif not number.isdigit():
            faults.append(f"--port {text}: must read NAME=NUMBER, such as {name}={DEFAULT[name] + 1000}")
        else:
            ports[name] = int(number)
    faults += [f"{name}: port {n} is not between 1 and {HIGHEST}" for name, n in ports.items() if not 0 < n <= HIGHEST]
    users: dict[int, list[str]] = {}
    for name, chosen in ports.items():
        users.setdefault(chosen, []).append(name)
    faults += [f"port {chosen} is given to {' and '.join(names)}" for chosen, names in users.items() if len(names) > 1]
    if faults:
        raise StackError("These ports can't be used.", faults)
    return ports


def check_free(ports: Mapping[str, int]) -> None:
    """Raise StackError with every port that something else listens on, and how to choose another."""
    taken = [(name, number, fault) for name, number in ports.items() if (fault := _fault(number))]
    if taken:
        lines = [f"port {number} ({name}) {fault}" for name, number, fault in taken]
        name, number, _ = taken[0]
        lines.append(f"end what uses them, or choose others: --port {name}={number + 1}, or all: --port-offset 10000")
        raise StackError("The stack can't start: not all of its ports are free.", lines)


def _fault(number: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, number))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"is taken{_by_whom(number)}"
            return f"can't be bound: {error.strerror}"
    return None


def _by_whom(number: int) -> str:
    """Return who listens on a port, as far as this user may know."""
    try:
        for connection in psutil.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (number,) and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.Error, OSError):
        pass
    return ""
