"""One prediction: what the application holds while it runs, and the one record it becomes when it ends.

The caller's thread takes ids, attaches the span's context, reads clocks and hands the record over. Everything that
can wait (attributes, metrics, the event, the finished spans) is made by the recorder's thread.
"""

from __future__ import annotations

from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, Protocol, Self

from opentelemetry import context as otel_context
from opentelemetry import trace

from otelml import _labels, _sdk, context, semconv
from otelml._guard import guard
from otelml.encoding import Known
from otelml.result import Result, read
from otelml.spans import ErrorFacts, LiveSpan

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.context.context import Context

    from otelml.spans import Spans

KEY = otel_context.create_key("otelml-prediction")
NANO = 1e-9


class Series:
    """A model and version: its metric attributes, its span name and the predictions in flight."""

    __slots__ = ("active", "attributes", "model", "span_name", "stages", "version")

    def __init__(self, model: str, version: str | None) -> None:
        self.model, self.version = model, version
        self.attributes: dict[str, str] = {semconv.MODEL_NAME: model}
        if version is not None:
            self.attributes[semconv.MODEL_VERSION] = version
        self.span_name = f"predict {model}"
        self.stages: dict[str, Known] = {}
        # A set of ids rather than a number: adding and discarding are atomic, `+= 1` is not.
        self.active: set[int] = set()

    def of_stage(self, name: str) -> Known:
        """Return the attributes of a stage's span; names of stages are bounded."""
        known = self.stages.get(name)
        if known is None:
            known = self.stages[name] = Known({**self.attributes, semconv.STAGE: name})
        return known


class Sink(Protocol):
    """Where predictions go: the recorder."""

    capture: str

    @property
    def id_lock(self) -> AbstractContextManager[object]:
        """Return the lock under which ids are made."""

    @property
    def spans(self) -> Spans:
        """Return the maker of spans."""

    def started(self, prediction: Prediction) -> None:
        """Take note that a prediction started."""

    def put(self, prediction: Prediction) -> None:
        """Take an ended prediction."""

    @property
    def drop(self) -> Callable[[str, str, int], None]:
        """Return what counts dropped telemetry: (what, where, number)."""


class _Block:
    """Makes ``begin`` and ``finish`` a context manager, sync and async."""

    __slots__ = ()

    if TYPE_CHECKING:

        def begin(self) -> Self: ...
        def finish(self, error: BaseException | None = None) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.finish(error)

    async def __aenter__(self) -> Self:
        return self.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.finish(error)


_STAGE_BEGIN, _STAGE_FINISH = guard("stage.begin"), guard("stage.finish")
_BEGIN, _FINISH = guard("prediction.begin"), guard("prediction.finish")


class Stage(_Block):
    """One stage of a prediction; a context manager, sync and async."""

    __slots__ = ("_token", "end", "error", "name", "prediction", "span", "start")

    def __init__(self, prediction: Prediction, name: str) -> None:
        self.prediction = prediction
        self.name = name
        self.start = self.end = 0
        self.error: ErrorFacts | None = None
        self.span: trace.Span | None = None
        self._token: Token[Context] | None = None

    def begin(self, start: int | None = None, *, attach: bool = True) -> Self:
        """Start the stage at ``start`` (``perf_counter_ns``; now by default) and make its span current."""
        with _STAGE_BEGIN:
            prediction = self.prediction
            if prediction.end:
                prediction.sink.drop("stage", "late", 1)
                return self
            self.start = tick = perf_counter_ns() if start is None else start
            prediction.stages.append(self)
            if prediction.sampled:
                current = _sdk.get_current()
                parent = prediction.parent_of_stage(current)
                self.span = prediction.spans.child(self.name, parent, current, prediction.offset + tick)
                if attach:
                    self._token = _sdk.attach(_sdk.with_span(current, self.span, KEY, prediction))
        return self

    def finish(self, error: BaseException | None = None) -> None:
        """End the stage; ``error`` is the exception that ended it."""
        token, self._token = self._token, None
        if token is not None and (not self.end or _sdk.span_in(_sdk.get_current()) is self.span):
            _sdk.detach(token)
        self.close(error)

    def close(self, error: BaseException | None = None) -> None:
        """End the stage but leave its span current, as the prediction does with a stage that outlives it."""
        if not self.start or self.end:
            return
        self.end = perf_counter_ns()
        with _STAGE_FINISH:
            if error is not None and not isinstance(error, GeneratorExit):
                self.error = ErrorFacts(error)
            if type(self.span) is LiveSpan:
                self.span.end_ns = self.prediction.offset + self.end

    __enter__ = begin


