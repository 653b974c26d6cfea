"""The two that are measured, each a process of its own on free ports and in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import psutil

from _viewer.load import MODEL, SERVICE, VERSION
from otelml.stack import build

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).parents[2]
NEWEST = 100


def _free_ports(count: int) -> list[int]:
    """Return ports that are free."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class Server:
    """A store's process: where it takes OTLP over gRPC, what it uses, what it answers."""

    name = ""

    def __init__(self, folder: Path, command: list[str], environment: Mapping[str, str], otlp: int) -> None:
        self.folder = folder
        self.otlp = f"127.0.0.1:{otlp}"
        with (folder.parent / f"{folder.name}.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=log, stderr=log, cwd=REPOSITORY
            )
        self.used = psutil.Process(self._process.pid)
        deadline = time.monotonic() + 60
        while not self.ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not start: see {folder.parent}/{folder.name}.log")
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, and wait until what it holds is on the disk."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(120)

    def ready(self) -> bool:
        """Whether it answers."""
        with suppress(URLError, ConnectionError, TimeoutError, OSError):
            self.get("ready")
            return True
        return False

    def cpu(self) -> float:
        """Return the seconds of CPU it has used."""
        times = self.used.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> float:
        """Return what it holds in memory that no file backs, in MiB."""
        about = self.used.memory_info()
        return float(about.rss - about.shared) / 2**20

    def bytes(self) -> int:
        """Return the bytes of its folder on the disk."""
        return sum(file.stat().st_blocks * 512 for file in self.folder.rglob("*") if file.is_file())

    def urls(self, first: int, last: int, trace: str) -> dict[str, str]:
        """Return the questions by name: an address each, over a range of time in nanoseconds."""
        raise NotImplementedError

    def get(self, what: str) -> Any:
        """Return the JSON at a path."""
        raise NotImplementedError

    def newest(self) -> str:
        """Return the id of a trace; '' before there is one."""
        raise NotImplementedError


def fetched(url: str, headers: Mapping[str, str] | None = None) -> Any:
    """Return JSON from an address on loopback."""
    with urlopen(Request(url, headers=dict(headers or {})), timeout=300) as answer:  # noqa: S310 - ours, on loopback
        return json.load(answer)


class Viewer(Server):
    """``otelml view`` on a file."""

    name = "otelml view"

    def __init__(self, folder: Path) -> None:
        page, http, grpc = _free_ports(3)
        self._state = folder.parent / "state"
        self._page = f"http://127.0.0.1:{page}"
        self._token = ""
        ports = ["--port", str(page), "--otlp-port", str(http), "--grpc-port", str(grpc)]
        command = [sys.executable, "-m", "otelml", "view", "--no-browser", "--max-size", "100GB", *ports]
        environment = {"XDG_STATE_HOME": str(self._state), "PYTHONPATH": str(REPOSITORY)}
        super().__init__(folder, [*command, "--db", str(folder / "store.db")], environment, grpc)

    def ready(self) -> bool:
        """Whether it has said its token."""
        for path in self._state.glob("otelml/view-*.json"):
            with suppress(ValueError):
                self._token = json.loads(path.read_text("utf-8"))["token"]
        return bool(self._token) and super().ready()

    def get(self, what: str) -> Any:
        """Return the JSON at a path of its API."""
        path = "version" if what == "ready" else what
        return fetched(f"{self._page}/api/{path}", {"Authorization": f"Bearer {self._token}"})

    def newest(self) -> str:
        """Return the id of a trace; '' before there is one."""
        found = self.get("traces?limit=1")["traces"]
        return found[0]["trace_id"] if found else ""

    def urls(self, first: int, last: int, trace: str) -> dict[str, str]:
        """Return the pages' questions."""
        span = f"from={first}&to={last}"
        late = quote("ml.prediction.class=late")
        return {
            "one trace": f"trace?id={trace}",
            f"newest {NEWEST} traces": f"traces?{span}&service={SERVICE}&limit={NEWEST}",
            f"newest {NEWEST} traces of an attribute": f"traces?{span}&q={late}&limit={NEWEST}",
            "newest traces of an attribute that none has": f"traces?{span}&q={quote('ml.prediction.class=never')}",
            "models": f"models?{span}",
            "model": f"model?{span}&model={MODEL}&version={VERSION}",
            "failed or slow traces": f"traces?{span}&min_s=0.05&limit={NEWEST}",
            "keys of attributes": f"attributes?{span}&signal=traces",
            "logs": f"logs?{span}",
            "metrics": f"metrics?{span}",
            "SLOs": f"slos?{span}",
            "health": f"health?{span}",
            "models, last 15 minutes": "models",
            "model, last 15 minutes": f"model?model={MODEL}&version={VERSION}",
            "traces, last 15 minutes": "traces",
        }


class Jaeger(Server):
    """Jaeger with its badger store, in the stack's own configuration."""

    name = "Jaeger, badger"

    def __init__(self, folder: Path) -> None:
        otlp, http, grpc, health, metrics = _free_ports(5)
        self._http = f"http://127.0.0.1:{http}"
        environment = {
            "STACK_JAEGER_OTLP": f"127.0.0.1:{otlp}",
            "STACK_JAEGER_HTTP": f"127.0.0.1:{http}",
            "STACK_JAEGER_GRPC": f"127.0.0.1:{grpc}",
            "STACK_JAEGER_HEALTH": f"127.0.0.1:{health}",
            "STACK_JAEGER_PORT": str(metrics),
            "STACK_JAEGER_DIR": str(folder),
        }
        for part in ("keys", "values"):
            (folder / part).mkdir()
        command = [str(build.binary("jaeger")), "--config", f"file:{REPOSITORY}/collector/jaeger.yaml"]
        super().__init__(folder, command, environment, otlp)

    def get(self, what: str) -> Any:
        """Return the JSON at a path of its API."""
        path = "services" if what == "ready" else what
        with suppress(HTTPError):
            return fetched(f"{self._http}/api/{path}")["data"]
        return []

    def newest(self) -> str:
        """Return the id of a trace; '' before there is one."""
        found = self.get(f"traces?{urlencode({'service': SERVICE, 'limit': 1})}")
        return found[0]["traceID"] if found else ""

    def urls(self, first: int, last: int, trace: str) -> dict[str, str]:
        """Return the questions that it has as well."""
        asked = {"service": SERVICE, "limit": NEWEST, "start": first // 1000, "end": last // 1000}
        late, never = ({"tags": json.dumps({"ml.prediction.class": name})} for name in ("late", "never"))
        return {
            "one trace": f"traces/{trace}",
            f"newest {NEWEST} traces": f"traces?{urlencode(asked)}",
            f"newest {NEWEST} traces of an attribute": f"traces?{urlencode(asked | late)}",
            "newest traces of an attribute that none has": f"traces?{urlencode(asked | never)}",
            "failed or slow traces": f"traces?{urlencode(asked | {'minDuration': '50ms'})}",
        }
