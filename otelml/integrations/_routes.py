"""The route a request was served by: read off the ASGI scope once it is known, matched as the router does otherwise.

Matching again costs as much as the router's own work, so a route that was found to be the right one is remembered.
"""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, MutableMapping

    Scope = MutableMapping[str, Any]

_OF_ROUTING = ("app_root_path", "endpoint", "fastapi", "path_params", "route", "router")
"""What routing adds to the scope."""


TEMPLATE = "path_template"
"""Where the scope of other frameworks' requests holds the route: Litestar's own name for it."""


class Routes(Protocol):
    """Finds the route of a request; this module does, where Starlette's router serves it."""

    def of_served(self, app: Any, scope: Scope, path: str, root_path: str, /) -> str | None:
        """Return the route's path after the application was called."""

    def matched(self, app: Any, scope: Scope, path: str, root_path: str, /) -> str | None:
        """Return it before."""


class Noted:
    """Routes that are in the scope once they are known."""

    def of_served(self, app: Any, scope: Scope, path: str, root_path: str, /) -> str | None:  # noqa: ARG002 - see Routes
        """Return what the scope says."""
        found = scope.get(TEMPLATE)
        return found if isinstance(found, str) and found else None

    matched = of_served


class _Known:
    """A route that is the application's own, and so names every request that it serves."""

    __slots__ = ("methods", "path", "route")

    def __init__(self, route: weakref.ref[Any], path: str, methods: Collection[str] | None) -> None:
        self.route, self.path, self.methods = route, path, methods


_known: dict[int, _Known] = {}


def of_served(app: Any, scope: Scope, path: str, root_path: str) -> str | None:
    """Return the route's path after the application was called; ``path`` and ``root_path`` are from before."""
    route = scope.get("route")
    if route is None or scope.get("root_path", "") != root_path:
        return matched(app, scope, path, root_path)
    if "fastapi" in scope:
        route = _included(scope, route)
    known = _known.get(id(route))
    if known is None or known.route() is not route:
        return _find(app, scope, (path, root_path), route)
    if known.methods is not None and scope.get("method") not in known.methods:
        return matched(app, scope, path, root_path)
    return known.path


def matched(app: Any, scope: Scope, path: str, root_path: str) -> str | None:
    """Return the path of the first route that matches, or of the last one whose method does not; None without any."""
    found = _match(app, scope, path, root_path)
    return None if found is None else getattr(found, "path", None)


def _match(app: Any, scope: Scope, path: str, root_path: str) -> Any:
    before = {key: value for key, value in scope.items() if key not in _OF_ROUTING}
    before |= {"path": path, "root_path": root_path, "app": app}
    partial = None
    for route in _flat(app.routes):
        match, _ = route.matches(before)
        if match.name == "FULL":
            return route
        if match.name == "PARTIAL":
            partial = route
    return partial


def _flat(routes: Iterable[Any]) -> Iterable[Any]:
    """Return routes with those of included routers, which newer versions of FastAPI keep in a tree."""
    flatten = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", None)
    if flatten is not None:
        return flatten(routes)  # type: ignore[no-any-return] # found by name
    return (
        each
        for route in routes
        for each in (route.effective_route_contexts() if hasattr(route, "effective_route_contexts") else (route,))
    )


def _included(scope: Scope, route: Any) -> Any:
    """Return what holds the whole path where the route belongs to an included router that keeps its own."""
    inner = scope.get("fastapi")
    included = inner.get("effective_route_context") if inner else None
    return route if included is None or included.original_route is not route else included


def _find(app: Any, scope: Scope, before: tuple[str, str], route: Any) -> str | None:
    """Match, and remember the route where it is what was matched."""
    found = _match(app, scope, *before)
    path = None if found is None else getattr(found, "path", None)
    original = getattr(route, "original_route", None)
    own = any(each is route for each in app.routes) if original is None else path == route.path
    same = getattr(found, "original_route", found) is (route if original is None else original)
    if path is not None and own and same:
        address = id(route)
        ref = weakref.ref(route, lambda _: _known.pop(address, None))
        _known[address] = _Known(ref, path, getattr(route, "methods", None))
    return path
