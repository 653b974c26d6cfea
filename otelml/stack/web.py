"""HTTP to the stack's own addresses: never through a proxy, never for long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = 5.0


def get(url: str, parameters: Mapping[str, str] | None = None, seconds: float = SECONDS) -> requests.Response:
    """Ask; raises ``requests.RequestException`` when nobody answers."""
    with _session() as session:
        return session.get(url, params=parameters, timeout=seconds)


def post(url: str, body: bytes, headers: Mapping[str, str], seconds: float = SECONDS) -> requests.Response:
    """Send; raises ``requests.RequestException`` when nobody answers."""
    with _session() as session:
        return session.post(url, data=body, headers=dict(headers), timeout=seconds)


def json_of(url: str, parameters: Mapping[str, str] | None = None) -> Any:
    """Return what an address says in JSON, or None while it does not."""
    try:
        answer = get(url, parameters)
        return answer.json() if answer.ok else None
    except (requests.RequestException, ValueError):
        return None


def is_ok(url: str, seconds: float = 2.0) -> bool:
    """Say whether an address answers 200."""
    try:
        return bool(get(url, seconds=seconds).status_code == requests.codes.ok)
    except requests.RequestException:
        return False


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session
