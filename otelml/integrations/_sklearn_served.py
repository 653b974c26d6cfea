"""A call of the application as a prediction that is made up when somebody looks at it, else by the recorder's thread.

While scikit-learn computes, hardly anybody asks for the current span. So a call only notes its times and copies what
is small; its ids, the decision whether it is sampled and its stages follow later. Who does ask (a transformer of the
application's own that logs, calls a service or opens a stage) gets the stage that is open, with its real ids.
"""

from __future__ import annotations

import os
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opentelemetry.context.context import Context

from otelml import _sdk, values
from otelml._guard import guard
from otelml._lazy import LazyModule
from otelml.context import request_id_in
from otelml.integrations import _sklearn_rows
from otelml.integrations._sklearn_outputs import SMALL, asked, facts, small
from otelml.prediction import Prediction
from otelml.result import Result
from otelml.spans import KEY, ErrorFacts, OwnSpan
from otelml.tracers import DirectSpans

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from opentelemetry import trace
    from opentelemetry.trace import SpanContext

    from otelml.integrations._sklearn_calls import Plan
    from otelml.stage import Stage
else:
    np = LazyModule("numpy")

FRAMEWORK = "scikit-learn"
_get_current, _attach, _detach, _with_span = _sdk.get_current, _sdk.attach, _sdk.detach, _sdk.with_span
_OBSERVE, _STAGE, _FINISH = guard("sklearn.observe"), guard("sklearn.stage"), guard("sklearn.finish")
_clock = import_module("otelml.prediction")
"""Whose clock a call is timed by: a test may set it. The package itself has a function of that name."""
_lock = threading.RLock()
_NOWHERE = Context()


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - a lock held across a fork is never released in the child
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class ServedFields:
    """What a call holds beside what every prediction does."""

    plan: Plan
    waiting: object = None
    """The final estimator, while the transformers before it are at work."""
    two = False
    """Whether it has both stages."""
    turned = 0
    """``perf_counter_ns`` when the final estimator started, 0 before."""
    around: Context
    """The context of the call."""
    seen: tuple[NDArray[Any], NDArray[Any] | None, Any] | None = None
    """Copies of the answer, the labels of its columns and the inputs."""
    made: list[Stage] | None = None
    """Its stages, with the application's own, once somebody has looked."""
    step: Stage | None = None
    """The last stage of ours, likewise."""


if _sdk.native is not None:
    ServedFields = _sdk.native.ServedFields  # type: ignore[misc]


