"""Web applications of any framework: what all integrations of servers have in common.

Each observes its requests by ``otelml.integrations.asgi``; applications made before are observed from their next
request on. An application that somebody else has instrumented keeps the spans it has, and gets the request id alone. A
request that goes through several frameworks is observed once, by the outermost.
"""

from __future__ import annotations

import os
import re
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml import context
from otelml._guard import guard
from otelml._lazy import computed_once
from otelml.config import EXCLUDED_URLS
from otelml.integrations._patching import called
from otelml.integrations._routes import Noted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence

    from otelml.integrations._routes import Routes
    from otelml.integrations.asgi import Requests
    from otelml.profiling.profiles import Profiles

    Message = MutableMapping[str, Any]
    Send = Callable[[Message], Awaitable[None]]

HEADER = context.HEADER.lower().encode()
MARK = "otelml.request_id"
"""Where a request's scope or environment says that it is observed already."""
INSTRUMENTED = "_is_instrumented_by_opentelemetry"
"""Where upstream notes that an application is instrumented."""
_PLAIN_PATH = re.compile(r"/[\w./-]*")
_STARTS = ("http.response.start", "websocket.accept")
_TRACED_BY_UPSTREAM = "_otel_original_call"  # where upstream keeps what it wrapped


class Applications:
    """What one ``instrument()`` of a framework changed, and how to put it back.

    Args:
        excluded_urls: Paths to leave out (``/health`` is also ``/api/health/``), or regular expressions;
            ``EXCLUDED_URLS`` when None.
        tracer_provider: Where spans go; the global provider when None.
        meter_provider: Where HTTP metrics go; the global provider when None.
        buckets: Bounds of our HTTP histograms by their name, where they are not the default ones.
        on_shutdown: Called without arguments when an application has shut down, before the server hears of it: a
            server that ends itself by a signal never runs exit handlers, so this is the last chance to send.
        profiles: Says which requests are profiled; none when None.
    """

    name: ClassVar[str]
    modules: ClassVar[tuple[str, ...]]
    """Those that ``apply`` waits for; it is called with each when the application has imported it."""
    routes: ClassVar[Routes] = Noted()

    def __init__(
        self,
        *,
        excluded_urls: Collection[str] | None = None,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        buckets: Mapping[str, Sequence[float]] | None = None,
        on_shutdown: Callable[[], object] | None = None,
        profiles: Profiles | None = None,
        **_: Any,
    ) -> None:
        self.on_shutdown, self.profiles = on_shutdown, profiles
        self.patterns = (*(EXCLUDED_URLS if excluded_urls is None else excluded_urls), *_by_environment(self.name))
        self._observed = (self.patterns, tracer_provider, meter_provider, buckets, self.routes)
        self.active = True
        self.undoing: list[Callable[[], None]] = []

    def begin(self) -> None:
        """Wait for the framework."""
        for module in self.modules:
            wrapt.register_post_import_hook(self._imported, module)

    def _imported(self, module: Any) -> None:
        if self.active:
            with guard(f"integrations.{self.name}"):
                self.apply(module)

    def apply(self, module: Any) -> None:
        """Replace what is to be replaced in a module of the framework."""
        raise NotImplementedError

    @computed_once
    def requests(self) -> Requests:
        """Return what observes requests; imported when there is an application to observe."""
        from otelml.integrations.asgi import Requests  # noqa: PLC0415 - see above

        return Requests(*self._observed)

    def replace(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        """Put a wrapper in the place of a method, to be taken out again where it is still there."""
        original = owner.__dict__.get(name)
        if not callable(original):
            return
        wrapper = wrap(called(owner, name))
        setattr(owner, name, wrapper)
        self.undoing.append(lambda: setattr(owner, name, original) if owner.__dict__.get(name) is wrapper else None)

    def undo(self) -> None:
        """Put everything back."""
        self.active = False
        while self.undoing:
            self.undoing.pop()()

    def of_others(self, app: Any) -> bool:
        """Return whether somebody else makes the spans of an application's requests."""
        return bool(getattr(app, INSTRUMENTED, False))

    def left(self, app: Any) -> bool:  # noqa: ARG002 - for those that know better
        """Return whether an application is none of this integration's."""
        return False


class AsgiApplications(Applications):
    """Applications that speak ASGI: ``wrapped`` stands for the ``__call__`` of their class."""

    swallows: ClassVar[bool] = False
    """The framework answers exceptions and keeps them to itself."""
    native: ClassVar[Mapping[str, None]] = {}
    """What silences a framework's own telemetry, where it stands in the scope."""

    def ending(self, send: Send) -> Send:
        """Return ``send`` that calls ``on_shutdown`` before the server learns that the application has ended."""

        async def send_and_end(message: Message) -> None:
            if self.on_shutdown is not None and message["type"].startswith("lifespan.shutdown."):
                with guard(f"integrations.{self.name}.shutdown"):
                    self.on_shutdown()
            await send(message)

        return send_and_end

    def wrapped(self, call: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Return ``__call__`` that observes requests."""

        @wraps(call)
        async def __call__(app: Any, scope: Message, receive: Any, send: Send) -> None:  # noqa: N807 - stands for it
            if not self.active or MARK in scope or self.left(app):  # an application mounted in another one
                return await call(app, scope, receive, send)
            if scope["type"] == "lifespan":
                self.of_others(app)  # before its middleware is built
                return await call(app, scope, receive, self.ending(send))
            if scope["type"] not in ("http", "websocket"):
                return await call(app, scope, receive, send)
            request = None if self.of_others(app) else self.requests.begin(app, scope, send)
            scope.update(self.native)
            if request is None:
                with context.with_request_id(_incoming(scope)) as request_id:
                    scope[MARK] = request_id
                    return await call(app, scope, receive, _echoing(send, request_id.encode()))
            scope[MARK] = request.id
            handle = call if self.profiles is None else self.profiles.request(call, scope)
            try:
                return await handle(app, scope, receive, request.send)
            except BaseException as error:
                request.failed(error)
                raise
            finally:
                if self.swallows:
                    request.handled()
                request.finish()

        return __call__

    def traced(self, call: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        """Return ``BackgroundTask.__call__`` with a span of its own below that of a request observed by this one."""
        from otelml.integrations import asgi  # noqa: PLC0415 - an application is about to be observed

        @wraps(call)
        async def __call__(task: Any) -> None:  # noqa: N807 - stands for it
            request = asgi.current() if self.active and not hasattr(type(task), _TRACED_BY_UPSTREAM) else None
            if request is None or not request.of(self.requests) or _is_housekeeping(task):
                return await call(task)
            with guard(f"integrations.{self.name}"):
                request.export()
            name = getattr(task.func, "__name__", type(task.func).__name__)
            with self.requests.private_tracer.start_as_current_span(f"BackgroundTask {name}"):
                return await call(task)

        return __call__


def _is_housekeeping(task: Any) -> bool:
    """Return whether a task is Starlette's own, such as the closing of a request's files."""
    return str(getattr(task.func, "__module__", "")).startswith("starlette.")


class ServerInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Switches a framework on and off. ``instrument()`` takes the keyword arguments of ``Applications``."""

    requirement: ClassVar[str]
    kind: ClassVar[type[Applications]]
    _applications: Applications | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the packages this needs, as requirements."""
        return (self.requirement,)

    def _instrument(self, **kwargs: Any) -> None:
        self._applications = self.kind(**kwargs)
        self._applications.begin()

    def _uninstrument(self, **_: Any) -> None:
        applications, self._applications = self._applications, None
        if applications is not None:
            applications.undo()


def pattern(path: str) -> str:
    """Return the regular expression of something excluded, as upstream takes it."""
    return f"{re.escape(path)}/?$" if _PLAIN_PATH.fullmatch(path) else path


def _by_environment(name: str) -> list[str]:
    variables = (f"OTEL_PYTHON_{name.upper()}_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS")
    given = ",".join(os.environ.get(each, "") for each in variables)
    return [each.strip() for each in given.split(",") if each.strip()]


def _incoming(scope: Message) -> bytes | None:
    return next((value for key, value in scope.get("headers") or () if key.lower() == HEADER), None)


def _echoing(send: Send, request_id: bytes) -> Send:
    """Return ``send`` that adds the header to the first message, unless the application set it."""

    async def echo(message: Message) -> None:
        if message["type"] in _STARTS:
            headers = list(message.get("headers") or ())
            if all(key.lower() != HEADER for key, _ in headers):
                message = {**message, "headers": [*headers, (HEADER, request_id)]}
        await send(message)

    return echo
