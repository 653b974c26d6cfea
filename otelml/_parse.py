"""Parsers of settings: text from the environment, or native YAML and Python values, to the type of the setting.

Each raises ValueError with what was expected; the caller adds the name of the setting and the bad value.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

T = TypeVar("T")
Parser = Callable[[object], T]

_LONGEST_WORD = 100
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MAX_PORT = 65535
_NAMED = re.compile(r"[^=/\\.,]+=")
_WHEN = re.compile(r"(?i)[smhd]|w[0-6]|midnight")


def did_you_mean(word: str, words: object) -> str:
    """Return ``"; did you mean 'x'?"``, or nothing when no known word is near."""
    import difflib  # noqa: PLC0415 - only needed when something is wrong

    near = difflib.get_close_matches(word[:_LONGEST_WORD], [str(known) for known in words], n=1)  # type: ignore[attr-defined]
    return f"; did you mean {near[0]!r}?" if near else ""


def shown(value: object) -> str:
    """Return the beginning of a value's text for a message; the name of its class where it has none."""
    if issubclass(type(value), (Mapping, list, tuple, set, frozenset)):  # not isinstance(), which asks the value
        return type(value).__name__
    from otelml._text import plain  # noqa: PLC0415 - only needed when something is wrong

    return plain(value)[:1000]


def is_unset(value: object) -> bool:
    """Return whether a value says nothing: None, or a text of no characters; never asks the value itself."""
    return value is None or (issubclass(type(value), str) and not str.__len__(value))  # type: ignore[arg-type]


def text(value: object) -> str:
    """Accept any text that UTF-8 can hold."""
    if isinstance(value, (Mapping, list, tuple)):
        raise ValueError("must be text")  # noqa: TRY004 - a bad value, whatever its type, is one kind of fault
    return str(value).strip().encode("utf-8", "replace").decode()


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


def share(value: object) -> float:
    """Accept a share from 0 to 1, such as 0.001 or 1/1000."""
    above, slash, below = str(value).partition("/")
    if not slash:
        return number(0, 1)(value)
    try:
        found = float(above) / float(below)
    except (ValueError, ZeroDivisionError):
        found = math.nan
    if not 0 <= found <= 1:
        raise ValueError("must be a number from 0 to 1, such as 0.001 or 1/1000")
    return found


_TOKEN = re.compile(r"[!-~]{16,256}")


def token(value: object) -> str:
    """Accept a secret that is hard to guess, as a header can hold it."""
    if not _TOKEN.fullmatch(str(value)):
        raise ValueError("must be 16 to 256 visible ASCII characters without spaces")
    return str(value)


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


_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def names(most: int) -> Parser[tuple[str, ...]]:
    """Accept at most so many names of lower-case letters, digits and underscores, comma separated."""
    parse_list = listed(text)

    def parse(value: object) -> tuple[str, ...]:
        found = parse_list(value)
        if len(found) > most or not all(map(_NAME.fullmatch, found)):
            raise ValueError(f"must be at most {most} names such as carrier or home_region, comma separated")
        return found

    return parse


def limits(*figures: str) -> Parser[dict[str, float]]:
    """Accept ``figure=number,model:figure=number`` or a mapping; numbers from 0 on."""

    def parse(value: object) -> dict[str, float]:
        given = value
        if not isinstance(given, Mapping):
            given = dict(part.rsplit("=", 1) for part in str(given).split(",") if "=" in part)
            if len(given) != len([part for part in str(value).split(",") if part.strip()]):
                raise ValueError(_LIMITS.format(", ".join(figures)))
        found = {str(key).strip(): number(0, math.inf)(limit) for key, limit in given.items()}
        for key in found:
            figure = key.rpartition(":")[2]
            if figure not in figures:
                raise ValueError(_LIMITS.format(", ".join(figures)) + did_you_mean(figure, figures))
        return found

    return parse


_LIMITS = "must read figure=number,model:figure=number with figures of {}"


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
    path = _path(value)
    try:
        # A pipe without a writer would hold up the start for ever, and a device may have no end.
        if not (path.is_file() or str(path) == os.devnull) and path.exists():
            raise ValueError("cannot be read: it is no regular file")
        with path.open("rb"):
            return str(path)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None


def _path(value: object) -> Path:
    """Return a path with the home directory in place of ``~``."""
    words = str(value).strip()
    if "\0" in words:
        raise ValueError("must be a path; it holds a NUL")
    try:
        return Path(words).expanduser()
    except RuntimeError as error:  # nobody of that name
        raise ValueError(f"must be a path: {str(error).lower()}") from None


def files(check: Callable[[str], None]) -> Parser[dict[str, str]]:
    """Accept ``path``, or ``name=path,name=path``, or a mapping, of files that ``check`` raises no ValueError for."""

    def parse(value: object) -> dict[str, str]:
        words = str(value).strip()
        # A path may hold "=" itself.
        named = value if isinstance(value, Mapping) else pairs(words) if _NAMED.match(words) else {"": words}
        found = {str(name).strip(): readable(path) for name, path in named.items()}
        for path in found.values():
            check(path)
        return found

    return parse


def reference(path: str) -> None:
    """Raise ValueError with every fault of a file that is no reference of features, or one too large to watch."""
    from otelml.drift import InvalidReferenceError, Reference  # noqa: PLC0415 - numpy, only where drift is watched
    from otelml.features.counting import faults  # noqa: PLC0415 - the same

    try:
        wrong = list(faults(Reference.load(path)))
    except InvalidReferenceError as error:
        wrong = error.faults
    if wrong:
        raise ValueError(f"{path}: {'; '.join(wrong)}")


def writable(value: object) -> str:
    """Accept the path of a file that this process can write or create; the file is left as it is."""
    path = _path(value).absolute()
    try:
        if path.is_dir():
            raise ValueError("must be a file; it is a directory")
        if not path.parent.is_dir():
            raise ValueError(f"cannot be written: there is no directory {str(path.parent)[:200]!r}; create it")
        # Opening says more than the permission bits: root, read-only mounts and full tables of files included.
        # Without waiting: a pipe that nobody reads says so.
        with open(path, "ab", opener=_at_once) if path.exists() else tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(f"cannot be written: {(error.strerror or 'it failed').lower()}") from None
    return str(path)


def directory(value: object) -> str:
    """Accept the path of a directory that this process can write to, or can make; it is left as it is."""
    path = Path(str(value).strip()).expanduser().absolute()
    if os.name != "posix":
        raise ValueError("works on POSIX systems only")
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        raise ValueError(f"must be a directory; {str(there)!r} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"cannot be written: no right to write to {str(there)!r}")
    return str(path)


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o600)


def database(value: object) -> str:
    """Accept the path of an SQLite file, ``sqlite:///path``, or a ``postgresql://`` URL."""
    address = str(value).strip()
    scheme, separator, rest = address.partition("://")
    if not separator:
        return str(_path(address).absolute())
    if scheme == "sqlite" and rest.startswith("/") and rest != "/":
        return str(_path(rest[1:]).absolute())
    if scheme.partition("+")[0] in {"postgresql", "postgres"} and urlsplit(address).path.strip("/"):
        return address
    raise ValueError("must be a file, sqlite:///file or postgresql://user:password@host/database")


_PASSWORD = re.compile(r"(?<=://)([^/@\s]*?):[^/\s]*@")


def without_password(text: str) -> str:
    """Return text in which URLs show ``***`` instead of a password."""
    return _PASSWORD.sub(r"\1:***@", text)


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
