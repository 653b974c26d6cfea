"""MLflow: a call of a ``PyFuncModel`` is the prediction, whatever library it calls in turn.

That library's integration marks the stages and says what was predicted, as it does inside ``otelml.prediction()``.
Where none is measured (a ``PythonModel``, say), the call itself is the stage ``inference``, and rows are counted.
"""

from __future__ import annotations

from functools import partial, wraps
from inspect import signature
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from otelml import api, runtime, streams
from otelml._guard import attempt, guard
from otelml.integrations._library_calls import LibraryInstrumentor, begin
from otelml.integrations._patching import Patch
from otelml.integrations._sklearn_calls import outer
from otelml.models.description import class_name
from otelml.off import NoPrediction
from otelml.values import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otelml.prediction import Prediction

_MODULE, _FRAMEWORK = "mlflow.pyfunc", "mlflow"
_MARKS_ITS_STAGES = "mlflow.sklearn"
_OBSERVE = guard("mlflow.observe")


def _predicting(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for ``predict``."""
    names = tuple(signature(original).parameters)[1:]

    @wraps(original)
    def predict(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if runtime.active is None:
            return original(self, *args, **kwargs)
        marked = attempt(getattr, self, "loader_module")[0] == _MARKS_ITS_STAGES
        call = begin(self, None, "predict", stage=not marked, fallback=class_name(self))
        if call is None:
            return original(self, *args, **kwargs)
        state = _Before(call.prediction)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            call.finish(error)
            raise
        with _OBSERVE:
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            call.end_stage()
            state.complete(given.get("data"), result)
        call.finish()
        return result

    return predict


class _Before:
    """What was known of a prediction before the call, to see what a library added."""

    def __init__(self, prediction: Prediction) -> None:
        self.prediction, self.seen = prediction, prediction.observed
        self.tick = perf_counter_ns()

    def complete(self, inputs: Any, result: Any) -> None:
        """Add what no library has said."""
        prediction, seen = self.prediction, self.prediction.observed
        if not prediction.stages:  # the model's method was bound before otelml was switched on, say
            prediction.stage("inference").begin(self.tick, attach=False).finish()
        prediction.framework = prediction.framework or _FRAMEWORK
        rows = rows_of(inputs if isinstance(result, dict) else result)
        if seen is None or seen is self.seen or seen.rows != rows or seen.input_shape is None:
            prediction.observe(rows=rows, inputs=inputs)  # what libraries saw of these very rows stays


def _streaming(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for ``predict_stream``: the prediction ends with its last item."""

    @wraps(original)
    def predict_stream(self: Any, /, *args: Any, **kwargs: Any) -> Iterator[Any]:
        stream: Iterator[Any] = original(self, *args, **kwargs)
        within = outer.get() is not None or api.current_prediction() is not None
        if runtime.active is None or within or not is_instrumentation_enabled():
            return stream
        counted: Iterator[Any] = streams.generator(lambda: stream, partial(_streamed, self))()
        return counted

    return predict_stream


def _streamed(model: Any) -> Prediction | NoPrediction:
    active = runtime.active
    if active is None:
        return NoPrediction()
    name, version = active.models.name_of(model)
    return api.prediction(name, version, fallback=class_name(model), operation="predict_stream", framework=_FRAMEWORK)


class MLflowInstrumentor(LibraryInstrumentor):
    """Measures ``PyFuncModel.predict`` and ``predict_stream``, whichever flavour the model is of."""

    framework = _FRAMEWORK
    requirement = "mlflow-skinny >= 3.0"
    methods = ()

    def _replaced(self) -> tuple[Patch, ...]:
        return (
            Patch(_MODULE, "PyFuncModel.predict", _predicting),
            Patch(_MODULE, "PyFuncModel.predict_stream", _streaming),
        )
