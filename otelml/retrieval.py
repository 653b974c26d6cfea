"""``otelml.feature_retrieval``: the features that a prediction needs are fetched here, by a function or in a block.

Inside a prediction it is that one's stage ``feature_retrieval``; outside, where features are fetched before the model
is called, a span of its own. Values and entity keys are counted, never recorded.
"""

from __future__ import annotations

import inspect
import threading
import weakref
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import wraps
from importlib.metadata import version
from math import isnan
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar, cast, overload

from opentelemetry import trace
from opentelemetry.trace import StatusCode

from otelml import _labels, _sdk, api, context, runtime, semconv
from otelml._guard import attempt, guard, logger
from otelml._lazy import is_numpy
from otelml._text import kind_name
from otelml.off import suppressed
from otelml.prediction import Prediction
from otelml.spans import ErrorFacts
from otelml.values import missing_in, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextvars import Token
    from types import TracebackType

    from otelml.runtime import Runtime
    from otelml.stage import Stage

F = TypeVar("F", bound="Callable[..., Any]")
STAGE = "feature_retrieval"
MOST_ROWS = 10_000
"""Rows of a list that are looked at."""
_open: ContextVar[FeatureRetrieval | None] = ContextVar("otelml-feature-retrieval", default=None)
"""The retrieval that is going on; one that is made of others leaves the counting to them."""
_BEGIN, _OBSERVE, _FINISH = guard("retrieval.begin"), guard("retrieval.observe"), guard("retrieval.finish")


class Facts(NamedTuple):
    """What is known of fetched features; None where it is not."""

    rows: int | None = None
    values: int | None = None
    missing: int | None = None
    age: float | None = None
    """Of the oldest, in seconds."""

    def or_else(self, other: Facts) -> Facts:
        """Return these, completed by others."""
        return Facts(*(mine if mine is not None else its for mine, its in zip(self, other, strict=True)))  # type: ignore[arg-type] # field by field


class FeatureRetrieval:
    """One retrieval as a context manager, sync and async, and a decorator. Made by ``otelml.feature_retrieval``."""

    def __init__(self, source: str | None = None) -> None:
        self._source = source
        self._facts = Facts()
        self._attributes: dict[str, Any] = {}
        self._stage: Stage | None = None
        self._span: trace.Span | None = None
        self._token: Any = None
        self._runtime: Runtime | None = None
        self._outer: Token[FeatureRetrieval | None] | None = None
        self._divided = False

    def __call__(self, function: F) -> F:
        """Return a function whose every call is a retrieval; what it returns is looked at, and handed on as it is."""
        if issubclass(type(function), (staticmethod, classmethod)):
            bound: Any = function
            return cast("F", type(bound)(self(bound.__func__)))
        made, error = attempt(_wrapped, function, self._source) if callable(function) else (None, TypeError())
        if error is None:
            return cast("F", made)
        logger.warning("otelml: %s can't be wrapped, and is left as it is", kind_name(function))
        return function

    # As a block ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        active = runtime.active
        if active is None or suppressed():
            return self
        with _BEGIN:
            self._runtime, prediction = active, api.current_prediction()
            outer = _open.get()
            if outer is not None:
                outer._divided = True
            self._outer = _open.set(self)
            self._attributes = dict(prediction.series.attributes) if isinstance(prediction, Prediction) else {}
            if self._source is not None:
                self._attributes[semconv.RETRIEVAL_SOURCE] = _labels.bounded(
                    semconv.RETRIEVAL_SOURCE, _labels.name(self._source)
                )
            if isinstance(prediction, Prediction):
                self._span = self._within(prediction)
            else:
                self._span = _tracer(active).start_span(STAGE, attributes=context.ids())
                current = trace.set_span_in_context(self._span, _sdk.get_current())
                self._token = _sdk.attach(current)
        return self

    def _within(self, prediction: Prediction) -> Stage:
        """Return the stage that is open where it is this one, or a new one."""
        stages = [stage for stage in prediction.stages if not stage.ended]
        if stages and stages[-1].known.name == STAGE:  # the application has marked it, or one retrieval uses another
            return stages[-1]
        self._stage = prediction.stage(STAGE).begin()
        return self._stage

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        active, self._runtime = self._runtime, None
        if active is None:
            return
        with _FINISH:
            if self._outer is not None:
                attempt(_open.reset, self._outer)  # a generator may be closed from somewhere else
            self._say(active)
            if self._stage is not None:
                self._stage.finish(error)
            elif self._token is not None and self._span is not None:
                _sdk.detach(self._token)
                if error is not None and not isinstance(error, GeneratorExit):
                    facts = ErrorFacts(error)
                    self._span.set_attribute(semconv.ERROR_TYPE, facts.type)
                    self._span.add_event("exception", facts.event())
                    self._span.set_status(StatusCode.ERROR)
                self._span.end()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)

    # What was fetched ---------------------------------------------------------------------------------------

    def observe(
        self,
        features: Any = None,
        *,
        rows: int | None = None,
        values: int | None = None,
        missing: int | None = None,
        updated: datetime | float | None = None,
    ) -> None:
        """Say what was fetched; later calls complete earlier ones. Nothing of the values is kept.

        Args:
            features: Array, frame, list of rows, or a mapping of one row: rows, values and missing ones are counted.
            rows: Number of rows.
            values: Number of values that were asked for, rows by features.
            missing: How many of them the store did not have (None or NaN).
            updated: When the oldest feature was written: seconds since the epoch, or a datetime (UTC without a zone).
        """
        with _OBSERVE:
            seen = Facts() if features is None else facts_of(features)
            told = Facts(_number(rows), _number(values), _number(missing), _age(updated))
            self._facts = told.or_else(seen).or_else(self._facts)

    def _say(self, active: Runtime) -> None:
        facts, span = self._facts, self._span
        share = None if not facts.values or facts.missing is None else facts.missing / facts.values
        told = {
            semconv.RETRIEVAL_SOURCE: self._attributes.get(semconv.RETRIEVAL_SOURCE),
            semconv.RETRIEVAL_ROWS: facts.rows,
            semconv.RETRIEVAL_VALUES_COUNT: facts.values,
            semconv.RETRIEVAL_MISSING_SHARE: share,
            semconv.RETRIEVAL_AGE_SECONDS: facts.age,
        }
        told = {name: value for name, value in told.items() if value is not None}
        if span is not None and told:
            span.set_attributes(told)
        if not self._divided and (facts.values is not None or facts.age is not None):
            where = _sdk.only_span(trace.get_current_span())
            _instruments(active).record(facts, self._attributes, where)


