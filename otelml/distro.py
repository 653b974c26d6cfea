"""Zero code: the entry points by which ``opentelemetry-instrument CMD`` does what ``otelml.auto_instrument()`` does."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]

from otelml.processes import is_child, is_helper

if TYPE_CHECKING:
    from opentelemetry.util._importlib_metadata import EntryPoint

COVERED = frozenset(
    {
        *("aiohttp-server", "django", "fastapi", "flask", "starlette"),
        *("aiohttp-client", "httpx", "httpx2", "urllib3"),
        *("grpc_client", "grpc_server", "grpc_aio_client", "grpc_aio_server"),
        *("redis", "sqlalchemy"),
        *("logging", "requests", "system_metrics"),
    }
)
"""Upstream instrumentations left to otelml's own, which use them without their noise and without raw values."""
COVERED_MODULES = (
    *("opentelemetry.instrumentation.genai.openai", "opentelemetry.instrumentation.openai_v2"),
    *("opentelemetry.instrumentation.genai.anthropic", "opentelemetry.instrumentation.google_genai"),
)
"""The same of language models' clients, by their modules: other vendors have entry points of these names."""
OWN = "otelml_"
_BARE = """otelml: PROCESS {} RUNS WITHOUT TELEMETRY
{}
otelml: see every setting with: otelml config; look for what is wrong with: otelml doctor"""


class Distro(BaseDistro):  # type: ignore[misc]
    """Chooses our configurator, and instruments each library once."""

    def _configure(self, **_: Any) -> None:
        os.environ.setdefault("OTEL_PYTHON_CONFIGURATOR", "otelml")
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Instrument a library; our own integrations are switched on, or left off, by the configurator."""
        ours = entry_point.name.startswith(OWN) or entry_point.value.startswith(COVERED_MODULES)
        if Configurator.failed or is_helper() or ours or entry_point.name in COVERED:
            return
        instrumentor = entry_point.load()()
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument(**kwargs)


class Configurator:
    """Starts otelml from the environment."""

    failed = False
    """The settings are wrong: the program runs without telemetry, and nothing is instrumented for nothing."""

    def configure(self, **_: Any) -> None:
        """Build the pipeline and start the runtime; where settings are wrong, say so on stderr with every fault.

        ``opentelemetry-instrument`` runs the program whatever happens here. ``otelml run`` has looked before.
        """
        if is_helper():
            return  # its children start otelml themselves
        # Imported here: the entry point is loaded in every process that is instrumented, also when another is chosen.
        from otelml import config, runtime  # noqa: PLC0415
        from otelml.errors import OtelmlError  # noqa: PLC0415

        try:
            settings = config.load()
            if settings.children or not is_child():
                runtime.start(settings)
        except OtelmlError as error:
            Configurator.failed = True
            # To stderr itself: nobody has set up logging yet, and its last resort shows two stack traces.
            print(_BARE.format(os.getpid(), error), file=sys.stderr, flush=True)  # noqa: T201
