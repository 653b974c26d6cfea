"""The paths of the API: which function answers, and which rows are its table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from otelml.viewer.api import tables
from otelml.viewer.api.comparison import compare
from otelml.viewer.api.export import export
from otelml.viewer.api.expressions import check
from otelml.viewer.api.health import health
from otelml.viewer.api.logs import logs
from otelml.viewer.api.metrics import metric, metrics
from otelml.viewer.api.model import model
from otelml.viewer.api.models import models
from otelml.viewer.api.parameters import Asked
from otelml.viewer.api.slos import slos
from otelml.viewer.api.sql import sql
from otelml.viewer.api.trace import compare_traces, trace
from otelml.viewer.api.traces import attributes, traces, values
from otelml.viewer.api.version import version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otelml.viewer.api.promised import Promise
    from otelml.viewer.store import Store

    Answer = dict[str, Any]

CSV = ("json", "csv")


@dataclass(frozen=True, slots=True)
class Route:
    """One path: what answers, and what makes rows of the answer for CSV."""

    function: Callable[[Store, Asked], Answer]
    rows: Callable[[Answer], list[dict[str, Any]]]


ROUTES: dict[str, Route] = {
    "models": Route(models, tables.models),
    "model": Route(model, tables.model),
    "compare": Route(compare, tables.of("rows")),
    "traces": Route(traces, tables.of("traces")),
    "trace": Route(trace, tables.of("spans")),
    "compare-traces": Route(compare_traces, tables.of("rows")),
    "attributes": Route(attributes, tables.of("keys")),
    "values": Route(values, tables.of("values")),
    "logs": Route(logs, tables.of("logs")),
    "metrics": Route(metrics, tables.of("metrics")),
    "metric": Route(metric, tables.metric),
    "slos": Route(slos, tables.slos),
    "sql": Route(sql, tables.sql),
    "check": Route(check, lambda found: [found]),
    "export": Route(export, tables.of("lines")),
    "health": Route(health, tables.of("mistakes")),
}
"""By the path after ``/api/``."""


def answer(
    store: Store, name: str, given: Mapping[str, str], now_ns: int | None = None, promised: Sequence[Promise] = ()
) -> Answer | str:
    """Return the answer of a path as a dict, or as CSV text with ``format=csv``; ``promised`` are a file's objectives.

    Raises:
        KeyError: there is no such path.
        BadRequestError: parameters are wrong.
        NotFoundError: what is asked for by name is not there.
    """
    route = ROUTES[name]
    asked = Asked(given, now_ns)
    as_csv = asked.choice("format", "json", CSV) == "csv"
    found = slos(store, asked, promised) if name == "slos" else route.function(store, asked)
    return tables.to_csv(route.rows(found)) if as_csv else found


class Answers(Protocol):
    """What the page asks: a store, or backends that hold the same."""

    def version(self, otlp: Mapping[str, str | None]) -> Answer:
        """Return whether anything has arrived, for the page's every second."""

    def answer(self, name: str, given: Mapping[str, str]) -> Answer | str:
        """Return the answer of a path; raises as the function ``answer`` does."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Answers from a store."""

    store: Store
    promised: Sequence[Promise] = ()
    """Objectives of a file."""

    def version(self, otlp: Mapping[str, str | None]) -> Answer:
        """Return the store's version."""
        return version(self.store, otlp)

    def answer(self, name: str, given: Mapping[str, str]) -> Answer | str:
        """Return the store's answer."""
        return answer(self.store, name, given, promised=self.promised)
