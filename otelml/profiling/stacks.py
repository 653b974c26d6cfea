"""What was sampled: seconds by stack, bounded in memory, and the texts that are made of it.

A frame is the name of a function, the file it is in and its first line. Nothing else is taken from a frame: no
argument, no local variable, no name of a thread.
"""

from __future__ import annotations

import sys
from itertools import takewhile
from typing import Any, NamedTuple

MAX_STACKS = 5_000
"""Different stacks that are kept; the time of later ones counts as ``(more)``."""
MAX_FRAMES = 5_000
MAX_DEPTH = 200
"""Innermost frames of a stack that are kept."""
MAX_TEXT = 120
WAITS, ELSEWHERE, MORE = "[await]", "[elsewhere]", "(more)"
"""Time in which a coroutine waited; in which its thread did something else; and that of stacks beyond the bounds."""
_SEPARATOR, _EXTRAS = "\0", "\1"
_THREAD = "<thread>"


class Frame(NamedTuple):
    """A function: its name, its file as it is shown, and its first line (0: unknown)."""

    name: str
    file: str
    line: int

    def __str__(self) -> str:
        place = f" ({self.file}:{self.line})" if self.line else f" ({self.file})" if self.file else ""
        return f"{self.name}{place}"


class Stacks:
    """The stacks of one thread during one profile."""

    def __init__(self) -> None:
        self.samples = 0
        self._frames: dict[str, int] = {}
        self._seconds: dict[tuple[int, ...], float] = {}

    def add(self, stack: list[str], seconds: float) -> None:
        """Count a sampled stack, outermost frame first, as pyinstrument describes frames."""
        self.samples += 1
        key = tuple(self._index(each) for each in stack[-MAX_DEPTH:] if _THREAD not in each)
        if key not in self._seconds and len(self._seconds) >= MAX_STACKS:
            key = (self._index(MORE),)
        self._seconds[key] = self._seconds.get(key, 0.0) + seconds

    def _index(self, described: str) -> int:
        identifier = described.partition(_EXTRAS)[0]
        known = self._frames.get(identifier)
        if known is None:
            if len(self._frames) >= MAX_FRAMES:
                identifier = MORE
            known = self._frames.setdefault(identifier, len(self._frames))
        return known

    def own(self) -> dict[Frame, float]:
        """Return the seconds in which each function was the innermost one."""
        frames, found = self._described(), dict[Frame, float]()
        for key, seconds in self._seconds.items():
            frame = frames[key[-1]] if key else Frame(MORE, "", 0)
            found[frame] = found.get(frame, 0.0) + seconds
        return found

    def _described(self) -> list[Frame]:
        return [_frame(identifier) for identifier in self._frames]

    def speedscope(self, name: str) -> tuple[list[Frame], dict[str, Any]]:
        """Return the frames, and a profile for speedscope that numbers them; what all stacks begin with is left out."""
        keys = list(self._seconds)
        columns = zip(*keys, strict=False)
        shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
        cut = max(0, min([shared - 1, *(len(key) - 1 for key in keys)]))
        weights = list(self._seconds.values())
        return self._described(), {
            "type": "sampled",
            "name": name,
            "unit": "seconds",
            "startValue": 0,
            "endValue": sum(weights),
            "samples": [list(key[cut:]) for key in keys],
            "weights": weights,
        }


def _frame(identifier: str) -> Frame:
    name, _, rest = identifier.partition(_SEPARATOR)
    file, _, line = rest.partition(_SEPARATOR)
    return Frame(_plain(name), _plain(_short(file)), int(line) if line.isdigit() else 0)


def _plain(text: str) -> str:
    """Return text that is printable and short."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[-MAX_TEXT:])


def _short(file: str) -> str:
    """Return a file's path from where it is imported, or its last part: not where this machine keeps it."""
    if file.startswith("<"):
        return file
    path = file.replace("\\", "/")
    places = (each.replace("\\", "/").rstrip("/") + "/" for each in sys.path if each)
    longest = max((each for each in places if path.startswith(each)), key=len, default="")
    return path.removeprefix(longest) if len(longest) > 1 else path.rpartition("/")[2]


def top(all_stacks: list[Stacks], seconds: float, most: int = 10) -> list[str]:
    """Return the functions with most time of their own as lines: share of the profile, seconds, function.

    Threads that ran beside each other add up to more than the whole.
    """
    own: dict[Frame, float] = {}
    for stacks in all_stacks:
        for frame, spent in stacks.own().items():
            own[frame] = own.get(frame, 0.0) + spent
    first = sorted(own.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [f"{spent / max(seconds, spent, 1e-9):.1%} {spent:.4g} s {frame}" for frame, spent in first]


def document(name: str, threads: list[Stacks]) -> dict[str, Any]:
    """Return a profile as speedscope reads it: one profile a thread, functions in common."""
    shared: dict[Frame, int] = {}
    profiles = []
    for number, stacks in enumerate(threads):
        frames, profile = stacks.speedscope("where it began" if number == 0 else f"thread {number}")
        places = [shared.setdefault(frame, len(shared)) for frame in frames]
        profile["samples"] = [[places[index] for index in sample] for sample in profile["samples"]]
        profiles.append(profile)
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": name,
        "exporter": "otelml",
        "activeProfileIndex": 0,
        "shared": {"frames": [{"name": f.name, "file": f.file, "line": f.line} for f in shared]},
        "profiles": profiles,
    }
