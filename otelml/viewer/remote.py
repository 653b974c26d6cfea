"""The viewer over a running stack: metrics from Prometheus, traces from Jaeger, logs from Loki, no store of its own.

For each question, what its page needs is asked of the backends and put, as the OTLP that it once was, into a store in
memory that lives as long as the answer takes. The functions that answer from a store then answer from this one: a
figure is made in one way, wherever its numbers were kept.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

from otelml.viewer import remote_answers
from otelml.viewer.api.parameters import Asked
from otelml.viewer.api.routes import CSV, ROUTES
from otelml.viewer.api.tables import to_csv
from otelml.viewer.remote_http import Backend, RemoteError, backend
from otelml.viewer.rows import NANOS
from otelml.viewer.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otelml.viewer.api.promised import Promise

PROMETHEUS, JAEGER, LOKI = "Prometheus", "Jaeger", "Loki"
PROBES = {PROMETHEUS: "/api/v1/query?query=1", JAEGER: "/api/v3/services", LOKI: "/loki/api/v1/labels"}
EXAMPLES = {PROMETHEUS: "http://127.0.0.1:9090", JAEGER: "http://127.0.0.1:16686", LOKI: "http://127.0.0.1:3100"}
REFRESH = 5
"""Seconds after which a page that follows asks again."""
DAY_NS = 86_400 * NANOS


@dataclass(slots=True)
class Question:
    """One request: what is asked, the store that its answer is made from, and what has to be said beside it."""

    name: str
    given: Mapping[str, str]
    now_ns: int
    stack: Stack
    store: Store
    notes: list[str] = field(default_factory=list)

    @property
    def asked(self) -> Asked:
        """The parameters, to be read anew."""
        return Asked(self.given, self.now_ns)

    def backend(self, name: str) -> Backend:
        """Return a backend; RemoteError that names its option where there is none."""
        found = self.stack.backends.get(name)
        if found is None:
            option = f"--{name.lower()}"
            raise RemoteError(
                f"this page is made from {name}, and otelml view was started without {option}",
                f"otelml view {option} {EXAMPLES[name]}",
            )
        return found

    def optional(self, name: str, what: str) -> Backend | None:
        """Return a backend, or None and a note on what is missing without it."""
        found = self.stack.backends.get(name)
        if found is None:
            self.notes.append(f"{what}: otelml view was started without --{name.lower()} URL")
        return found


class Stack:
    """Prometheus, Jaeger and Loki, each where it is given.

    Args:
        urls: Address by name.
        ca: A file of certificates that theirs are signed by; those of the system when None.
        promised: Objectives of a file; without any, the usual ones of every model.
    """

    def __init__(self, urls: Mapping[str, str], ca: str | None = None, promised: Sequence[Promise] = ()) -> None:
        self.promised = tuple(promised)
        self.backends = {name: backend(name, f"--{name.lower()}", url, PROBES[name], ca) for name, url in urls.items()}

    def check(self) -> None:
        """Raise RemoteError with a line for each backend that can't be asked."""
        faults = []
        for each in self.backends.values():
            try:
                each.check()
            except RemoteError as error:
                faults.append(f"{each.option}: {error}. {error.fix[:1].upper()}{error.fix[1:]}")
        if faults:
            raise RemoteError("\n".join(faults), "")

    def version(self, otlp: Mapping[str, str | None]) -> dict[str, Any]:  # noqa: ARG002 - nothing is received here
        """Return what the page asks for every second; the number of arrivals moves as the clock does."""
        now = time.time_ns()
        shown = {name.lower(): each.shown for name, each in self.backends.items()}
        return {
            "version": installed("otelml"),
            "arrivals": now // NANOS // REFRESH,
            "now_ns": now,
            "first_ns": now - 30 * DAY_NS,
            "last_ns": now,
            **dict.fromkeys(("spans", "logs", "points")),
            "empty": False,
            "otlp": {"http": None, "grpc": None},
            "remote": {name.lower(): shown.get(name.lower()) for name in PROBES},
        }

    def answer(self, name: str, given: Mapping[str, str], now_ns: int | None = None) -> dict[str, Any] | str:
        """Return the answer of a path, as ``routes.answer`` does.

        Raises:
            RemoteError: A backend can't be asked, or there is none for this page.
        """
        now_ns = time.time_ns() if now_ns is None else now_ns
        as_csv = Asked(given, now_ns).choice("format", "json", CSV) == "csv"
        with Store() as store:
            question = Question(name, given, now_ns, self, store)
            found = remote_answers.ANSWERS.get(name, remote_answers.not_here)(question)
        if as_csv:
            return to_csv(ROUTES[name].rows(found))
        return {**found, "notes": question.notes}
