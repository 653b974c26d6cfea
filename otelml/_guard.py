"""The one place that catches everything: a fault of ours is counted and logged, never raised into the application.

In tests ``strict`` is set and the fault is raised, so that nothing hides.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("otelml")
strict = False
"""Raise instead of counting. Set by the test-suite only."""


def _class_name(error: BaseException) -> str:
    return type(error).__name__


describe: Callable[[BaseException], str] = _class_name
"""Returns a fault as text without values of the application's; set by ``_scrub``, which stands on this module."""

_lock = threading.RLock()  # re-entrant: a finaliser that runs inside may fail as well
_errors: Counter[str] = Counter()


def failed(site: str, error: BaseException) -> None:
    """Count a fault of otelml at ``site``; log the first one of each site, with its places but no values.

    A fault often quotes what it failed on, and its context may be an exception of the application's.
    """
    if strict:
        raise error
    with _lock:
        _errors[site] += 1
        first = _errors[site] == 1
    if first:
        logger.warning(
            "otelml: internal error in %s; the application goes on with less telemetry (later ones are only counted)\n"
            "%s",
            site,
            describe(error),
        )


def errors() -> dict[str, int]:
    """Return the number of faults so far, by site."""
    with _lock:
        return dict(_errors)


def reset() -> None:
    """Forget all counts (tests, and the child after a fork)."""
    global _lock  # noqa: PLW0603 - a lock held across a fork is never released in the child
    _lock = threading.RLock()
    _errors.clear()


class guard:  # noqa: N801 - reads as a statement: with guard("site")
    """Context manager that swallows, counts and logs any Exception raised inside it."""

    __slots__ = ("site",)

    def __init__(self, site: str) -> None:
        self.site = site

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        failed(self.site, error)
        return True


def guarded(site: str, default: R) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function return ``default`` instead of raising."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the guard itself
                failed(site, error)
                return default

        return call

    return decorate


def attempt(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> tuple[R | None, Exception | None]:
    """Call foreign code (an exporter, a provider) whose failure is no fault of ours; return its result or its error."""
    try:
        return function(*args, **kwargs), None
    except Exception as error:  # noqa: BLE001 - the guard itself
        return None, error
