"""Feast: online features are the stage ``feature_retrieval``; rows, missing values, ages are counted, keys are not."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml._guard import guard
from otelml.integrations._patching import Patch
from otelml.retrieval import FeatureRetrieval

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_MODULE = "feast.feature_store"
_SOURCE = "feast"
_MISSING = (None, "null_val")
"""What a value is that the store does not have; its status does not tell in every release."""
MOST_VALUES = 2000
"""Values of an answer that are looked at: some microseconds each would add up."""
_READ = guard("integrations.feast")


def _read(retrieval: FeatureRetrieval, response: Any, entity_rows: Any) -> None:
    """Count an answer."""
    with _READ:
        proto = response.proto
        keys = entity_rows if hasattr(entity_rows, "keys") else (entity_rows or [{}])[0]
        names = list(proto.metadata.feature_names.val)
        vectors = [vector for name, vector in zip(names, proto.results, strict=False) if name not in keys]
        rows = len(vectors[0].values) if vectors else 0
        values = rows * len(vectors)
        if not 0 < values <= MOST_VALUES:
            retrieval.observe(rows=rows, values=values)
            return
        missing = sum(value.WhichOneof("val") in _MISSING for vector in vectors for value in vector.values)
        written = [stamp.seconds for vector in vectors for stamp in vector.event_timestamps if stamp.seconds > 0]
        retrieval.observe(rows=rows, values=values, missing=missing, updated=min(written, default=None))


def _rows_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return kwargs.get("entity_rows", args[1] if len(args) > 1 else None)


def _sync(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def get_online_features(store: Any, *args: Any, **kwargs: Any) -> Any:
        with FeatureRetrieval(_SOURCE) as retrieval:
            response = original(store, *args, **kwargs)
            _read(retrieval, response, _rows_of(args, kwargs))
        return response

    return get_online_features


def _async(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def get_online_features_async(store: Any, *args: Any, **kwargs: Any) -> Any:
        with FeatureRetrieval(_SOURCE) as retrieval:
            response = await original(store, *args, **kwargs)
            _read(retrieval, response, _rows_of(args, kwargs))
        return response

    return get_online_features_async


class FeastInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Measures ``get_online_features`` and ``get_online_features_async``."""

    _patches: tuple[Patch, ...] = ()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return ("feast >= 0.55",)

    def _instrument(self, **_: Any) -> None:
        self._patches = (
            Patch(_MODULE, "FeatureStore.get_online_features", _sync),
            Patch(_MODULE, "FeatureStore.get_online_features_async", _async),
        )

    def _uninstrument(self, **_: Any) -> None:
        patches, self._patches = self._patches, ()
        for patch in patches:
            patch.undo()
