"""What joined outcomes become: counters and histograms, quality gauges, one event and one span each."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from time import sleep, time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import SpanContext, TraceFlags

from otelml import _labels, _sdk, semconv
from otelml._lazy import LazyModule
from otelml.instruments import Histogram
from otelml.outcomes.joining import IGNORED, MISSING, REPEATED, UNMATCHED
from otelml.series import Series
from otelml.spans import OwnSpan
from otelml.tracers import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from opentelemetry.metrics import Meter, MeterProvider

    from otelml.events import Events
    from otelml.outcomes.estimate import Estimate
    from otelml.outcomes.joining import Found
    from otelml.outcomes.quality import OfClass, Quality
    from otelml.outcomes.rows import Joined
    from otelml.slices import Slices
    from otelml.tracers import ChosenSpans
else:
    np = LazyModule("numpy")

TOGETHER = 64
"""Outcomes told without giving other threads the interpreter."""
PAUSE = 0.0002
_FLAGS = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
_FIGURES: tuple[tuple[semconv.Metric, Callable[[Quality], float | None]], ...] = (
    (semconv.QUALITY_OUTCOMES, lambda q: q.n),
    (semconv.QUALITY_ACCURACY, lambda q: q.accuracy),
    (semconv.QUALITY_AUC, lambda q: q.auc),
    (semconv.QUALITY_CALIBRATION_ERROR, lambda q: q.calibration_error),
    (semconv.QUALITY_MAE, lambda q: q.mae),
    (semconv.QUALITY_RMSE, lambda q: q.rmse),
)
_EXPECTED: tuple[tuple[semconv.Metric, Callable[[Estimate], float]], ...] = (
    (semconv.QUALITY_ESTIMATED_ACCURACY, lambda e: e.accuracy),
    (semconv.QUALITY_ESTIMATED_ACCURACY_LOWER, lambda e: e.lower),
    (semconv.QUALITY_ESTIMATED_ACCURACY_UPPER, lambda e: e.upper),
)
_OF_CLASS: tuple[tuple[semconv.Metric, Callable[[OfClass], float | None]], ...] = (
    (semconv.QUALITY_PRECISION, lambda c: c.precision),
    (semconv.QUALITY_RECALL, lambda c: c.recall),
    (semconv.QUALITY_F1, lambda c: c.f1),
)


class Reports:
    """Tells what the database found. Called by one thread at a time."""

    def __init__(
        self,
        meter: Meter,
        provider: MeterProvider,
        *,
        events: Events,
        spans: ChosenSpans,
        number: Callable[[], int],
        buckets: Mapping[str, Sequence[float]],
        slices: Slices,
        drop: Callable[[str, str, int], None],
    ) -> None:
        def histogram(row: semconv.Metric) -> Histogram:
            return Histogram(meter, provider, row, buckets.get(row.name))

        def counter(row: semconv.Metric) -> Any:
            return meter.create_counter(row.name, row.unit, row.help)

        self._events, self._spans, self._number, self._drop = events, spans, number, drop
        self._slices, self._series = slices, dict[tuple[str, str | None], Series]()
        self._outcomes = counter(semconv.OUTCOMES)
        self._ignored = counter(semconv.OUTCOMES_IGNORED)
        self._unmatched = counter(semconv.OUTCOMES_UNMATCHED)
        self._missing = counter(semconv.OUTCOMES_MISSING)
        self._squared = counter(semconv.OUTCOME_SQUARED_ERROR)
        self._delay = histogram(semconv.OUTCOME_DELAY_HISTOGRAM)
        self._confidence = histogram(semconv.OUTCOME_CONFIDENCE)
        self._error = histogram(semconv.OUTCOME_ERROR)
        self.qualities: dict[tuple[str, str], Quality] = {}
        """The latest figures by (model, version)."""
        self.estimates: dict[tuple[str, str], Estimate] = {}
        """The latest accuracies to expect by (model, version)."""
        self._observe(meter)

    # Metrics --------------------------------------------------------------------------------------------------

    def tell(self, found: Found, *, pause: bool = False) -> None:
        """Count what was found, and tell each outcome; with ``pause`` other threads get the interpreter meanwhile."""
        for (what, model, version), n in found.tallies.items():
            self._tally(what, _model(model, version), n)
        groups: dict[tuple[str, str, str | None], list[Joined]] = defaultdict(list)
        for one in found.joined:
            groups[one.prediction.model, one.prediction.version, one.prediction.slice].append(one)
        for (model, version, part), joined in groups.items():
            base = _model(model, version)
            measured = {**base, **self._slice(base, part)}
            self._measure(base, measured, joined)
            for i in range(0, len(joined), TOGETHER):
                for one in joined[i : i + TOGETHER]:
                    self._tell_one(one, _attributes(measured, one))
                if pause:
                    sleep(PAUSE)

    def _tally(self, what: str, base: dict[str, str], n: int) -> None:
        context = _sdk.only_span(trace.INVALID_SPAN)
        if what in IGNORED:
            self._ignored.add(n, {**base, semconv.OUTCOME_REASON: what}, context)
        elif what == MISSING:
            self._missing.add(n, base, context)
        elif what == UNMATCHED:
            self._unmatched.add(n, {}, context)
        elif what == REPEATED:
            self._drop("prediction", "repeated_id", n)

    def _slice(self, base: dict[str, str], part: str | None) -> dict[str, str]:
        """Return the labels of a slice, bounded here: another process may have written it."""
        if part is None:
            return {}
        key = base.get(semconv.MODEL_NAME, ""), base.get(semconv.MODEL_VERSION)
        whole = self._series.setdefault(key, Series(*key))
        return self._slices.read(whole, part).slice

    def _measure(self, base: dict[str, str], measured: dict[str, str], joined: Sequence[Joined]) -> None:
        context = _sdk.only_span(trace.INVALID_SPAN)
        for (predicted, actual, correct), n in Counter(map(_classes, joined)).items():
            self._outcomes.add(n, {**measured, **_named(predicted, actual, correct)}, context)
        delays = np.array([one.time - one.prediction.time for one in joined])
        self._drop("outcome_delay", "negative", int((delays < 0).sum()))
        self._delay.record(delays[delays >= 0], base)
        errors = np.array([one.error for one in joined if one.error is not None])
        if errors.size:
            self._error.record(np.abs(errors), measured)
            self._squared.add(float(errors @ errors), measured, context)
        for correct in (True, False):
            sure = [j.prediction.confidence for j in joined if j.correct is correct]
            attributes = {**measured, semconv.OUTCOME_CORRECT: _word(correct)}
            self._confidence.record(np.array([c for c in sure if c is not None]), attributes)

    def _observe(self, meter: Meter) -> None:
        for row, read in _FIGURES:
            meter.create_observable_gauge(row.name, [partial(self._figures, read)], row.unit, row.help)
        for row, expected in _EXPECTED:
            meter.create_observable_gauge(row.name, [partial(self._expected, expected)], row.unit, row.help)
        for row, of in _OF_CLASS:
            meter.create_observable_gauge(row.name, [partial(self._of_class, of)], row.unit, row.help)

    def _figures(self, read: Callable[[Quality], float | None], _: CallbackOptions) -> Iterable[Observation]:
        for key, quality in list(self.qualities.items()):
            value = read(quality)
            if value is not None:
                yield Observation(value, _model(*key))

    def _expected(self, read: Callable[[Estimate], float], _: CallbackOptions) -> Iterable[Observation]:
        for key, estimate in list(self.estimates.items()):
            yield Observation(read(estimate), _model(*key))

    def _of_class(self, read: Callable[[OfClass], float | None], _: CallbackOptions) -> Iterable[Observation]:
        for key, quality in list(self.qualities.items()):
            for label, known in quality.classes.items():
                value, name = read(known), _labels.bounded(semconv.PREDICTION_CLASS, label)
                if value is not None and name != _labels.OTHER:  # figures of several classes can't be added up
                    yield Observation(value, {**_model(*key), semconv.PREDICTION_CLASS: name})

    # Events and spans -----------------------------------------------------------------------------------------

    def _tell_one(self, one: Joined, attributes: dict[str, Any]) -> None:
        now, p = time_ns(), one.prediction
        origin = SpanContext(int(p.trace_id or "0", 16), int(p.span_id or "0", 16), True, _FLAGS)  # noqa: FBT003 - is_remote
        span = trace.NonRecordingSpan(origin) if origin.is_valid else trace.INVALID_SPAN
        body = f"{p.model} predicted {_said(p.label, p.value)}, it was {_said(p.label and one.label, one.value)}"
        self._events.emit(
            semconv.EVENT_OUTCOME.name, body=body, attributes=attributes, at=now, where=_sdk.only_span(span)
        )
        if origin.is_valid:
            way = self._spans.current
            root = _Span(self._number(), way.span_id())
            way.finish([Ended(root, None, (now, now), attributes, None, [(origin, {})])])


class _Span(OwnSpan):
    """The span of one outcome, in a trace of its own."""

    def __init__(self, trace_id: int, span_id: int) -> None:
        self._trace_id, self._span_id = trace_id, span_id

    @property
    def span_name(self) -> str:
        """Return its name."""
        return semconv.SPAN_OUTCOME.name

    @property
    def open(self) -> bool:
        """Return False: it is made when all is known."""
        return False

    def made_context(self) -> SpanContext:
        """Return a context that is sampled as the prediction's was."""
        return SpanContext(self._trace_id, self._span_id, False, _FLAGS)  # noqa: FBT003 - is_remote


