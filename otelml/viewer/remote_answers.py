"""How each path of the API is answered from a running stack: what is asked of whom, and what can't be known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml import semconv
from otelml.viewer import remote_health, remote_logs, remote_metrics, remote_traces
from otelml.viewer.api import curves
from otelml.viewer.api.metrics import asked_for
from otelml.viewer.api.parameters import window
from otelml.viewer.api.points import Wanted
from otelml.viewer.api.promised import metrics as promised_metrics
from otelml.viewer.api.routes import ROUTES
from otelml.viewer.api.slos import period, slos
from otelml.viewer.remote_http import RemoteError
from otelml.viewer.rows import NANOS

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelml.viewer.api.parameters import Window
    from otelml.viewer.remote import Question
    from otelml.viewer.store import Store

    Answer = dict[str, Any]

PROMETHEUS, JAEGER, LOKI = "Prometheus", "Jaeger", "Loki"
LATENCIES = "Prometheus keeps no smallest and largest value: quantiles are as exact as the buckets are narrow"
NO_EVENTS = "loads are events, and Loki keeps no event names: they are not listed"
_COMPLETED = 200


def not_here(question: Question) -> Answer:
    """Raise: only a store of our own can answer this."""
    raise RemoteError(
        f"{question.name} asks a store, and otelml view reads from a running stack here",
        "start otelml view without --prometheus, --jaeger and --loki, and send to it; or ask the backends themselves",
    )


def _answered(question: Question) -> Answer:
    return ROUTES[question.name].function(question.store, question.asked)


def _window(question: Question) -> Window | None:
    """Return the range that is asked for; None where it is wrong, which the answering function then says."""
    asked = question.asked
    span = asked.window()
    return None if asked.faulty else span


def _models(question: Question) -> Answer:
    span = _window(question)
    prometheus = question.backend(PROMETHEUS)
    if span is not None:
        remote_metrics.models(question.store, prometheus, window(span.from_ns, span.to_ns, 40))
        question.notes += ["models that send spans and no metrics are not listed", LATENCIES]
    return _answered(question)


def _model(question: Question) -> Answer:
    span, asked, prometheus = _window(question), question.asked, question.backend(PROMETHEUS)
    name, version = asked.text("model"), asked.given("version")
    if span is None or not name:
        return _answered(question)
    wanted = [] if version is None else [version]
    services = remote_metrics.model(question.store, prometheus, span, name, wanted)
    question.notes.append(LATENCIES)
    jaeger = question.optional(JAEGER, "the slowest calls, and traces of errors")
    if jaeger is not None and services:
        least = slow_ns(question.store, name, version, span)
        calls = remote_traces.calls(filter(None, services), name, version or "", span, least)
        question.notes += remote_traces.slow_and_failed(question.store, jaeger, calls)
    question.notes.append(NO_EVENTS)
    return _answered(question)


def slow_ns(store: Store, name: str, version: str | None, span: Window) -> int:
    """Return a bound of the histogram of durations that some dozens of a model's calls are above."""
    found = curves.curves(store, Wanted(semconv.PREDICTION_DURATION.name, name, version), span)
    above: dict[float, float] = {}
    for curve in found:
        counts = curve.total(span)[2:]
        for (lower, _), count in zip(curve.layout.edges if curve.layout else (), counts, strict=False):
            above[lower] = above.get(lower, 0.0) + float(count)
    calls = 0.0
    for lower in sorted(above, reverse=True):
        calls += above[lower]
        if calls >= remote_traces.SLOWEST:
            return max(0, int(lower * NANOS)) if lower > 0 else 0
    return 0


def _compare(question: Question) -> Answer:
    span, asked, prometheus = _window(question), question.asked, question.backend(PROMETHEUS)
    name = asked.text("model")
    if span is not None and name:
        versions = [each for each in (asked.given("a"), asked.given("b")) if each is not None]
        wanted = versions if len(versions) == 2 else []  # noqa: PLR2004 - both are named
        remote_metrics.model(question.store, prometheus, span, name, wanted)
        question.notes.append(LATENCIES)
    return _answered(question)