class Prediction(_Block):
    """A prediction in progress; a context manager, sync and async. Made by ``otelml.prediction``."""

    __slots__ = (
        *("_given", "_id", "_observed", "_token", "end", "error", "first_item", "framework", "items", "offset"),
        *("operation", "request_id", "result_", "sampled", "series", "sink", "span", "stages", "start"),
        *("spans", "spans_dropped"),
    )

    def __init__(
        self,
        sink: Sink,
        series: Series,
        *,
        request_id: str | None = None,
        prediction_id: str | None = None,
        operation: str | None = None,
        framework: str | None = None,
    ) -> None:
        self.sink, self.series = sink, series
        self.operation, self.framework = operation, framework
        self.request_id = request_id
        self._id = None if prediction_id is None else _labels.text(prediction_id)
        self.start = self.end = self.offset = 0
        self.span: trace.Span = trace.INVALID_SPAN
        self.sampled = False
        self.stages: list[Stage] = []
        self.error: ErrorFacts | None = None
        self.result_: Result | None = None
        self._observed: Result | None = None
        self._token: Token[Context] | None = None
        self.items = self.first_item = 0
        self.spans_dropped = False

    # Life ---------------------------------------------------------------------------------------------------

    def begin(self, *, attach: bool = True) -> Self:
        """Start the prediction; with ``attach`` its span becomes the current one."""
        if self.start:
            return self
        wall, self.start = time_ns(), perf_counter_ns()
        self.offset = wall - self.start
        with _BEGIN:
            current = _sdk.get_current()
            if self.request_id is None:
                self.request_id = context.request_id()
            else:
                self.request_id = context.accept(_labels.text(self.request_id))
            series = self.series
            series.active.add(id(self))
            self.spans = self.sink.spans
            self.span = self.spans.start(series.span_name, current, series.attributes, wall)
            self.sampled = self.span.is_recording()
            if attach:
                self._token = _sdk.attach(_sdk.with_span(current, self.span, KEY, self))
            self.sink.started(self)
        return self

    def finish(self, error: BaseException | None = None) -> None:
        """End the prediction and hand it to the recorder; ``error`` is the exception that ended it."""
        if not self.start or self.end:
            return
        self.end = perf_counter_ns()
        with _FINISH:
            if self._token is not None:
                _sdk.detach(self._token)
                self._token = None
            self.series.active.discard(id(self))
            if error is not None and not isinstance(error, GeneratorExit):
                self.error = ErrorFacts(error)
            if type(self.span) is LiveSpan:
                self.span.end_ns = self.offset + self.end
            for stage in self.stages:
                if not stage.end:
                    stage.close()
            self.sink.put(self)

    __enter__ = begin

    def attached(self) -> _Attached:
        """Return a context manager that makes this prediction current; for streaming, around each step."""
        return _Attached(self)

    # Facts --------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Id of this prediction, 32 hex digits unless given: outcomes that arrive later refer to it."""
        if self._id is None:
            with self.sink.id_lock:  # the application and the worker may ask at once
                self._id = self._id or context.new_id()
        return self._id

    @property
    def seconds(self) -> float:
        """Duration in seconds, once ended."""
        return (self.end - self.start) * NANO

    @property
    def stage_open(self) -> bool:
        """Whether a stage of this prediction is open."""
        return any(not stage.end for stage in self.stages)

    def wall_at(self, tick: int) -> int:
        """Return the time since the epoch, in ns, of a ``perf_counter_ns`` reading."""
        return self.offset + tick

    def stage(self, name: str) -> Stage:
        """Return a stage to enter: feature_retrieval, preprocessing, inference, postprocessing or a name of your own.

        Names of your own are bounded: from the 21st distinct one on they count as ``other``.
        """
        return Stage(self, _labels.bounded(semconv.STAGE, name))

    def parent_of_stage(self, current: Context) -> trace.SpanContext:
        """Return the span a stage belongs under: the current one where it is of this trace, else the prediction's."""
        own = self.span.get_span_context()
        if current.get(_sdk.SPAN_KEY) is self.span:  # type: ignore[arg-type] # without a key nothing is found
            return own
        now = _sdk.span_in(current).get_span_context()
        return now if now.trace_id == own.trace_id else own

    def item(self) -> None:
        """Count one item of a streaming prediction."""
        if not self.items:
            self.first_item = perf_counter_ns()
        self.items += 1

    # Results ------------------------------------------------------------------------------------------------

    def result(
        self,
        *,
        predictions: Any = None,
        classes: Any = None,
        confidence: Any = None,
        values: Any = None,
        inputs: Any = None,
        business_value: Any = None,
        business_value_unit: str | None = None,
    ) -> None:
        """Say what was predicted; scalars, lists, numpy arrays, series and frames, one entry a row.

        ``predictions``: the model's output; text, booleans and whole numbers count as classes, floats as values.
        ``classes``: predicted class per row. ``confidence``: 0 to 1 per row, or (rows, classes) probabilities whose
        largest counts. ``values``: predicted number per row. ``inputs``: shape, type and missing values are kept.
        ``business_value``: one number in ``business_value_unit`` of your own. Called again, the later values win.
        After the end of the prediction it is too late: the call is counted as dropped.
        """
        with guard("prediction.result"):
            if self.end:
                self.sink.drop("result", "late", 1)
                return
            new = read(self.sink, predictions, classes, confidence, values, inputs, business_value, business_value_unit)
            if self.result_ is not None:
                if predictions is None and classes is None and self.result_.rows is not None:
                    new.rows = None  # a model's output says better how many rows there are
                new.fill(self.result_)
            self.result_ = new

    def observe(
        self,
        *,
        predictions: Any = None,
        classes: Any = None,
        confidence: Any = None,
        values: Any = None,
        inputs: Any = None,
        framework: str | None = None,
    ) -> None:
        """Do what `result` does on behalf of a library: fills only what ``result`` does not say."""
        with guard("prediction.observe"):
            self.framework = self.framework or framework
            seen = read(self.sink, predictions, classes, confidence, values, inputs)
            if self._observed is not None and self._observed.rows == seen.rows:
                seen.fill(self._observed)  # the same rows again: predict_proba() and then predict(), say
            self._observed = seen

    @property
    def rows_kept(self) -> int:
        """Number of rows whose numbers are kept until the record is worked off."""
        result = self.result_ or self._observed
        return 0 if result is None else result.rows or 0

    def outcome(self) -> Result | None:
        """Return what is known of inputs and outputs: what the application said, completed by what libraries saw."""
        if self.result_ is None:
            return self._observed
        if self._observed is not None:
            self.result_.fill(self._observed)
            self._observed = None
        return self.result_


class _Attached:
    __slots__ = ("_prediction", "_token")

    def __init__(self, prediction: Prediction) -> None:
        self._prediction = prediction

    def __enter__(self) -> None:
        prediction = self._prediction
        stages = [stage for stage in prediction.stages if not stage.end]
        span = stages[-1].span if stages else None  # a stage may stay open from one step to the next
        self._token = _sdk.attach(_sdk.with_span(_sdk.get_current(), span or prediction.span, KEY, prediction))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _sdk.detach(self._token)


def current() -> Prediction | None:
    """Return the prediction that is open in this context, or None."""
    found = _sdk.get_current().get(KEY)
    return found if isinstance(found, Prediction) and not found.end else None


def _current_id() -> str | None:
    found = current()
    return None if found is None else found.id


context.set_prediction_lookup(_current_id)
