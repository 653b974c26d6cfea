"""Building the stack's binaries from Go modules into the user's cache; what is there already is left alone.

Each module in ``collector/build/`` has a committed ``go.sum``: Go checks every source file against it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from otelml.stack import places, toolchain
from otelml.stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

LAST_LINES = 12
MEMORY_FOR_TWO = 12 << 30
"""Linking one of them takes up to 4 GB."""


@dataclass(frozen=True, slots=True)
class Module:
    """One Go module and the binaries it gives; ``cpu_seconds`` is what building it took, all caches cold."""

    name: str
    packages: tuple[str, ...]
    cpu_seconds: int = field(repr=False)
    tags: str = "netgo"
    version: str = ""
    renamed: str = field(default="", repr=False)
    """What the one binary is called where its package does not say."""

    @property
    def binaries(self) -> tuple[str, ...]:
        """Return the names of the binaries."""
        return (self.renamed,) if self.renamed else self.built

    @property
    def built(self) -> tuple[str, ...]:
        """Return what Go calls them."""
        return tuple(self.name if package == "." else _last_part(package) for package in self.packages)


def _last_part(package: str) -> str:
    """Return the last part of a package's path that is no major version, as Go names its binary."""
    *_, above, last = package.split("/")
    return above if re.fullmatch(r"v\d+", last) else last


_PROMETHEUS, _ALERTMANAGER = "github.com/prometheus/prometheus/cmd/", "github.com/prometheus/alertmanager/cmd/"
_VERSION = "github.com/prometheus/common/version.Version="
MODULES = (
    Module(
        "prometheus",
        (f"{_PROMETHEUS}prometheus", f"{_PROMETHEUS}promtool"),
        cpu_seconds=280,
        tags="netgo,remove_all_sd,enable_kubernetes_sd,enable_dns_sd",  # less the service discovery of every cloud
        version=f"{_VERSION}3.15.0",
    ),
    Module("otelcol", (".",), cpu_seconds=450),
    Module("jaeger", ("github.com/jaegertracing/jaeger/cmd/jaeger",), cpu_seconds=300),
    Module("loki", ("github.com/grafana/loki/v3/cmd/loki",), cpu_seconds=300),
    Module(
        "alertmanager",
        (f"{_ALERTMANAGER}alertmanager", f"{_ALERTMANAGER}amtool"),
        cpu_seconds=100,
        version=f"{_VERSION}0.31.1",
    ),
)
EXTRA = (
    Module(
        "compose",
        ("github.com/docker/compose/v2/cmd",),
        cpu_seconds=190,
        version="github.com/docker/compose/v2/internal.Version=2.40.3",
        renamed="docker-compose",
    ),
    Module("kustomize", ("sigs.k8s.io/kustomize/kustomize/v5",), cpu_seconds=60),
)
"""What the stack does without, built where it is asked for: tests read docker-compose.yml and the Kubernetes manifests
with the programs that they are made for."""


def directory(module: Module) -> Path:
    """Return where a module's binaries are, or will be: a place of its own for each state of its sources."""
    digest = hashlib.sha256(repr((module, platform.system(), platform.machine())).encode())
    source = _source(module)
    for path in sorted([source / "go.mod", source / "go.sum", *source.glob("*.go")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return places.cache() / f"{module.name}-{digest.hexdigest()[:12]}"


def _source(module: Module) -> Path:
    return places.files() / "collector" / "build" / module.name


def binary(name: str) -> Path:
    """Return the path of a binary, built or not."""
    return next(directory(module) / name for module in (*MODULES, *EXTRA) if name in module.binaries)


def missing(modules: Sequence[Module] | None = None) -> list[Module]:
    """Return those that are not built, of the stack's modules or of others."""
    wanted = MODULES if modules is None else modules
    return [module for module in wanted if not all((directory(module) / name).is_file() for name in module.binaries)]


@dataclass(slots=True)
class _Progress:
    """How far one module is: packages compiled in this run."""

    module: Module
    started: float = 0.0
    ended: float = 0.0
    packages: int = 0
    lines: list[str] = field(default_factory=list)
    failed: bool = False


def build(modules: Sequence[Module], jobs: int | None, say: Callable[[str], None], *, every: float = 15.0) -> None:
    """Compile modules, ``jobs`` at a time; say how far it is every so many seconds.

    Raises:
        StackError: With the last lines of everything that did not compile. What did is kept.
    """
    if not modules:
        return
    go = toolchain.find() or toolchain.fetch(say)
    places.cache().mkdir(parents=True, exist_ok=True)
    cores = os.cpu_count() or 1
    jobs = jobs or (2 if cores > 1 and psutil.virtual_memory().total >= MEMORY_FOR_TWO else 1)
    minutes = sum(module.cpu_seconds for module in modules) / cores / 60
    say(f"Building {', '.join(m.name for m in modules)}: about {minutes:.0f} min on {cores} cores, once; less if Go")
    say("has compiled some of it before. Interrupted, it goes on from there.")
    states = [_Progress(module) for module in modules]
    stop = threading.Event()
    reporter = threading.Thread(target=_report, args=(states, say, stop, every), daemon=True)
    reporter.start()
    try:
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(lambda state: _compile(go, state, say), states))
    finally:
        stop.set()
        reporter.join()
    faults = ["\n    ".join([f"{s.module.name}:", *s.lines[-LAST_LINES:]]) for s in states if s.failed]
    if faults:
        raise StackError("Not everything could be built.", [*faults, "what was built is kept; otelml stack build"])


def _compile(go: Path, state: _Progress, say: Callable[[str], None]) -> None:
    module, target = state.module, directory(state.module)
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    state.started = time.monotonic()
    flags = f"-s -w {f'-X {module.version}' if module.version else ''}"
    command = [str(go), "build", "-v", "-trimpath", "-mod=readonly", "-buildvcs=false", "-tags", module.tags]
    command += ["-ldflags", flags, "-o", f"{fresh}{os.sep}", *module.packages]
    fresh.mkdir(exist_ok=True)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=_source(module), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr or ():
            state.packages += not line.startswith("go: ")
            state.lines = [*state.lines[-LAST_LINES:], line.rstrip()]
    state.ended = time.monotonic()
    state.failed = process.returncode != 0
    if state.failed:
        shutil.rmtree(fresh, ignore_errors=True)
        say(f"{module.name:13} failed after {state.ended - state.started:.0f} s")
        return
    _keep(fresh, target, module)
    say(f"{module.name:13} built in {state.ended - state.started:.0f} s")


def _keep(fresh: Path, target: Path, module: Module) -> None:
    """Move binaries to where they belong; another build may have been faster, with the same result."""
    target.mkdir(exist_ok=True)
    for built, name in zip(module.built, module.binaries, strict=True):
        (fresh / built).replace(target / name)
    fresh.rmdir()


def _report(states: list[_Progress], say: Callable[[str], None], stop: threading.Event, every: float) -> None:
    while not stop.wait(every):
        now = time.monotonic()
        running = [s for s in states if s.started and not s.ended]
        parts = [f"{s.module.name} {s.packages} packages, {now - s.started:.0f} s" for s in running]
        left = sum(not s.started for s in states)
        say(f"... {'; '.join(parts)}{f'; {left} to come' if left else ''}")
