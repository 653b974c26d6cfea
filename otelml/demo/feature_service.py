"""The feature service: weather and planes by key, from SQLite. Ordinary application code plus one line of otelml."""

from __future__ import annotations

import threading
from typing import Any

import otelml

otelml.auto_instrument("flights-features")

from fastapi import FastAPI, HTTPException  # noqa: E402 - otelml goes first here to show that the order is free

from otelml import health  # noqa: E402 - the same
from otelml.demo import data  # noqa: E402 - the same

app = FastAPI(title="flights: features")
store = data.open_store(data.store_path())
one_at_a_time = threading.Lock()
app.mount("/health", health.asgi_app())


def find(query: str, *key: str) -> dict[str, Any]:
    """Return the one row of a query, 404 when there is none."""
    with one_at_a_time:
        row = store.execute(query, key).fetchone()
    if row is None:
        raise HTTPException(404, "no such record")
    return dict(row)


@app.get("/weather/{origin}/{time_hour}")
def weather(origin: str, time_hour: str) -> dict[str, Any]:
    """Return the weather at an airport in one hour (UTC)."""
    return find("SELECT * FROM weather WHERE origin = ? AND time_hour = ?", origin, time_hour)


@app.get("/planes/{tailnum}")
def plane(tailnum: str) -> dict[str, Any]:
    """Return what the register says of an aeroplane."""
    return find("SELECT * FROM planes WHERE tailnum = ?", tailnum)