def _metrics(question: Question) -> Answer:
    question.asked.check()
    return remote_metrics.listed(question.backend(PROMETHEUS))


def _metric(question: Question) -> Answer:
    span, asked, prometheus = _window(question), question.asked, question.backend(PROMETHEUS)
    where = asked_for(asked)
    if span is not None and asked.text("name") and not asked.faulty:
        remote_metrics.one(question.store, prometheus, asked, span, where)
    answer = _answered(question)
    if answer["kind"] == "histogram":
        question.notes.append(LATENCIES)
    return answer


def _slos(question: Question) -> Answer:
    span, prometheus = _window(question), question.backend(PROMETHEUS)
    if span is None:
        return _answered(question)
    promised = question.stack.promised
    wanted = promised_metrics(promised) if promised else None
    remote_metrics.objectives(question.store, prometheus, period(span.to_ns), span, wanted)
    answer = slos(question.store, question.asked, promised)
    alerts = remote_health.alerts(prometheus)
    if alerts is None:
        question.notes.append("Prometheus has no alerting rules: alerts are worked out here, of objectives alone")
        return answer
    return {**answer, "alerts": alerts}


def _traces(question: Question) -> Answer:
    span, jaeger = _window(question), question.backend(JAEGER)
    if span is not None:
        wanted = remote_traces.search(jaeger, question.asked, span)
        question.notes += remote_traces.found(question.store, jaeger, wanted)
    answer = _answered(question)
    return {**answer, "total_exact": answer["total_exact"] and not question.notes and not question.given.get("cursor")}


def _trace(question: Question) -> Answer:
    question.backend(JAEGER)
    for name in ("id", "a", "b"):
        if name in question.given:
            asked = question.asked
            trace_id = asked.trace_id(name)
            if not asked.faulty:
                _read_trace(question, trace_id)
    if question.name == "trace":
        question.notes.append(
            "Jaeger does not find the spans that link to a trace: those of other traces are not listed"
        )
    return _answered(question)


def _read_trace(question: Question, trace_id: str) -> None:
    remote_traces.trace(question.store, question.backend(JAEGER), trace_id)
    loki = question.optional(LOKI, "logs of this trace") if question.name == "trace" else None
    if loki is not None:
        remote_logs.of_trace(question.store, loki, trace_id)


def _logs(question: Question) -> Answer:
    span, loki, asked = _window(question), question.backend(LOKI), question.asked
    if span is None:
        return _answered(question)
    search, total = remote_logs.found(question.store, loki, asked, span)
    question.notes += search.notes
    answer = _answered(question)
    if total >= 0:
        counts = {**answer["counts"], "by_severity": remote_logs.by_severity(loki, search.query, span)}
        answer = {**answer, "total": total, "counts": counts}
    return answer


def _completion(question: Question) -> Answer:
    signal = question.given.get("signal", "traces")
    if signal == "traces":
        remote_traces.latest(question.store, question.backend(JAEGER), question.now_ns)
    elif signal == "logs":
        begin = question.now_ns - 3600 * NANOS
        query = '{service_name=~".+"}'
        remote_logs.read(question.store, question.backend(LOKI), query, begin, question.now_ns, _COMPLETED)
    else:
        span = window(question.now_ns - 300 * NANOS, question.now_ns)
        remote_metrics.models(question.store, question.backend(PROMETHEUS), span)
    return _answered(question)


def _health(question: Question) -> Answer:
    span, prometheus = _window(question), question.backend(PROMETHEUS)
    if span is None:
        return _answered(question)
    return remote_health.health(question.store, prometheus, question.asked, span, question.notes)


ANSWERS: dict[str, Callable[[Question], Answer]] = {
    "models": _models,
    "model": _model,
    "compare": _compare,
    "traces": _traces,
    "trace": _trace,
    "compare-traces": _trace,
    "attributes": _completion,
    "values": _completion,
    "logs": _logs,
    "metrics": _metrics,
    "metric": _metric,
    "slos": _slos,
    "health": _health,
}
"""By the path after ``/api/``; ``sql``, ``check`` and ``export`` ask a store."""
