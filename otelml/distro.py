"""Zero code: the entry points by which ``opentelemetry-instrument CMD`` does what ``otelml.auto_instrument()`` does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from opentelemetry.util._importlib_metadata import EntryPoint

COVERED = frozenset({"fastapi", "logging", "requests", "system_metrics"})
"""Upstream instrumentations left to otelml's own, which use them without their noise and without raw values."""
OWN = "otelml_"


class Distro(BaseDistro):  # type: ignore[misc]
    """Chooses our configurator, and instruments each library once."""

    def _configure(self, **_: Any) -> None:
        os.environ.setdefault("OTEL_PYTHON_CONFIGURATOR", "otelml")
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Instrument a library; our own integrations are switched on, or left off, by the configurator."""
        if entry_point.name in COVERED or entry_point.name.startswith(OWN):
            return
        instrumentor = entry_point.load()()
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument(**kwargs)


class Configurator:
    """Starts otelml from the environment."""

    def configure(self, **_: Any) -> None:
        """Build the pipeline and start the runtime.

        Raises:
            ConfigError: With every fault; ``opentelemetry-instrument`` logs it and runs the program without telemetry.
        """
        # Imported here: the entry point is loaded in every process that is instrumented, also when another is chosen.
        from otelml import config, runtime  # noqa: PLC0415

        runtime.start(config.load())
