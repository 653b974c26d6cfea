"""Slices: metrics of a prediction by attributes that the application names, such as carrier or region.

Off until ``OTELML_SLICES`` lists the names. Values are bounded as all labels are, and so are their combinations, since
each one is a series of its own in every metric that carries it.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from otelml import _guard, _labels, semconv
from otelml._guard import attempt
from otelml.series import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_COMBINATIONS = 50
"""Combinations of values for each model and version; later ones are ``other`` in every attribute."""
MAX_REFUSED = 20
"""Names that are not allowed, and are told one by one."""


class Slices:
    """The names that are allowed. Called on the application's thread."""

    def __init__(self, names: Iterable[str], drop: Callable[[str, str, int], None]) -> None:
        self._attributes = {name: f"{semconv.SLICE_PREFIX}{name}" for name in names}
        self._drop = drop
        self._refused: set[str] = set()
        self.after_fork()

    def after_fork(self) -> None:
        """Take a new lock: one held across a fork is never released in the child."""
        self._lock = threading.RLock()

    def of(self, series: Series, given: Mapping[str, Any]) -> Series:
        """Return the series of a slice: what ``series`` has already, and ``given`` by name; later values win."""
        labels = dict(series.slice)
        for name, value in given.items():
            attribute = self._attributes.get(name)
            if attribute is None:
                self._refuse(name)
            elif value is not None:
                labels[attribute] = _labels.bounded(attribute, value)
        if labels == series.slice:
            return series
        return self._known(series.whole or series, labels)

    def read(self, series: Series, text: str | None) -> Series:
        """Return the series of a slice that `stored` wrote, maybe in another process: by the names allowed here."""
        given = attempt(json.loads, text)[0] if text else None
        if not isinstance(given, dict):
            return series
        return self.of(series, {name: value for name, value in given.items() if name in self._attributes})

    def _known(self, whole: Series, labels: dict[str, str]) -> Series:
        key = tuple((name, labels[name]) for name in self._attributes.values() if name in labels)
        found = whole.slices.get(key)
        if found is not None:
            return found
        others = dict.fromkeys(labels, _labels.OTHER)
        with self._lock:  # so that threads that bring new ones at once stay within the limit
            if len(whole.slices) < MAX_COMBINATIONS or labels == others:  # at most one of these for each set of names
                return whole.slices.setdefault(key, Series(whole.model, whole.version, labels, whole))
        for name, label in key:
            _labels.fold(name, label)
        return self._known(whole, others)

    def _refuse(self, name: str) -> None:
        with self._lock:
            if name in self._refused or len(self._refused) >= MAX_REFUSED:
                return
            self._refused.add(name)
        self._drop("slice", "not_allowed", 1)
        _guard.logger.warning("otelml: slice(%s=...) is ignored: OTELML_SLICES does not name it", _labels.text(name))


def stored(series: Series) -> str | None:
    """Return the slice of a series as JSON, for `Slices.read`; None for a whole model."""
    if not series.slice:
        return None
    labels = {name.removeprefix(semconv.SLICE_PREFIX): label for name, label in series.slice.items()}
    return json.dumps(labels, sort_keys=True, separators=(",", ":"))
