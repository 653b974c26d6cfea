"""Models that are loaded through joblib, skops, ONNX Runtime or MLflow are watched without a word.

The loaders are replaced where applications call them (``joblib.load``), each time by a plain function under the same
name, which gives back what the loader gave and lets its exceptions through. Nothing is imported: a hook waits until
the application does it.

``pickle`` is left alone: its functions are built in, and whoever passes objects between processes calls them all the
time. So are loaders that give weights rather than a model (``torch.load``). ``otelml.watch()`` is for those.
"""

from __future__ import annotations

import os
import re
from contextvars import ContextVar
from functools import lru_cache, partial, wraps
from inspect import signature
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otelml import runtime
from otelml._guard import attempt, guard, guarded
from otelml.integrations._patching import Patch
from otelml.models import description
from otelml.models.artifact import artifact
from otelml.models.life import Load

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class Loader(NamedTuple):
    """A function that loads models, or is the construction of one: its module and name, and the argument it reads."""

    module: str
    path: str
    source: str


LOADERS = (
    Loader("joblib", "load", "filename"),
    Loader("skops.io", "load", "file"),
    Loader("skops.io", "loads", "data"),
    Loader("mlflow.pyfunc", "load_model", "model_uri"),
    Loader("onnxruntime", "InferenceSession.__init__", "path_or_bytes"),
)
REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>\d+))?")
"""An address in MLflow's registry of models, with a version or without."""
LOGGED = re.compile(r"m-[0-9a-f]{32}")
"""MLflow's id of a model that is in no registry: another one each time it is trained, so it is a version."""

_inside: ContextVar[bool] = ContextVar("otelml_loading", default=False)


class ModelLoadsInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # untyped
    """Watches every model that a known loader loads."""

    _patches: tuple[Patch, ...] = ()

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: each library is looked for when the application imports it."""
        return ()

    def _instrument(self, **_: Any) -> None:
        self._patches = tuple(Patch(loader.module, loader.path, partial(_seen, loader)) for loader in LOADERS)

    def _uninstrument(self, **_: Any) -> None:
        patches, self._patches = self._patches, ()
        for patch in patches:
            patch.undo()


def _seen(loader: Loader, original: Callable[..., Any]) -> Callable[..., Any]:
    names = tuple(signature(original).parameters)
    # A class stays the class it is, for those who derive from it or compare it: its construction is what loads.
    of_class = loader.path.endswith(".__init__")

    @wraps(original)
    def load(*args: Any, **kwargs: Any) -> Any:
        loading = None
        with guard("integrations.models"):
            loading = _begin(loader, names, args, kwargs)
        if loading is None:
            return original(*args, **kwargs)
        with loading:
            loaded = original(*args, **kwargs)
        loading.ended(args[0] if of_class else loaded)
        return loaded

    if not of_class:
        load.__module__ = loader.module  # where pickle finds this very function, and elsewhere the loader itself
    return load


def _begin(loader: Loader, names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Loading | None:
    """Return a load to measure; None while otelml is off, and inside another load."""
    if runtime.active is None or _inside.get():
        return None
    return _Loading(loader, {**dict(zip(names, args, strict=False)), **kwargs})


class _Loading:
    """One call of a loader."""

    def __init__(self, loader: Loader, given: dict[str, Any]) -> None:
        source = given.get(loader.source)
        self._source = source if isinstance(source, str) else None
        self._artifact = artifact(source)
        self._device = attempt(description.requested, given.get("providers"))[0]
        self._resident = _resident()
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._token = _inside.set(True)
        self.seconds = perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds = perf_counter() - self.seconds
        with guard("integrations.models"):
            _inside.reset(self._token)

    @guarded("integrations.models", None)
    def ended(self, loaded: Any) -> None:
        """Watch what was loaded, where it can predict."""
        active = runtime.active
        session = description.framework(loaded) == "onnxruntime"
        found = [loaded] if session else description.models_in(loaded)
        if active is None or not found:
            return
        grown = None if self._resident is None else (_resident() or 0) - self._resident
        memory = grown if grown is not None and grown > 0 else None
        load = Load(self.seconds, memory, self._artifact, self._device)
        name, version = self._named(session=session) if active.config.model_name is None else (None, None)
        for model in found:
            active.models.discovered(model, load, name, version)

    def _named(self, *, session: bool) -> tuple[str | None, str | None]:
        """Return the name and version that the source tells: MLflow's address; the file of an ONNX model."""
        registered = REGISTERED.match(self._source or "")
        if registered is not None and LOGGED.fullmatch(registered["name"]):
            return None, registered["name"]
        if registered is not None:
            return registered["name"], registered["version"]
        path = None if self._artifact is None else Path(self._artifact.path)
        return (path.stem if session and path is not None else None), None


def _resident() -> int | None:
    """Return the resident memory of this process in bytes; None where the system does not tell."""
    found = attempt(lambda: _process(os.getpid()).memory_info())[0]
    return None if found is None else int(found.rss)


_process = lru_cache(1)(psutil.Process)