@overload
def feature_retrieval(function: F, /) -> F: ...
@overload
def feature_retrieval(function: None = None, /, *, source: str | None = None) -> FeatureRetrieval: ...


def feature_retrieval(function: Any = None, /, *, source: str | None = None) -> Any:
    """Mark where features are fetched: a function (or coroutine function), or a block with ``with`` or ``async with``.

    ``source`` names the store. A function's array, frame, list or mapping is counted; a block calls ``observe()``.
    """
    made = FeatureRetrieval(source)
    return made if function is None else made(function)


def _wrapped(function: Any, source: str | None) -> Any:
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def fetch_later(*args: Any, **kwargs: Any) -> Any:
            with FeatureRetrieval(source) as retrieval:
                found = await function(*args, **kwargs)
                retrieval.observe(found)
            return found

        return fetch_later

    @wraps(function)
    def fetch(*args: Any, **kwargs: Any) -> Any:
        with FeatureRetrieval(source) as retrieval:
            found = function(*args, **kwargs)
            retrieval.observe(found)
        return found

    return fetch


# What features say about themselves ---------------------------------------------------------------------------


def facts_of(features: Any) -> Facts:
    """Return rows, values and missing values of a mapping, of a list of mappings, or of anything with a shape."""
    if type(features) is dict:
        columns = list(features.values())
        if columns and all(
            type(each) is list and len(each) <= MOST_ROWS for each in columns
        ):  # columns, as Feast gives them
            return Facts(len(columns[0]), sum(map(len, columns)), sum(map(_missing, columns)))
        return Facts(1, len(columns), _missing(columns))
    if type(features) in {list, tuple}:
        return _of_rows(features)
    shape = shape_of(features) if hasattr(type(features), "shape") else None
    if not shape:
        return Facts()
    values = 1
    for size in shape:
        values *= size
    return Facts(shape[0], values, missing_in(features))


def _of_rows(rows: Any) -> Facts:
    """Return what a list of rows says; of long ones, and of those whose rows are objects, their number alone."""
    if len(rows) > MOST_ROWS or not all(type(each) in {dict, list, tuple} for each in rows):
        return Facts(len(rows))
    cells = [list(each.values()) if type(each) is dict else each for each in rows]
    return Facts(len(rows), sum(map(len, cells)), sum(map(_missing, cells)))


def _missing(values: Iterable[Any]) -> int:
    return sum(1 for each in values if each is None or _is_nan(each))


def _is_nan(value: Any) -> bool:
    return (type(value) is float or is_numpy(value, "floating")) and bool(isnan(value))


def _number(value: Any) -> int | None:
    return int(value) if issubclass(type(value), int) and value >= 0 else None


def _age(updated: Any) -> float | None:
    """Return the seconds since a moment; 0 where its clock is ahead."""
    if issubclass(type(updated), datetime):
        known = updated if updated.tzinfo is not None else updated.replace(tzinfo=UTC)
        return max(0.0, time() - float(known.timestamp()))
    return max(0.0, time() - float(updated)) if issubclass(type(updated), (int, float)) and not isnan(updated) else None


# Where it goes --------------------------------------------------------------------------------------------------


class _Instruments:
    def __init__(self, active: Runtime) -> None:
        meter = active.meter_provider.get_meter(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL)
        rows = (semconv.RETRIEVAL_VALUES, semconv.RETRIEVAL_MISSING)
        self._values, self._missing = (meter.create_counter(row.name, row.unit, row.help) for row in rows)
        row = semconv.RETRIEVAL_AGE
        self._age = meter.create_histogram(
            row.name, row.unit, row.help, explicit_bucket_boundaries_advisory=row.buckets
        )

    def record(self, facts: Facts, attributes: Mapping[str, Any], where: Any) -> None:
        """Record what is known of one retrieval."""
        if facts.values is not None:
            self._values.add(facts.values, attributes, where)
            if facts.missing is not None:
                self._missing.add(facts.missing, attributes, where)
        if facts.age is not None:
            self._age.record(facts.age, attributes, where)


_made: weakref.WeakKeyDictionary[Runtime, _Instruments] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def _instruments(active: Runtime) -> _Instruments:
    with _making:
        if active not in _made:
            _made[active] = _Instruments(active)
        return _made[active]


def _tracer(active: Runtime) -> trace.Tracer:
    provider: trace.TracerProvider = active.pipeline.tracer_provider
    return provider.get_tracer(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL)
