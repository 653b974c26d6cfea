"""transformers: calls of pipelines, with their stages, and of ``generate``, with its tokens."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml.integrations._patching import Patch
from otelml.integrations._runs import Staged
from otelml.integrations._transformers_calls import generate_call, next_item, pipeline_call, stepped

if TYPE_CHECKING:
    from collections.abc import Collection

_STAGES = {"preprocess": "preprocessing", "forward": "inference", "postprocess": "postprocessing"}
_BASE, _ITERATORS, _GENERATION = (
    "transformers.pipelines.base",
    "transformers.pipelines.pt_utils",
    "transformers.generation.utils",
)


class TransformersInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Measures ``Pipeline.__call__`` and ``generate``."""

    _patches: tuple[Patch, ...] = ()
    _staged: Staged | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return ("transformers >= 4.46",)

    def _instrument(self, **_: Any) -> None:
        self._staged = Staged(_STAGES)
        self._patches = (
            Patch(_BASE, "Pipeline.__call__", partial(pipeline_call, self._staged)),
            Patch(_ITERATORS, "PipelineIterator.__next__", next_item),
            Patch(_GENERATION, "GenerationMixin.generate", generate_call),
            Patch(_GENERATION, "GenerationMixin._update_model_kwargs_for_generation", stepped),
        )

    def _uninstrument(self, **_: Any) -> None:
        patches, self._patches = self._patches, ()
        for patch in patches:
            patch.undo()
        staged, self._staged = self._staged, None
        if staged is not None:
            staged.undo()