class Served(ServedFields, Prediction):
    """One call: ``preprocessing`` until the final estimator starts, where that is waited for, then ``inference``.

    It is begun by making it, and becomes current.
    """

    def __init__(self, plan: Plan, around: Context, waiting: object) -> None:
        self.plan = plan
        self.operation = plan.method
        self.framework = plan.framework
        self.sink = sink = plan.recorder
        self.series = series = plan.series
        self.around = around
        self.request_id = request_id_in(around)
        self.waiting = waiting  # found quicker on the object than on the class, by each tree of a forest
        if waiting is not None:
            self.two = True
        self.started = tick = _clock.perf_counter_ns()
        self.offset = _clock.time_ns() - tick
        self.way = way = sink.spans.current
        series.active.add(id(self))
        here: OwnSpan | trace.Span
        if type(way) is DirectSpans and not sink.event_started:
            here = Here()
            here.call = self
        else:
            here = self._settled()
        self._token = _attach(_with_span(around, here, KEY, self))

    def _settled(self) -> trace.Span:
        """Make everything at once: a processor of somebody else's, or an event, is to see it start."""
        self._settle()
        if self.sink.event_started:
            self.sink.started(self)
        return self.now

    # On the application's thread ----------------------------------------------------------------------------

    def reached(self) -> None:
        """The transformers are done: the final estimator starts."""
        self.waiting = None
        self.turned = _clock.perf_counter_ns()
        if self.made is not None:
            with _STAGE:
                self._turn(self.made)

    def done(self, result: Any, inputs: Any, final: Any) -> None:
        """End it with what it was given and gave: copies of what is small, while the rest is read at once."""
        known = self.plan
        if (
            self.made is not None
            or type(result) is not np.ndarray
            or result.size > SMALL
            or result.dtype.hasobject
            or known.kind == "ask"
            or not small(inputs)
        ):
            self._read(result, inputs, final)
            return
        self.ended = _clock.perf_counter_ns()
        with _FINISH:
            try:
                labels = getattr(final, "classes_", None) if known.labelled else None
                self.seen = result.copy(), labels.copy() if type(labels) is np.ndarray else None, inputs.copy()
            finally:
                _detach(self._token)  # type: ignore[arg-type] # it is set
                # What waits for the recorder keeps nothing alive that the garbage collector would go through.
                self._identify()
                self._token = self.waiting = None
                self.around = _NOWHERE
                self.series.active.discard(id(self))
                self.sink.put(self)

    def _read(self, result: Any, inputs: Any, final: Any) -> None:
        """End it and read all of it on the application's thread."""
        with _OBSERVE:
            self.observe(inputs=inputs, **read_now(self.plan, result, final))
        self.finish()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """End the prediction; ``error`` is the exception that ended it, and the stage that was open."""
        self.waiting = None
        if error is not None and not isinstance(error, GeneratorExit):
            with _STAGE:
                self._settle()
                if self.step is not None:
                    self.step.error = ErrorFacts(error)
                    self.special = True
        super().__exit__(kind, error, tb)

    # When somebody looks ------------------------------------------------------------------------------------

    @property
    def stages(self) -> list[Stage]:
        """Return its stages."""
        return self._settle() if self.made is None else self.made

    @stages.setter
    def stages(self, stages: Any) -> None:
        self.made = stages
        self.step = None

    def _settle(self) -> list[Stage]:
        """Take ids and make the stages, once."""
        with _lock:
            if self.made is None:
                self._make_stages()
            return self.made  # type: ignore[return-value] # it is made

    def _make_stages(self) -> None:
        """Take ids and make the stages, as they would have been from the start."""
        stages: list[Stage] = []
        special = self.special
        with _STAGE:
            self.number = self.number or self.sink.number()
            self._identify()
            self._add(stages, "preprocessing" if self.two else "inference", self.started)
            if self.turned:
                self._turn(stages)
            stages[-1].ended = self.ended
        self.special = special or self.special
        self.made = stages

    def _identify(self) -> None:
        """Take the span's ids, once."""
        with _lock:
            if not self.ids:
                self.way.start(self, self.around, self.started + self.offset)

    def _add(self, stages: list[Stage], name: str, start: int) -> Stage:
        stage = super().stage(name)
        stage.started = start
        if self.sampled and self.other is None:
            stage.span_id = self.way.span_id()
        elif self.sampled:
            self.way.start_stage(stage, self.around, self.offset + start)
        stages.append(stage)
        self.step = stage
        return stage

    def _turn(self, stages: list[Stage]) -> None:
        """End the first stage and start the second one; in the application's context, if the first is current there."""
        with _lock:
            first = stages[0]
            if first.ended:
                return
            first.ended = self.turned
            second = self._add(stages, "inference", self.turned)
            current = _get_current()
            if self.sampled and _sdk.span_in(current) is first.span:
                _attach(_with_span(current, second.span, KEY, self))

    @property
    def now(self) -> trace.Span:
        """Return the span that is current in this call: that of the stage that is open, where it is sampled."""
        self._settle()
        return self.span if self.step is None or not self.sampled else self.step.span

    def stage(self, name: str) -> Stage:
        """Return a stage of the application's own to enter; it is nested in the one that is open."""
        self._settle()
        current = _get_current()
        if type(_sdk.span_in(current)) is Here:
            _attach(_with_span(current, self.now, KEY, self))  # it lasts: `finish` goes back to before the call
        return super().stage(name)

    @property
    def open(self) -> bool:
        """Return whether it is recorded, and has not ended."""
        return bool(self.stages) and super().open

    def made_context(self) -> SpanContext:
        """Return the span's context."""
        self._settle()
        return super().made_context()

    # On the recorder's thread -------------------------------------------------------------------------------

    @classmethod
    def read_all(cls, predictions: list[Any]) -> None:
        """Read what was predicted by many calls, those of one row at once."""
        _sklearn_rows.read(predictions)
        for call in predictions:
            call.outcome()

    def take(self, seen: Result) -> None:
        """Take what was read of it."""
        self.seen, self._observed = None, seen

    def outcome(self) -> Result | None:
        """Return what is known, having read what was predicted."""
        seen, self.seen = self.seen, None
        if seen is not None:
            answer, labels, inputs = seen
            with _OBSERVE:
                self.observe(inputs=inputs, **facts(self.plan.method, answer, labels, self.plan.kind))
        return super().outcome()


class Here(OwnSpan):
    """What is current during a call: stands for the span of the stage that is open, whichever that is."""

    call: Served

    @property
    def span(self) -> trace.Span:
        """Return the span it stands for."""
        return self.call.now

    def get_span_context(self) -> SpanContext:
        """Return the context of that span."""
        return self.call.now.get_span_context()

    def is_recording(self) -> bool:
        """Return whether what is set on that span is kept."""
        return self.call.now.is_recording()

    def _to(self) -> trace.Span:
        return self.call.now


def read_now(plan: Plan, result: Any, final: Any) -> dict[str, Any]:
    """Return what a call gave, read on the application's thread."""
    labels = getattr(final, "classes_", None) if plan.labelled else None
    return facts(plan.method, result, labels, asked(final) if plan.kind == "ask" else plan.kind)


if _sdk.native is not None:
    _sdk.native.use_served(Served, globals(), Here, _NOWHERE, np, Result, values.dtype_name)
