"""Questions to Prometheus, Jaeger and Loki: GETs of JSON that end in time, and errors that say what to do."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import requests

from otelml.errors import OtelmlError
from otelml.viewer.access import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 30.0
MOST_BYTES = 256 * 1024**2
"""An answer that is larger would be as long in the browser as it is here: ask for less."""
_PIECE = 1 << 16
_NOISE = re.compile(r"^(<.*?>|HTTPS?Connection(Pool)?\(.*?\)): ")


class RemoteError(OtelmlError):
    """A backend can't be asked, or refuses: one line says which one, ``fix`` what to do."""

    def __init__(self, message: str, fix: str) -> None:
        self.fix = fix
        super().__init__(message)


class AbsentError(RemoteError):
    """The backend answers, and has nothing of that name or id."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One server: ``name`` as people say it, the ``option`` that names it, a path that it answers when it is well.

    Args:
        ca: A file of certificates that its own is signed by; those of the system when None.
        headers: Sent with every question.
    """

    name: str
    option: str
    url: str
    probe: str
    ca: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    session: requests.Session = field(default_factory=requests.Session)

    def get(
        self, path: str, parameters: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Return the answer's JSON; RemoteError where there is none."""
        try:
            with self.session.get(
                self.url + path,
                params=parameters,
                headers={**self.headers, **(headers or {})},
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                verify=self.ca or True,
                allow_redirects=False,
                stream=True,
            ) as answer:
                return self._read(answer)
        except (requests.RequestException, OSError) as error:
            raise RemoteError(f"{self.name} at {self.shown} can't be reached: {_why(error)}", self._fix()) from error

    @property
    def shown(self) -> str:
        """The address without a user's name and password."""
        parts = urlsplit(self.url)
        return self.url.replace(f"{parts.netloc.rpartition('@')[0]}@", "", 1) if "@" in parts.netloc else self.url

    def check(self) -> None:
        """Raise RemoteError unless it answers as what it is said to be."""
        found = self.get(self.probe)
        if not isinstance(found, dict):
            raise RemoteError(f"{self.shown} is not {self.name}'s API", self._fix())

    def _read(self, answer: requests.Response) -> Any:
        body = bytearray()
        for piece in answer.iter_content(_PIECE):
            body += piece
            if len(body) > MOST_BYTES:
                raise RemoteError(
                    f"{self.name} has more than {MOST_BYTES >> 20} MiB to say to this", "ask for a shorter time range"
                )
        if answer.is_redirect:
            raise RemoteError(
                f"{self.name} at {self.shown} has moved to {answer.headers.get('Location', '')[:200]}",
                f"give that address to {self.option}",
            )
        if answer.ok:
            return self._parsed(bytes(body))
        raise self._refused(answer.status_code, bytes(body))

    def _parsed(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError as error:
            raise RemoteError(f"{self.shown} answers no JSON: it is not {self.name}'s API", self._fix()) from error

    def _refused(self, status: int, body: bytes) -> RemoteError:
        said = " ".join(_said(body).split())[:300]
        text = f"{self.name} at {self.shown} answers {status}{f': {said}' if said else ''}"
        if status in (requests.codes.unauthorized, requests.codes.forbidden):
            variable = self.name.upper()
            return RemoteError(text, f"set {variable}_BEARER_TOKEN, or {variable}_HEADERS=key=value,...")
        if status == requests.codes.not_found:
            return AbsentError(text, self._fix())
        return RemoteError(text, "its log says more; a shorter time range asks less of it")

    def _fix(self) -> str:
        return f"is it running there? {self.option} URL names it"


def backend(name: str, option: str, url: str, probe: str, ca: str | None) -> Backend:
    """Return a backend with the headers that the environment has for it; RemoteError for what is no address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RemoteError(f"{option} {url[:200]!r} is no address", f"write it as {option} http://127.0.0.1:9090")
    session = requests.Session()
    session.trust_env = not is_loopback(parts.hostname)  # this machine is asked without a proxy
    session.headers["User-Agent"] = "otelml-view"
    return Backend(name, option, url.rstrip("/"), probe, ca, _headers(name.upper()), session)


def _headers(variable: str) -> dict[str, str]:
    """Return what ``..._HEADERS`` (as OTEL_EXPORTER_OTLP_HEADERS: key=value, percent-encoded) and the token say."""
    pairs = (pair.partition("=") for pair in os.environ.get(f"{variable}_HEADERS", "").split(",") if pair.strip())
    found = {key.strip(): unquote(value.strip()) for key, _, value in pairs}
    token = os.environ.get(f"{variable}_BEARER_TOKEN", "").strip()
    if token:
        found["Authorization"] = f"Bearer {token}"
    for key, value in found.items():
        if not key or not value.isprintable() or not value.isascii():
            raise RemoteError(f"{variable}_HEADERS or its token can't be sent", "write key=value, percent-encoded")
    return found


def _said(body: bytes) -> str:
    text = body[:2000].decode("utf-8", "replace")
    try:
        found = json.loads(body)
    except ValueError:
        return text
    error = found.get("error", text) if isinstance(found, dict) else text
    return str(error.get("message", text)) if isinstance(error, dict) else str(error)


def _why(error: Exception) -> str:
    """Return the innermost reason, in one line."""
    if isinstance(error, requests.exceptions.SSLError):
        return f"{_innermost(error)}. --ca FILE names the certificates to trust"
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    return _innermost(error)


def _innermost(error: BaseException) -> str:
    while True:
        inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    text = str(error.args[-1] if isinstance(error, OSError) and error.args else error)
    return " ".join(_NOISE.sub("", text).split())[:200]
