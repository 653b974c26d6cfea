"""Django, by WSGI and ASGI: a server span and HTTP metrics per request, and the request id in and out.

Not upstream's instrumentation, which is a middleware: it wants the settings when it is switched on, and handlers made
before go unseen by it.
"""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

from otelml._guard import attempt, guarded
from otelml.integrations._applications import AsgiApplications, ServerInstrumentor
from otelml.integrations._routes import TEMPLATE
from otelml.integrations._wsgi import WsgiApplications

if TYPE_CHECKING:
    from collections.abc import Callable

_UPSTREAM = "opentelemetry.instrumentation.django"


class _Django(AsgiApplications, WsgiApplications):
    name = "django"
    modules = ("django.core.handlers.wsgi", "django.core.handlers.asgi", "django.core.handlers.base")

    def apply(self, module: Any) -> None:
        if module.__name__.endswith("wsgi"):
            self.replace(module.WSGIHandler, "__call__", self.wrapped_wsgi)
        elif module.__name__.endswith("asgi"):
            self.replace(module.ASGIHandler, "__call__", self.wrapped)
        else:
            from django.core.signals import got_request_exception  # noqa: PLC0415 - Django is there

            self.replace(module.BaseHandler, "resolve_request", _noting_route)
            got_request_exception.connect(_failed, weak=False)
            self.undoing.append(lambda: got_request_exception.disconnect(_failed))

    def of_others(self, app: Any) -> bool:  # noqa: ARG002 - Django has one list of middleware
        """Return whether upstream's middleware makes spans."""
        return _UPSTREAM in sys.modules and attempt(_has_upstream)[0] is True


def _has_upstream() -> bool:
    from django.conf import settings  # noqa: PLC0415 - Django is there

    return any(str(each).startswith(_UPSTREAM) for each in settings.MIDDLEWARE)


def _noting_route(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``resolve_request`` that notes the route."""

    @guarded("integrations.django.route", None)
    def note(match: Any) -> None:
        from otelml.integrations import asgi  # noqa: PLC0415 - a request is observed

        request, route = asgi.current(), getattr(match, "route", None)
        if request is not None and isinstance(route, str):
            request.scope[TEMPLATE] = route if route.startswith(("/", "^")) else f"/{route}"

    @wraps(resolve)
    def resolve_request(*args: Any, **kwargs: Any) -> Any:
        match = resolve(*args, **kwargs)
        note(match)
        return match

    return resolve_request


@guarded("integrations.django", None)
def _failed(*_: Any, **__: Any) -> None:
    from otelml.integrations import asgi  # noqa: PLC0415 - a request is observed

    request = asgi.current()
    if request is not None:
        request.note(sys.exc_info()[1])


class DjangoInstrumentor(ServerInstrumentor):
    """Observes every handler of Django, present and future."""

    requirement, kind = "django >= 4.2", _Django
