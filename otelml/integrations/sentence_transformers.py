"""sentence-transformers: ``encode`` of bi-encoders and sparse encoders, ``predict`` of cross-encoders.

``encode_query``, ``encode_document`` and ``rank`` call these in turn. So do evaluators and the workers of a pool of
processes, which serve nobody: the call that sends texts to the pool counts.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from otelml import runtime
from otelml._guard import attempt, guard
from otelml._lazy import is_numpy
from otelml.integrations._answers import Answer, facts_of, of_network
from otelml.integrations._library_calls import LibraryInstrumentor, Method, begin
from otelml.integrations._sklearn_calls import outer
from otelml.integrations._torch_outputs import answer
from otelml.integrations._transformers_calls import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from otelml.integrations._library_calls import Call, Facts

PACKAGE = "sentence_transformers"
_PUBLIC = frozenset({"encode_query", "encode_document", "rank"})
_BEGIN = guard("sentence_transformers.begin")


def _of_application(caller: FrameType) -> bool:
    module = caller.f_globals.get("__name__")
    inside = isinstance(module, str) and module.startswith(f"{PACKAGE}.")
    return not inside or caller.f_code.co_name in _PUBLIC


def _name(model: Any) -> str | None:
    """Return the name of the model of transformers inside, where there is one with a name."""
    ways: tuple[Callable[[], Any], ...] = (lambda: model[0].auto_model, lambda: model.model)
    return next((name for way in ways if (name := name_of(attempt(way)[0]))), None)


def _given(arguments: Mapping[str, Any]) -> Any:
    """Return the texts, by the names that they have had."""
    return next((arguments[name] for name in ("inputs", "sentences") if name in arguments), ())


def _encoded(_model: Any, given: Mapping[str, Any], result: Any) -> Facts:
    """Return the rows of embeddings; of several in an array their shape."""
    texts = _given(given)
    if isinstance(texts, str):
        return {"rows": 1}
    table = is_numpy(result, "ndarray") and result.ndim > 1
    return {"rows": len(texts), "predictions": result if table else None}


def _scored(_model: Any, given: Mapping[str, Any], result: Any) -> Facts:
    """Return the scores of pairs: a number each is a value, shares of several classes tell the class."""
    pairs = _given(given)
    if len(pairs) and isinstance(pairs[0], str):  # a single pair
        number = attempt(float, result)[0] if not getattr(result, "is_cuda", False) else None
        return {"rows": 1, "values": number}
    if is_numpy(result, "ndarray"):
        return facts_of(Answer.VALUE, result) if result.ndim == 1 else of_network(result, _no_layer)
    found: Facts = {} if isinstance(result, list) else answer(result, _no_layer)
    return {**found, "rows": len(pairs)}


def _no_layer() -> None:
    """Say nothing of the last layer."""


class SentenceTransformersInstrumentor(LibraryInstrumentor):
    """Measures ``encode`` and ``predict``."""

    framework = "sentence-transformers"
    requirement = "sentence-transformers >= 3.3"
    methods = (
        Method(PACKAGE, "SentenceTransformer.encode", _encoded),
        Method(PACKAGE, "SparseEncoder.encode", _encoded),
        Method(PACKAGE, "CrossEncoder.predict", _scored),
    )

    def _begun(self, model: Any, operation: str) -> Call | None:
        with _BEGIN:
            if runtime.active is not None and outer.get() is None and _of_application(sys._getframe(2)):
                return begin(model, self.framework, operation, fallback=_name(model))
        return None
