"""One prediction: what the application holds while it runs, and the one record it becomes when it ends.

The caller's thread takes ids, attaches the span's context, reads clocks and hands the record over. Everything that
can wait (attributes, metrics, the event, the finished spans) is made by the recorder's thread. A prediction and its
stages are themselves the current span, so that each costs one object.
"""

from __future__ import annotations

from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, Protocol, Self

from opentelemetry import trace

from otelml import _labels, _sdk, context
from otelml._guard import failed
from otelml.result import Result, read
from otelml.spans import KEY, NANO, SPAN_ID_BITS, ErrorFacts, SpanBlock, lay_out
from otelml.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.context.context import Context
    from opentelemetry.trace import SpanContext

    from otelml.members import Member
    from otelml.series import Series
    from otelml.slices import Slices
    from otelml.tracers import ChosenSpans, Spans

_LOW = (1 << SPAN_ID_BITS) - 1
_get_current, _attach, _detach, _with_span = _sdk.get_current, _sdk.attach, _sdk.detach, _sdk.with_span


class Sink(Protocol):
    """Where predictions go: the recorder."""

    capture: str
    spans: ChosenSpans
    number: Callable[[], int]
    """Returns the number of a new prediction."""
    slices: Slices
    event_started: bool

    def started(self, prediction: Prediction) -> None:
        """Emit the event that a prediction started."""

    def put(self, prediction: Prediction) -> None:
        """Take an ended prediction."""

    @property
    def drop(self) -> Callable[[str, str, int], None]:
        """Return what counts dropped telemetry: (what, where, number)."""


class PredictionFields:
    """What a prediction holds. Attributes start as the class's own: setting each one would cost more than the rest."""

    sink: Sink
    series: Series
    stages: list[Stage]
    way: Spans
    operation: str | None = None
    framework: str | None = None
    variant: str | None = None
    """Part that this version of the model plays, such as canary."""
    request_id: str | None = None
    started = 0
    """``perf_counter_ns`` at its start, 0 before; ``ended`` likewise."""
    ended = 0
    offset = 0
    """What to add to ``perf_counter_ns`` for ns since the epoch."""
    ids = 0
    """Trace id and, in the low 64 bits, span id."""
    number = 0
    """128 random bits: the prediction's id, where the application gives none."""
    flags: trace.TraceFlags = trace.TraceFlags.get_default()
    sampled = False
    special = False
    """Not encoded with others of its shape: it failed, or something was added, or its spans are the tracer's."""
    dropped = False
    """Its spans and event are lost: the buffer was full."""
    kept = 0
    """Rows whose numbers wait in the buffer."""
    other: trace.Span | None = None
    parent: SpanContext | None = None
    error: ErrorFacts | None = None
    members: Sequence[Member] = ()
    """The requests it is made for, where they are several."""
    items = 0
    first_item = 0
    given_id: str | None = None
    """An id of the application's own."""
    _result: Result | None = None
    _observed: Result | None = None
    _token: Token[Context] | None = None


if _sdk.native is not None:
    PredictionFields = _sdk.native.PredictionFields  # type: ignore[misc]


