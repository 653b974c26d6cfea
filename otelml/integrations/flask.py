"""Flask: a server span and HTTP metrics per request, and the request id in and out.

Not upstream's instrumentation, which puts a subclass in the place of ``flask.Flask``: applications made before, or of a
class imported before, go unseen by it.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from otelml._guard import guarded
from otelml.integrations._applications import ServerInstrumentor
from otelml.integrations._routes import TEMPLATE
from otelml.integrations._wsgi import SCOPE, WsgiApplications

if TYPE_CHECKING:
    from collections.abc import Callable


class _Flask(WsgiApplications):
    name, modules = "flask", ("flask.app",)

    def apply(self, module: Any) -> None:
        kind = next(each for each in module.Flask.__mro__ if each.__module__ == module.__name__)
        self.replace(kind, "__call__", self.wrapped_wsgi)
        self.replace(kind, "full_dispatch_request", _noting_route)
        signal = module.got_request_exception
        signal.connect(_failed, weak=False)
        self.undoing.append(lambda: signal.disconnect(_failed))


def _noting_route(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``full_dispatch_request`` that notes the route: what it raises, and its arguments, stay as they are."""
    from flask.globals import request  # noqa: PLC0415 - Flask is there

    @guarded("integrations.flask.route", None)
    def note() -> None:
        rule, scope = request.url_rule, request.environ.get(SCOPE)
        if rule is not None and scope is not None:
            scope[TEMPLATE] = rule.rule

    @wraps(dispatch)
    def full_dispatch_request(*args: Any, **kwargs: Any) -> Any:
        note()
        return dispatch(*args, **kwargs)

    return full_dispatch_request


@guarded("integrations.flask", None)
def _failed(_: Any, exception: BaseException | None = None, **__: Any) -> None:
    from otelml.integrations import asgi  # noqa: PLC0415 - a request is observed

    request = asgi.current()
    if request is not None:
        request.note(exception)


class FlaskInstrumentor(ServerInstrumentor):
    """Observes every Flask application, present and future."""

    requirement, kind = "flask >= 2.3", _Flask
