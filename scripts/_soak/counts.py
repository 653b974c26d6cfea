"""Whether every count is exact: what was made, what the receiver's file holds, what was counted as dropped.

A kill can fall between a request's commit and the end of its answer, and an answer can come when the sender's time for
it is over. The sender then sends that request again, and its rows are there twice, which ids tell; or it gives up and
counts rows as dropped that are there. No sender can know the difference; the receiver's own lines tell how many rows
that can concern (``cut``), and mostly it is none. So exact is: made = received - twice + dropped, or more on the right
by no more than ``cut``.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.request import urlopen

from _soak.service_facts import LOADED, MODEL, SPANS, STAGES
from otelml import semconv
from otelml.viewer.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from _soak.load import Sent
    from otelml.viewer.decode import Signal

_KINDS: dict[Signal, str] = {"traces": "span", "logs": "log"}


@dataclass(frozen=True, slots=True)
class Count:
    """One thing that was counted on both sides."""

    what: str
    made: int
    received: int
    twice: int = 0
    dropped: int = 0
    cut: int = 0

    @property
    def exact(self) -> bool:
        """Whether nothing is lost without being counted, and nothing is there that was not made."""
        return 0 <= self.received - self.twice + self.dropped - self.made <= self.cut


class Twice:
    """Counts rows that came twice, piece by piece: the store keeps the last hours alone.

    ``look()`` is to be called when the receiver has been up for a while, so that no request is being sent again. The
    receiver itself is asked, at its ``endpoint``: nobody else can open its file.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._last = 0
        self._seen: Counter[str] = Counter()
        self.found: Counter[str] = Counter()

    def look(self) -> None:
        """Count what came since the last look."""
        with urlopen(f"{self._endpoint}/since/{self._last}") as answer:  # noqa: S310 - our own receiver on loopback
            since = json.load(answer)
        for signal in _KINDS:
            rows, twice, pruned = since[signal]
            if pruned > self._seen[signal]:
                raise RuntimeError(f"{signal}: rows were pruned before they were looked at")
            self._seen[signal] += rows
            self.found[signal] += twice
        self._last = since["last"]


class Cut:
    """Counts rows stored by requests whose answer did not arrive: ``look()`` while the receiver is down."""

    def __init__(self, store: Path, answered: Path) -> None:
        self._store, self._answered = store, answered
        self.found: Counter[str] = Counter()

    def look(self) -> None:
        """Compare what is stored with what was answered, over all of the run."""
        told: Counter[str] = Counter()
        for line in self._answered.read_text("utf-8").splitlines():
            signal, rows = line.split()
            told[signal] += int(rows)
        with Store(str(self._store)) as kept:
            self.found = Counter({signal: kept.received[signal] - told[signal] for signal in _KINDS})


def counted(sent: Sent, store: Path, twice: Twice, cut: Cut) -> list[Count]:
    """Return every count, once the service has ended and the receiver with it."""
    made: dict[Signal, int] = {"traces": sent.answered * SPANS, "logs": sent.answered + sent.late + LOADED}
    with Store(str(store)) as kept:
        dropped = {s: int(kept.total(semconv.DROPPED.name, **{semconv.DROPPED_WHAT: k})) for s, k in _KINDS.items()}
        received = dict(kept.received)
        rows = [
            Count("requests", sent.requests, sent.answered),
            *(
                Count(f"{kind}s", made[of], received[of], twice.found[of], dropped[of], cut.found[of])
                for of, kind in _KINDS.items()
            ),
        ]
        model = {semconv.MODEL_NAME: MODEL}
        metrics = {
            semconv.REQUESTS.name: (model, sent.answered),
            semconv.PREDICTION_DURATION.name: (model, sent.answered),
            semconv.STAGE_DURATION.name: (model, sent.answered * len(STAGES)),
            "http.server.request.duration": ({}, sent.answered),
        }
        for name, (attributes, expected) in metrics.items():
            rows.append(Count(name, expected, int(kept.total(name, **attributes))))
        rows.append(Count(semconv.ERRORS.name, 0, int(kept.total(semconv.ERRORS.name))))
    return rows
