"""ONNX Runtime: every way to run an ``InferenceSession``. Of outputs on a device the shape alone is read.

Confidence is read from outputs that say by their name that they are probabilities, and from the dictionaries of
converted classifiers; the numbers of any other output stand for themselves.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from otelml._guard import attempt, guard
from otelml._lazy import LazyModule
from otelml.integrations._answers import Answer, facts_of
from otelml.integrations._library_calls import Facts, LibraryInstrumentor, Method, begin
from otelml.integrations._patching import Patch
from otelml.integrations._sklearn_outputs import facts
from otelml.values import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
else:
    np = LazyModule("numpy")

_MODULE = "onnxruntime.capi.onnxruntime_inference_collection"
_FRAMEWORK = "onnxruntime"
_PROBABILITIES, _LABELS = ("prob", "output_prob"), ("label", "output_label")
_OBSERVE, _FINISH = guard("onnxruntime.observe"), guard("onnxruntime.finish")


def _named(session: Any, asked: Sequence[str] | None, outputs: Sequence[Any]) -> dict[str, Any]:
    """Return outputs by name, in lower case."""
    names = asked or [output.name for output in session.get_outputs()]
    return {str(name).lower(): output for name, output in zip(names, outputs, strict=False)}


def _answered(named: Mapping[str, Any]) -> Facts:
    """Return what outputs say about themselves."""
    found: Facts = {}
    for name, output in named.items():
        if name.startswith(_PROBABILITIES):
            found |= _dictionaries(output) if isinstance(output, list) else facts("predict_proba", output, None, "ask")
    labels = next((output for name, output in named.items() if name.startswith(_LABELS)), None)
    if isinstance(labels, np.ndarray) and labels.ndim == 1:
        found["classes"] = labels
    if found:
        return found
    first = next(iter(named.values()), None)
    if isinstance(first, np.ndarray) and first.dtype.kind == "f":
        return facts_of(Answer.VALUE, first)
    return {} if first is None else {"rows": rows_of(first)}


def _dictionaries(rows: list[Any]) -> Facts:
    """Return what a list of {class: probability} says, as converted classifiers give it."""
    if not rows or not all(isinstance(row, dict) and row for row in rows):
        return {}
    best = [max(row.items(), key=lambda item: item[1]) for row in rows]
    return {"classes": [label for label, _ in best], "confidence": np.array([share for _, share in best], float)}


def _inputs(feed: Any) -> Any:
    """Return the only input, where it is an array."""
    values = list(feed.values()) if isinstance(feed, dict) else []
    return values[0] if len(values) == 1 and isinstance(values[0], np.ndarray) else None


def _ran(session: Any, given: Mapping[str, Any], result: Any) -> Facts:
    inputs = _inputs(given.get("input_feed"))
    return {"inputs": inputs, **_answered(_named(session, given.get("output_names"), result))}


def _rows(values: Any) -> Facts:
    """Return the rows of the first of several ``OrtValue``, which may be on a device."""
    shape = attempt(lambda: tuple(values[0].shape()))[0]
    return {"rows": int(shape[0])} if shape else {}


def _ran_on_device(_session: Any, _given: Mapping[str, Any], result: Any) -> Facts:
    return _rows(result)


def _bound(_session: Any, given: Mapping[str, Any], _result: Any) -> Facts:
    return _rows(attempt(getattr(given.get("iobinding"), "get_outputs", tuple))[0])


def _asynchronous(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what stands for ``run_async``: the prediction ends with the call of the application's callback."""

    @wraps(original)
    def run_async(  # noqa: PLR0917 - as ONNX Runtime has it
        self: Any, output_names: Any, input_feed: Any, callback: Any, user_data: Any, run_options: Any = None
    ) -> Any:
        call = begin(self, _FRAMEWORK, "run_async", attach=False)
        if call is None:
            return original(self, output_names, input_feed, callback, user_data, run_options)
        inputs = _inputs(input_feed)

        def called(results: Any, data: Any, error: str) -> Any:
            with _OBSERVE:
                if not error:
                    call.observe({"inputs": inputs, **_answered(_named(self, output_names, results))})
            with _FINISH:
                call.finish(RuntimeError(error) if error else None)
            return callback(results, data, error)

        try:
            return original(self, output_names, input_feed, called, user_data, run_options)
        except BaseException as error:
            call.finish(error)
            raise

    return run_async


class OnnxRuntimeInstrumentor(LibraryInstrumentor):
    """Measures ``run``, ``run_async``, ``run_with_ort_values``, ``run_with_iobinding`` of sessions."""

    framework = _FRAMEWORK
    requirement = "onnxruntime >= 1.17"
    methods = (
        Method(_MODULE, "Session.run", _ran),
        Method(_MODULE, "Session.run_with_ort_values", _ran_on_device),
        Method(_MODULE, "Session.run_with_iobinding", _bound),
    )

    def _replaced(self) -> tuple[Patch, ...]:
        return (*super()._replaced(), Patch(_MODULE, "Session.run_async", _asynchronous))