def _model(model: str, version: str) -> dict[str, str]:
    """Return the labels of a model and version; none where they are not known."""
    known = {semconv.MODEL_NAME: _labels.bounded(semconv.MODEL_NAME, model)} if model else {}
    return {**known, semconv.MODEL_VERSION: _labels.bounded(semconv.MODEL_VERSION, version)} if version else known


def _classes(one: Joined) -> tuple[str | None, str, bool | None]:
    predicted = one.prediction.label
    return predicted, "" if predicted is None else one.label, one.correct


def _named(predicted: str | None, actual: str, correct: bool | None) -> dict[str, str]:
    """Return predicted and true class as labels, both from one bounded set; none where no class was predicted."""
    if predicted is None or correct is None:
        return {}
    return {
        semconv.OUTCOME_PREDICTED: _labels.bounded(semconv.OUTCOME_PREDICTED, predicted),
        semconv.OUTCOME_ACTUAL: _labels.bounded(semconv.OUTCOME_PREDICTED, actual),
        semconv.OUTCOME_CORRECT: _word(correct),
    }


def _attributes(base: dict[str, str], one: Joined) -> dict[str, Any]:
    """Return what the event and the span of one outcome say."""
    p, known = one.prediction, dict[str, Any]()
    if p.label is not None:
        known = {
            semconv.OUTCOME_PREDICTED: p.label,
            semconv.OUTCOME_ACTUAL: one.label,
            semconv.OUTCOME_CORRECT: _word(bool(one.correct)),
        }
    elif p.value is not None:
        known = {semconv.PREDICTION_VALUE: p.value, semconv.OUTCOME_VALUE: one.value}
    if p.confidence is not None:
        known[semconv.PREDICTION_CONFIDENCE] = p.confidence
    if p.variant is not None:
        known[semconv.FEATURE_FLAG_KEY] = p.model
        known[semconv.FEATURE_FLAG_VARIANT] = _labels.bounded(semconv.FEATURE_FLAG_VARIANT, p.variant)
    return {**base, semconv.PREDICTION_ID: p.id, **known, semconv.OUTCOME_DELAY: one.time - p.time}


def _said(label: str | None, value: float | None) -> str:
    if label is not None:
        return label
    return "nothing known" if value is None else f"{value:.6g}"


def _word(correct: bool) -> str:
    return "true" if correct else "false"
