"""DuckDB: a span of each statement that a connection executes within another span; its text is not looked at."""

from __future__ import annotations

from functools import partial, wraps
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import SpanKind, StatusCode

from otelml import _sdk, semconv
from otelml._guard import guard
from otelml.integrations._patching import Patch
from otelml.integrations._private_spans import PrivateTracer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_METHODS = ("execute", "executemany")
_ATTRIBUTES = {"db.system.name": "duckdb"}
_BEGIN, _END = guard("integrations.duckdb"), guard("integrations.duckdb.end")


class _Statements:
    """Makes the spans."""

    def __init__(self, tracer_provider: Any) -> None:
        self._provider = tracer_provider

    def begin(self, name: str) -> trace.Span | None:
        """Start a span below the current one; None where there is none that is recorded."""
        with _BEGIN:
            above = _sdk.span_in(_sdk.get_current())
            if above.is_recording() and is_instrumentation_enabled():
                provider = self._provider or trace.get_tracer_provider()
                tracer = PrivateTracer(provider.get_tracer(semconv.SCOPE, version("otelml"), semconv.SCHEMA_URL))
                return tracer.start_span(f"duckdb {name}", kind=SpanKind.CLIENT, attributes=_ATTRIBUTES)
        return None

    def measured(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return what stands for a method."""

        @wraps(original)
        def statement(connection: Any, *args: Any, **kwargs: Any) -> Any:
            span = self.begin(name)
            if span is None:
                return original(connection, *args, **kwargs)
            try:
                return original(connection, *args, **kwargs)
            except BaseException as error:
                with _END:
                    span.record_exception(error)
                    span.set_status(StatusCode.ERROR)
                raise
            finally:
                with _END:
                    span.end()

        return statement


class DuckDBInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Measures ``execute`` and ``executemany`` of connections. ``instrument()`` takes ``tracer_provider``."""

    _patches: tuple[Patch, ...] = ()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return ("duckdb >= 1.4",)

    def _instrument(self, **kwargs: Any) -> None:
        statements = _Statements(kwargs.get("tracer_provider"))
        self._patches = tuple(
            Patch("duckdb", f"DuckDBPyConnection.{name}", partial(statements.measured, name)) for name in _METHODS
        )

    def _uninstrument(self, **_: Any) -> None:
        patches, self._patches = self._patches, ()
        for patch in patches:
            patch.undo()
