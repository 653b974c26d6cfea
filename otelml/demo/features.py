"""The model's inputs: one function makes them for training and for serving, so that the two can't differ."""

from __future__ import annotations

import math
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from otelml.demo.data import WEATHER

if TYPE_CHECKING:
    from collections.abc import Mapping

NUMBERS = ("departure_minute", "arrival_minute", "distance", "plane_age", "engines", "seats", *WEATHER)
CATEGORIES = ("carrier", "origin", "dest", "weekday", "hour", "model")
FEATURES = (*NUMBERS, *CATEGORIES)
YEAR = 2013
UNKNOWN = "unknown"


def features(
    flight: Mapping[str, Any], weather: Mapping[str, Any] | None, plane: Mapping[str, Any] | None
) -> dict[str, float | str]:
    """Return the inputs for one flight: a number not known is NaN, a category not known is ``unknown``.

    Args:
        flight: What is known before departure, with the names of ``data.FLIGHT``; times are local, as HHMM.
        weather: The weather at the origin in the hour of departure, or None when there is no record of it.
        plane: The aeroplane's record, or None when the register does not have it.
    """
    weather, plane = weather or {}, plane or {}
    return {
        "departure_minute": _minute(flight["sched_dep_time"]),
        "arrival_minute": _minute(flight["sched_arr_time"]),
        "distance": _number(flight["distance"]),
        "plane_age": YEAR - _number(plane.get("year")),
        "engines": _number(plane.get("engines")),
        "seats": _number(plane.get("seats")),
        **{name: _number(weather.get(name)) for name in WEATHER},
        "carrier": flight["carrier"],
        "origin": flight["origin"],
        "dest": flight["dest"],
        "weekday": _weekday(str(flight["date"])),
        "hour": f"{flight['sched_dep_time'] // 100:02}",
        "model": plane.get("model") or UNKNOWN,
    }


@lru_cache(maxsize=512)
def _weekday(day: str) -> str:
    return date.fromisoformat(day).strftime("%a")


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _minute(clock: int) -> float:
    """Return minutes after midnight of a local time written as HHMM."""
    hours, minutes = divmod(clock, 100)
    return float(hours * 60 + minutes)
