"""Real drift: flights from New York in 2013, each month against January to March. Needs the ``demo`` extra.

Three tables: what `otelml.drift` says of each month; the same features by hand, in plain SQL
and NumPy that share no code with it; and what happened to the model. ``--markdown`` prints those of docs/drift.md.
"""

from __future__ import annotations

import argparse
import calendar
import math
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from tables import table

from otelml import drift
from otelml.demo import data, training
from otelml.demo.features import FEATURES

if TYPE_CHECKING:
    from pathlib import Path

    from otelml.drift import DriftReport

YEAR, TRAINED = 2013, (1, 2, 3)
LATITUDE = math.radians(40.7)
SHOWN = ("temp", "daylight", "carrier")
LARGEST = 5


@dataclass(frozen=True)
class Month:
    """The flights of a month that arrived: features, whether late, and what the model said."""

    inputs: pd.DataFrame
    late: list[int]


def daylight(day: date) -> float:
    """Return the hours from sunrise to sunset in New York, by the sun's declination (Cooper, Solar Energy 12, 1969)."""
    declination = math.radians(23.45) * math.sin(2 * math.pi * (284 + day.timetuple().tm_yday) / 365)
    return 24 / math.pi * math.acos(-math.tan(LATITUDE) * math.tan(declination))


def load(store: Path, month: int) -> Month:
    """Return a month; day by day, because daylight is not among the model's features."""
    frames, late = [], []
    for day in range(1, calendar.monthrange(YEAR, month)[1] + 1):
        today = date(YEAR, month, day)
        inputs, labels = training.examples(store, today.isoformat(), today.isoformat())
        frames.append(inputs.assign(daylight=daylight(today)))
        late += labels
    return Month(pd.concat(frames, ignore_index=True), late)


def joined(months: list[Month]) -> Month:
    """Return several months as one."""
    return Month(pd.concat([m.inputs for m in months], ignore_index=True), [late for m in months for late in m.late])


def moved(report: DriftReport) -> str:
    """Return the features that drifted most, with PSI less bias."""
    found = [f for f in report.ranked() if f.drifted][:LARGEST]
    return ", ".join(f"{f.name} {f.psi - f.psi_bias:.2f}" for f in found) or "-"


def row(name: str, report: DriftReport) -> list[str]:
    """Return the row of a month in the table of drift."""
    effects = (f"{report[shown].psi - report[shown].psi_bias:.3f}" for shown in SHOWN)
    return [name, moved(report), f"{report.rows:,}", f"{len(report.drifted)} of {len(report.features)}", *effects]


def control(reference: Month) -> list[list[str]]:
    """Return rows where nothing, or only the weather of the same season, should have changed."""
    half = np.random.default_rng(0).random(len(reference.inputs)) < 0.5  # noqa: PLR2004 - a coin
    fitted = drift.Reference.fit(reference.inputs[half])
    return [row("half of the reference against the other", drift.compare(fitted, reference.inputs[~half]))]


def by_hand(store: Path, until: int) -> dict[int, dict[str, float]]:
    """Return, by month, means and shares from SQL; month 0 is January to March."""
    last = f"{YEAR}-03-31"
    found: dict[int, dict[str, float]] = {}
    with closing(data.open_store(store)) as connection:
        for month in range(until + 1):
            first, end = (f"{YEAR}-{month:02}-01", f"{YEAR}-{month:02}-31") if month else (f"{YEAR}-01-01", last)
            rows = connection.execute(
                "SELECT f.date, f.carrier, w.temp FROM flights f LEFT JOIN weather w USING (origin, time_hour) "
                "WHERE f.date BETWEEN ? AND ? AND f.arrival_delay IS NOT NULL",
                (first, end),
            ).fetchall()
            warm = [r["temp"] for r in rows if r["temp"] is not None]
            carriers = Counter(str(r["carrier"]) for r in rows)
            hours = [daylight(date.fromisoformat(r["date"])) for r in rows]
            found[month] = {
                "temp": float(np.mean(warm)),
                "daylight": float(np.mean(hours)),
                **{name: count / len(rows) for name, count in carriers.items()},
            }
    return found


def hand_rows(hand: dict[int, dict[str, float]]) -> list[list[str]]:
    """Return for each month mean temperature and daylight, and the carrier whose share has changed most."""
    rows = []
    for month, now in hand.items():
        changes = {k: now.get(k, 0.0) - v for k, v in hand[0].items() if k not in SHOWN}
        most = max(changes, key=lambda name: abs(changes[name]))
        total = sum(map(abs, changes.values())) / 2
        name = calendar.month_name[month] if month else "January to March"
        share = f"{most} {hand[0][most]:.1%} to {now.get(most, 0.0):.1%}" if month else "-"
        rows.append([name, share, f"{now['temp']:.1f}", f"{now['daylight']:.1f}", f"{total:.1%}"])
    return rows


def model_rows(months: dict[int, Month]) -> list[list[str]]:
    """Return for each month the drift of the model's probabilities, and how good they were."""
    model = training.load()
    said = {month: model.predict_proba(m.inputs[list(FEATURES)])[:, 1] for month, m in months.items()}
    before = np.concatenate([said[month] for month in TRAINED])
    reference = drift.Reference.fit({"probability": before})
    rows = []
    for month, probability in said.items():
        found = drift.compare(reference, {"probability": probability})["probability"]
        late = np.array(months[month].late)
        rows.append(
            [
                calendar.month_name[month] + (" (trained on)" if month in TRAINED else ""),
                f"{found.psi - found.psi_bias:.3f}",
                "yes" if found.drifted else "no",
                f"{probability.mean():.1%}",
                f"{late.mean():.1%}",
                f"{roc_auc_score(late, probability):.3f}",
                f"{np.mean((probability - late) ** 2):.3f}",
            ]
        )
    return rows


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--markdown", action="store_true", help="tables as docs/drift.md has them")
    parser.add_argument("--until", type=int, default=12, metavar="MONTH", help="last month (default: 12)")
    parser.add_argument("--no-model", action="store_true", help="leave out the model, which may have to be trained")
    options = parser.parse_args()
    store = data.ensure_store()
    months = {month: load(store, month) for month in range(1, options.until + 1)}
    season = joined([months[month] for month in TRAINED])
    reference = drift.Reference.fit(season.inputs)
    rows = control(season)
    for month in range(4, options.until + 1):
        rows.append(row(calendar.month_name[month], drift.compare(reference, months[month].inputs)))
    heads: tuple[str, ...] = ("month", "moved most (PSI less bias)", "flights", "drifted", *SHOWN)
    print(table(heads, rows, markdown=options.markdown, text=2), "\n")
    heads = ("by hand", "carrier that changed most", "mean temp, F", "daylight, h", "carriers moved")
    print(table(heads, hand_rows(by_hand(store, options.until)), markdown=options.markdown, text=2), "\n")
    if not options.no_model:
        training.ensure_model(store)
        heads = ("model", "PSI of probability", "drifted", "said late", "were late", "AUC", "Brier")
        print(table(heads, model_rows(months), markdown=options.markdown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
