"""Where the terminal's commands read: a running viewer over HTTP, a store's file, or a file of OTLP JSON lines."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode, urlsplit

from otelml.errors import OtelmlError
from otelml.viewer import running
from otelml.viewer.api.parameters import BadRequestError
from otelml.viewer.api.routes import answer
from otelml.viewer.api.version import version
from otelml.viewer.decode import MalformedError, Signal, parse
from otelml.viewer.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otelml.viewer.running import Running

LINES = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")
_OUTER: dict[str, Signal] = {"resourceSpans": "traces", "resourceLogs": "logs", "resourceMetrics": "metrics"}
_SNAKE: dict[str, Signal] = {"resource_spans": "traces", "resource_logs": "logs", "resource_metrics": "metrics"}
_TIMEOUT = 90.0
SHOWN = 5
"""Bad lines of a file that are told each."""


class SourceError(OtelmlError):
    """There is nothing to read from, or it can't be read; the message says what to do."""


class Source(Protocol):
    """Answers of the API."""

    def get(self, name: str, /, **given: str | float | None) -> dict[str, Any]:
        """Return an answer; parameters that are None are left out. SourceError or BadRequestError where it fails."""


class Remote:
    """A viewer that runs."""

    def __init__(self, viewer: Running) -> None:
        self.viewer = viewer

    def get(self, name: str, /, **given: str | float | None) -> dict[str, Any]:
        """Return an answer of the viewer."""
        parts = urlsplit(self.viewer.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT)
        headers = {"Authorization": f"Bearer {self.viewer.token}", "Accept-Encoding": "gzip"}
        try:
            connection.request("GET", f"/api/{name}?{urlencode(_kept(given))}", headers=headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(f"the viewer at {self.viewer.url} does not answer: {error}") from error
        finally:
            connection.close()
        if response.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        found: dict[str, Any] = json.loads(body)
        if "error" in found:
            told = found["error"]
            if response.status == http.HTTPStatus.BAD_REQUEST:
                raise BadRequestError(told.get("faults") or [told["message"]], told["fix"])
            raise SourceError(f"{told['message']}. {told['fix']}")
        return found


class Local:
    """A store of this process."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, name: str, /, **given: str | float | None) -> dict[str, Any]:
        """Return an answer from the store."""
        if name == "version":
            return version(self.store, {})
        found = answer(self.store, name, _kept(given))
        return found if isinstance(found, dict) else {}


def _kept(given: dict[str, Any]) -> dict[str, str]:
    return {name.rstrip("_"): str(value) for name, value in given.items() if value is not None}


@contextlib.contextmanager
def opened(db: str | None) -> Iterator[Source]:
    """Give the source for ``--db``: a file, or the viewer that has it open; without, the viewer that runs."""
    viewers = running.viewers()
    if db is None:
        if not viewers:
            raise SourceError("no viewer runs here. Start one: otelml view. Or read a file: --db FILE")
        yield Remote(viewers[0])
        return
    path = str(Path(db).resolve())
    holder = next((viewer for viewer in viewers if viewer.db == path), None)
    if holder is not None:
        yield Remote(holder)
        return
    if not Path(db).is_file():
        raise SourceError(f"{db}: there is no such file. Name a store (otelml view --db FILE) or OTLP JSON lines")
    with Store(None if db.endswith(LINES) else db) as store:
        if db.endswith(LINES):
            _, faults = load(store, Path(db))
            if faults:
                raise SourceError(complaint(db, faults))
        yield Local(store)


def load(store: Store, path: Path) -> tuple[int, list[str]]:
    """Read OTLP requests in JSON, one a line, into a store; return how many, and what was wrong, by line."""
    requests, faults = 0, []
    open_ = gzip.open if path.suffix == ".gz" else open
    try:
        with open_(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    fault = _load(store, line)
                    requests += fault is None
                    faults += [] if fault is None else [f"line {number}: {fault}"]
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error}") from error
    return requests, faults


def _load(store: Store, line: bytes) -> str | None:
    """Store one line; return what is wrong with it."""
    try:
        outer = json.loads(line)
        known = {**_OUTER, **_SNAKE}
        signals = [known[key] for key in outer if key in known] if isinstance(outer, dict) else []
        if not signals:
            return f"no OTLP: an object with {', '.join(_OUTER)} is expected"
        for signal in signals:
            store.add(signal, parse(signal, line, as_json=True))
    except (ValueError, RecursionError, MalformedError) as error:
        return str(error)[:200]
    return None


def complaint(name: str, faults: list[str]) -> str:
    """Return what is wrong with a file, the first lines of it each."""
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return "\n".join([f"{name} has {len(faults)} lines that can't be read:", *faults[:SHOWN], *more])
