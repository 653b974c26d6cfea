"""Upstream's instrumentations of clients, where they are installed: switched on with spans that keep no raw values."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml._guard import attempt, guard
from otelml.integrations._private_spans import PrivateTracerProvider

if TYPE_CHECKING:
    from collections.abc import Collection

logger = logging.getLogger("otelml")
_FAILED = "otelml: %s is not instrumented: %s is installed and does not work here (%s)"


class UpstreamInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Switches one of upstream's instrumentors on when the application imports the library, unless somebody did.

    ``instrument()`` takes ``tracer_provider`` and ``meter_provider``.
    """

    requirement: ClassVar[str]
    library: ClassVar[str]
    upstream: ClassVar[tuple[tuple[str, str], ...]]
    """Module and class of upstream's instrumentations; the first that is installed and works is taken."""
    _providers: dict[str, Any] | None = None
    _made: Any = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return (self.requirement,)

    def options(self) -> dict[str, Any]:
        """Return what upstream is told beside the providers."""
        return {}

    def _instrument(self, **kwargs: Any) -> None:
        self._providers = {
            "tracer_provider": PrivateTracerProvider(kwargs.get("tracer_provider")),
            "meter_provider": kwargs.get("meter_provider"),
        }
        wrapt.register_post_import_hook(self._imported, self.library)

    def _imported(self, _: Any) -> None:
        for module, kind in self.upstream if self._providers is not None else ():
            found, error = attempt(import_module, module)
            if found is None:
                absent = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
                if not absent:  # it is installed, and does not work with what else is
                    logger.warning(_FAILED, self.library, module, type(error).__name__)
                continue
            with guard(f"integrations.{self.library}"):
                if self._switched_on(getattr(found, kind)(), module):
                    return

    def _switched_on(self, upstream: Any, module: str) -> bool:
        """Switch upstream's on, unless somebody has; return whether it is on."""
        if upstream.is_instrumented_by_opentelemetry:
            return True
        _, error = attempt(upstream.instrument, skip_dep_check=True, **(self._providers or {}), **self.options())
        if error is None:
            self._made = upstream
            return True
        logger.warning(_FAILED, self.library, module, type(error).__name__)
        attempt(upstream._uninstrument)  # what it had done before it failed
        return False

    def _uninstrument(self, **_: Any) -> None:
        made, self._made, self._providers = self._made, None, None
        if made is not None:
            made.uninstrument()