class Prediction(PredictionFields, SpanBlock):
    """A prediction in progress; a context manager, sync and async. Made by ``otelml.prediction``."""

    def __init__(self, sink: Sink, series: Series) -> None:
        self.sink, self.series = sink, series
        self.stages: list[Stage] = []

    # Life ---------------------------------------------------------------------------------------------------

    def begin(self, *, attach: bool = True) -> Self:
        """Start the prediction; with ``attach`` its span becomes the current one."""
        if self.started:
            return self
        wall, self.started = time_ns(), perf_counter_ns()
        self.offset = wall - self.started
        try:  # a guard that costs nothing
            sink, current = self.sink, _get_current()
            self.request_id = context.request_id_in(current) if self.request_id is None else self._request_id()
            self.series.active.add(id(self))
            self.number = self.number or sink.number()
            self.way = way = sink.spans.current
            way.start(self, current, wall)
            if attach:
                self._token = _attach(_with_span(current, self.other or self, KEY, self))
            if sink.event_started:
                sink.started(self)
        except Exception as error:  # noqa: BLE001 - see above
            failed("prediction.begin", error)
        return self

    __enter__ = begin

    def _request_id(self) -> str:
        return context.accept(_labels.text(self.request_id))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """End the prediction and hand it to the recorder; ``error`` is the exception that ended it."""
        if not self.started or self.ended:
            return
        self.ended = perf_counter_ns()
        try:  # a guard that costs nothing
            token = self._token
            if token is not None:
                self._token = None
                _detach(token)
            self.series.active.discard(id(self))
            if error is not None and not isinstance(error, GeneratorExit):
                self.error = ErrorFacts(error)
                self.special = True
            for stage in self.stages:
                if not stage.ended:
                    stage.close()
            self.sink.put(self)
        except Exception as fault:  # noqa: BLE001 - see above
            failed("prediction.finish", fault)

    def attached(self) -> _Attached:
        """Return a context manager that makes this prediction current; for streaming, around each step."""
        return _Attached(self)

    # As a span ----------------------------------------------------------------------------------------------

    @property
    def span_name(self) -> str:
        """Return the name its span starts with."""
        return self.series.span_name

    @property
    def open(self) -> bool:
        """Return whether it has begun, is recorded, and has not ended."""
        return bool(self.sampled and not self.ended)

    def touch(self) -> None:
        """Take note that the application added something."""
        self.special = True

    def made_context(self) -> SpanContext:
        """Return the span's context, with the parent's trace state."""
        state = None if self.parent is None else self.parent.trace_state
        return trace.SpanContext(self.ids >> SPAN_ID_BITS, self.ids & _LOW, False, self.flags, state)  # noqa: FBT003 - is_remote

    # Facts --------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Id of this prediction, 32 hex digits unless given: outcomes that arrive later refer to it."""
        return f"{self.number or self.numbered():032x}" if self.given_id is None else self.given_id

    def give_id(self, given: str) -> None:
        """Take an id of the application's own, before the prediction begins."""
        self.given_id = _labels.text(given)

    def numbered(self) -> int:
        """Return its number, made where it has none yet."""
        if not self.number:  # it has not begun
            self.number = self.sink.number()
        return self.number

    def give_members(self, members: Iterable[Member]) -> None:
        """Take the requests that it is made for, before the prediction begins."""
        self.members = tuple(members)
        self.special = bool(self.members)

    @property
    def seconds(self) -> float:
        """Duration in seconds, once ended."""
        return (self.ended - self.started) * NANO

    @property
    def stage_open(self) -> bool:
        """Whether a stage of this prediction is open."""
        return any(not stage.ended for stage in self.stages)

    def stage(self, name: str) -> Stage:
        """Return a stage to enter: feature_retrieval, preprocessing, inference, postprocessing or a name of your own.

        Names of your own are bounded: from the 21st distinct one on they count as ``other``.
        """
        stage = Stage()
        stage.prediction = self
        known = self.series.stages.get(name) if type(name) is str else None
        stage.known = self.series.stage(name) if known is None else known
        return stage

    def item(self) -> None:
        """Count one item of a streaming prediction."""
        if not self.items:
            self.first_item = perf_counter_ns()
        self.items += 1

    def slice(self, **attributes: Any) -> None:
        """Say what slice this prediction is of, as in ``p.slice(carrier="AA")``; off until ``OTELML_SLICES`` names it.

        Its calls, duration, rows and confidence are then measured by ``ml.slice.carrier`` as well. From the 21st
        distinct value of a name, or the 51st combination of a model, on they count as ``other``. None is no value.
        """
        if self.ended:
            self.sink.drop("slice", "late", 1)
            return
        try:  # a guard that costs nothing
            self.series = self.sink.slices.of(self.series, attributes)
        except Exception as error:  # noqa: BLE001 - see above
            failed("prediction.slice", error)

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
        if self.ended:
            self.sink.drop("result", "late", 1)
            return
        try:  # a guard that costs nothing
            new = read(self.sink, predictions, classes, confidence, values, inputs, business_value, business_value_unit)
            if inputs is not None and (take := self.series.take) is not None:
                new.features = take(inputs)
            if self._result is not None:
                if predictions is None and classes is None and self._result.rows is not None:
                    new.rows = None  # a model's output says better how many rows there are
                new.fill(self._result)
            self._result = new
            if new.rows is not None and new.rows > 1:
                self.kept = new.rows
        except Exception as error:  # noqa: BLE001 - see above
            failed("prediction.result", error)

    def observe(
        self,
        *,
        predictions: Any = None,
        classes: Any = None,
        confidence: Any = None,
        values: Any = None,
        inputs: Any = None,
        rows: int | None = None,
        framework: str | None = None,
    ) -> None:
        """Do what `result` does on behalf of a library: fills only what ``result`` does not say.

        ``rows`` is their number, where there is nothing to read it of.
        """
        try:  # a guard that costs nothing
            self.framework = self.framework or framework
            seen = read(self.sink, predictions, classes, confidence, values, inputs)
            if rows is not None:
                seen.rows = rows
            if inputs is not None and (take := self.series.take) is not None:
                seen.features = take(inputs)
            if self._observed is not None and self._observed.rows == seen.rows:
                seen.fill(self._observed)  # the same rows again: predict_proba() and then predict(), say
            self._observed = seen
            if seen.rows is not None and seen.rows > 1:
                self.kept = max(self.kept, seen.rows)
        except Exception as error:  # noqa: BLE001 - see above
            failed("prediction.observe", error)

    @property
    def observed(self) -> Result | None:
        """What libraries have seen so far."""
        return self._observed

    seen: Any = None
    """What was predicted, where that is left to the recorder's thread to read: it calls ``read_all`` then."""

    @classmethod
    def read_all(cls, predictions: list[Any]) -> None:
        """Read what was predicted, of ended predictions of this class."""

    def outcome(self) -> Result | None:
        """Return what is known of inputs and outputs: what the application said, completed by what libraries saw."""
        if self._result is None:
            return self._observed
        if self._observed is not None:
            self._result.fill(self._observed)
            self._observed = None
        return self._result


