"""Outcomes: the truth that arrives after a prediction, kept beside it, joined, and turned into quality figures.

Off unless ``OTELML_OUTCOMES_DATABASE`` names a database. Importing this package imports no database driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["router"]


def router(**options: Any) -> APIRouter:
    """Return a FastAPI router with ``POST /outcomes``, to be included by the application; nothing mounts it by itself.

    Args:
        options: What ``fastapi.APIRouter`` takes, such as ``prefix="/internal"`` or ``dependencies=[...]``; whoever may
            post here decides what counts as true, so give it the same protection as your other internal paths.

    Raises:
        MissingExtraError: When FastAPI is not installed.
    """
    from otelml.outcomes.http import make  # noqa: PLC0415 - FastAPI is imported only by those who use it

    return make(**options)
