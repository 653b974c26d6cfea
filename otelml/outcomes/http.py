"""``POST /outcomes``: truths over HTTP, as a FastAPI router."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelml.errors import MissingExtraError

if TYPE_CHECKING:
    from fastapi import APIRouter

MAX_OUTCOMES = 10_000
"""Outcomes in one request."""


def make(**options: Any) -> APIRouter:
    """Return the router; ``options`` are those of ``fastapi.APIRouter``."""
    try:
        from fastapi import APIRouter, HTTPException  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("POST /outcomes", "fastapi") from error
    router = APIRouter(**options)

    @router.post("/outcomes", status_code=202)
    def outcomes(body: dict[str, Any] | list[dict[str, Any]]) -> dict[str, int]:
        """Take ``{"prediction_id": ..., "actual": ..., "at": ...}``, or a list of them; ``at`` may be left out."""
        from otelml import runtime  # noqa: PLC0415 - it is made of what this package offers

        active = runtime.active
        if active is None or active.outcomes is None:
            raise HTTPException(503, "outcomes are off: set OTELML_OUTCOMES_DATABASE")
        given = body if isinstance(body, list) else [body]
        if len(given) > MAX_OUTCOMES:
            raise HTTPException(413, f"at most {MAX_OUTCOMES} outcomes in one request")
        accepted = sum(_record(active.outcomes, one) for one in given)
        return {"accepted": accepted, "rejected": len(given) - accepted}

    return router


def _record(outcomes: Any, given: dict[str, Any]) -> bool:
    from otelml.outcomes.files import seconds  # noqa: PLC0415 - it is only needed by requests

    key, at = given.get("prediction_id"), given.get("at")
    known = None if at is None else seconds(at)
    if not isinstance(key, str) or (at is not None and known is None):
        outcomes.unreadable()
        return False
    return bool(outcomes.record(key, given.get("actual"), known))