class _Attached:
    __slots__ = ("_prediction", "_token")

    def __init__(self, prediction: Prediction) -> None:
        self._prediction = prediction

    def __enter__(self) -> None:
        prediction = self._prediction
        stages = [stage for stage in prediction.stages if not stage.ended]
        span = stages[-1].span if stages else prediction.span  # a stage may stay open from one step to the next
        self._token = _attach(_with_span(_get_current(), span, KEY, prediction))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _sdk.detach(self._token)


def current() -> Prediction | None:
    """Return the prediction that is open in this context, or None."""
    found = _sdk.get_current().get(KEY)
    return found if isinstance(found, Prediction) and not found.ended else None


def _current_id() -> str | None:
    found = current()
    if found is not None:
        return found.id
    carried = _get_current().get(context.PREDICTION)
    return carried if type(carried) is str else None


context.set_prediction_lookup(_current_id)
if _sdk.native is not None:
    _KNOWN = (KEY, trace.TraceFlags.get_default(), context.KEY, context.BESIDE, failed)
    _sdk.native.use_prediction(Prediction, globals(), *_KNOWN)
else:
    _BEGUN = ("sink", "series", "stages", "started", "offset", "request_id", "number", "way", "parent", "flags")
    _LATER = ("sampled", "ids", "_token", "ended", "operation", "framework", "_result", "_observed", "kept")
    lay_out(Prediction, *_BEGUN, *_LATER)
