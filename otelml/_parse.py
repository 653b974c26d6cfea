"""Parsers of settings: text from the environment, or native YAML and Python values, to the type of the setting.

Each raises ValueError with what was expected; the caller adds the name of the setting and the bad value.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

T = TypeVar("T")
Parser = Callable[[object], T]

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MAX_PORT = 65535
_WHEN = re.compile(r"(?i)[smhd]|w[0-6]|midnight")


def did_you_mean(word: str, words: object) -> str:
    """Return ``"; did you mean 'x'?"``, or nothing when no known word is near."""
    import difflib  # noqa: PLC0415 - only needed when something is wrong

    near = difflib.get_close_matches(word, [str(known) for known in words], n=1)  # type: ignore[attr-defined]
    return f"; did you mean {near[0]!r}?" if near else ""


def text(value: object) -> str:
    """Accept any single-line text."""
    if isinstance(value, (Mapping, list, tuple)):
        raise ValueError("must be text")  # noqa: TRY004 - a bad value, whatever its type, is one kind of fault
    return str(value).strip()


def boolean(value: object) -> bool:
    """Accept true or false, 1 or 0, yes or no, on or off."""
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("must be true or false")


def number(low: float, high: float, unit: str = "") -> Parser[float]:
    """Accept a finite number from ``low`` to ``high``."""

    def parse(value: object) -> float:
        expected = f"must be a number{unit and ' of '}{unit} from {low:g} to {high:g}"
        try:
            parsed = float(str(value))
        except ValueError:
            raise ValueError(expected) from None
        if isinstance(value, bool) or math.isnan(parsed) or not low <= parsed <= high:
            raise ValueError(expected)
        return parsed

    return parse


def integer(low: int, high: int, unit: str = "") -> Parser[int]:
    """Accept a whole number from ``low`` to ``high``."""

    def parse(value: object) -> int:
        expected = f"must be a whole number{unit and ' of '}{unit} from {low} to {high}"
        try:
            parsed = int(str(value))
        except ValueError:
            raise ValueError(expected) from None
        if not low <= parsed <= high:
            raise ValueError(expected)
        return parsed

    return parse


def choice(*words: str, also: Callable[[str], bool] | None = None) -> Parser[str]:
    """Accept one of ``words``, in any case, or a word for which ``also`` is true."""

    def parse(value: object) -> str:
        word = str(value).strip()
        if word.lower() in words:
            return word.lower()
        if also is not None and also(word):
            return word
        raise ValueError(f"must be one of {', '.join(words)}{did_you_mean(word.lower(), words)}")

    return parse


def listed(item: Parser[T]) -> Parser[tuple[T, ...]]:
    """Accept comma separated items, or a list."""

    def parse(value: object) -> tuple[T, ...]:
        items = value if isinstance(value, (list, tuple, set, frozenset)) else str(value).split(",")
        return tuple(dict.fromkeys(item(one) for one in items if str(one).strip()))

    return parse


def exporters(*words: str, group: str) -> Parser[tuple[str, ...]]:
    """Accept comma separated exporters: ``words``, ``none`` on its own, or an installed entry point of ``group``."""
    parse_list = listed(choice(*words, "none", also=lambda word: installed(group, word)))

    def parse(value: object) -> tuple[str, ...]:
        names = parse_list(value)
        if "none" in names and len(names) > 1:
            raise ValueError("'none' cannot be combined with other exporters")
        return tuple(name for name in names if name != "none")

    return parse


def installed(group: str, name: str) -> bool:
    """Tell whether an installed package registers ``name`` in the entry-point ``group``."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - reads every package's metadata; rarely needed

    return bool(entry_points(group=group, name=name))


def pairs(value: object) -> dict[str, str]:
    """Accept ``key=value,key=value`` with percent-encoded values, or a mapping."""
    if isinstance(value, Mapping):
        return {str(key): str(item) for key, item in value.items()}
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in str(value).split(","))):
        key, separator, item = part.partition("=")
        if not separator or not key.strip():
            raise ValueError("must read key=value,key=value")
        found[key.strip()] = unquote(item.strip())
    return found


def headers(value: object) -> dict[str, str]:
    """Accept HTTP headers as ``name=value,name=value``; names are lowered."""
    found = {key.lower(): item for key, item in pairs(value).items()}
    if not all(_HEADER_NAME.fullmatch(name) for name in found) or any(
        "\n" in item or "\r" in item for item in found.values()
    ):
        raise ValueError("must read name=value,name=value with valid header names and single-line values")
    return found


def url(value: object) -> str:
    """Accept an http or https URL with a host."""
    address = str(value).strip()
    try:
        parts = urlsplit(address)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("must be a URL such as http://localhost:4318")
    return address


def readable(value: object) -> str:
    """Accept the path of a file that this process can read."""
    path = Path(str(value).strip()).expanduser()
    try:
        with path.open("rb"):
            return str(path)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None


def writable(value: object) -> str:
    """Accept the path of a file that this process can write or create; the file is left as it is."""
    path = Path(str(value).strip()).expanduser().absolute()
    if path.is_dir():
        raise ValueError("must be a file; it is a directory")
    if not path.parent.is_dir():
        raise ValueError(f"cannot be written: there is no directory {str(path.parent)!r}; create it")
    try:
        # Opening says more than the permission bits: root, read-only mounts and full tables of files included.
        with path.open("ab") if path.exists() else tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(f"cannot be written: {(error.strerror or 'it failed').lower()}") from None
    return str(path)


def rotation(value: object) -> str:
    """Accept when a log file rolls over: S, M, H, D, W0 to W6 or midnight."""
    word = str(value).strip()
    if not _WHEN.fullmatch(word):
        raise ValueError("must be one of S, M, H, D, W0 to W6, midnight")
    return word.lower() if word.lower() == "midnight" else word.upper()


def buckets(value: object) -> dict[str, tuple[float, ...]]:
    """Accept ``metric=0.1,0.5;metric=1,2`` or a mapping of metric to rising, finite bounds."""
    if not isinstance(value, Mapping):
        parts = [part.partition("=") for part in str(value).split(";") if part.strip()]
        value = {name: bounds.split(",") for name, _, bounds in parts}
    return {str(name).strip(): _bounds(bounds) for name, bounds in value.items()}


def _bounds(values: object) -> tuple[float, ...]:
    expected = "must read metric=0.1,0.5;metric=1,2 with rising, finite bounds"
    try:
        bounds = tuple(float(bound) for bound in values)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise ValueError(expected) from None
    if not bounds or not all(map(math.isfinite, bounds)) or list(bounds) != sorted(set(bounds)):
        raise ValueError(expected)
    return bounds


port = integer(0, _MAX_PORT)
