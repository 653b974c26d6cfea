"""Spans and events of many predictions of one shape as OTLP bytes: constant ones, with what differs filled in.

What differs has a fixed length (ids, times), so that numpy writes it for all predictions at once. The order of the
fields is that of ``encoding.span`` and ``encoding.log``, whose bytes these are.
"""

from __future__ import annotations

from functools import lru_cache
from time import time_ns
from typing import TYPE_CHECKING, TypeAlias

from otelml import _sdk, encoding, semconv
from otelml._lazy import LazyModule
from otelml.encoding import NO_STATUS, varint

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from otelml.columns import Columns
    from otelml.series import StageName
else:
    np = LazyModule("numpy")

TRACE, ID, TIME = 16, 8, 8
_SPAN_IDS = (b"\x0a\x10", TRACE, b"\x12\x08", ID)


class Template:
    """Messages of one length: each of ``parts`` is constant bytes, or the number of bytes that differ."""

    def __init__(self, parts: Sequence[bytes | int]) -> None:
        sizes = [part if isinstance(part, int) else len(part) for part in parts]
        places = [slice(sum(sizes[:i]), sum(sizes[: i + 1])) for i in range(len(sizes))]
        self._holes = [place for place, part in zip(places, parts, strict=True) if isinstance(part, int)]
        self._blank = np.frombuffer(b"".join(bytes(p) if isinstance(p, int) else p for p in parts), np.uint8)
        self.size = self._blank.size

    def fill(self, *columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the messages, of shape (n, size); each column is of shape (n, bytes of its hole)."""
        made = np.empty((len(columns[0]), self.size), np.uint8)
        made[:] = self._blank
        for hole, column in zip(self._holes, columns, strict=True):
            made[:, hole] = column
        return made


@lru_cache(256)
def _root(name: str, *, below: bool) -> Template:
    parent = (b"\x22\x08", ID) if below else ()
    return Template((*_SPAN_IDS, *parent, encoding.name_field(name) + b"\x39", TIME, b"\x41", TIME))


@lru_cache(256)
def _stages(names: tuple[StageName, ...]) -> Template:
    parts: list[bytes | int] = []
    for stage in names:
        end = encoding.of_span(stage.attributes) + NO_STATUS + encoding.HAS_REMOTE
        name = encoding.name_field(stage.name) + b"\x39"
        one = (*_SPAN_IDS, b"\x22\x08", ID, name, TIME, b"\x41", TIME, end)
        length = sum(part if isinstance(part, int) else len(part) for part in one)
        parts += (b"\x12" + varint(length), *one)
    return Template(parts)


@lru_cache(16)
def _origin(flags: int) -> Template:
    name = encoding.event_name_field(semconv.EVENT_PREDICTION.name)
    return Template((b"\x45" + flags.to_bytes(4, "little") + b"\x4a\x10", TRACE, b"\x52\x08", ID, b"\x59", TIME, name))


def spans(columns: Columns, attributes: tuple[Column, Column]) -> tuple[list[bytes], NDArray[np.uint8]]:
    """Return the spans of n predictions, and those of their stages, of shape (n, bytes), each with tag and length."""
    p = columns.predictions[0]
    trace, own = columns.ids()
    above = () if p.parent is None else (columns.parent_ids(),)
    template = _root(p.span_name, below=p.parent is not None)
    started, ended = columns.started + columns.offset, columns.ended + columns.offset
    heads = template.fill(trace, own, *above, _little(started), _little(ended)).tobytes()
    end = NO_STATUS + (encoding.IS_REMOTE if p.parent is not None and p.parent.is_remote else encoding.HAS_REMOTE)
    roots = framed(b"\x12", len(columns.predictions), (heads, template.size), *attributes, end)
    return roots, _stage_spans(columns, trace, own)


def _stage_spans(columns: Columns, trace: NDArray[np.uint8], own: NDArray[np.uint8]) -> NDArray[np.uint8]:
    k = len(columns.names)
    if not k:
        return np.empty((len(columns.predictions), 0), np.uint8)
    ids = columns.stage_ids()
    offset = columns.offset[:, None]
    started = _little(columns.stage_started + offset).reshape(-1, k, TIME)
    ended = _little(columns.stage_ended + offset).reshape(-1, k, TIME)
    each = [column for i in range(k) for column in (trace, ids[:, i], own, started[:, i], ended[:, i])]
    return _stages(columns.names).fill(*each)


def events(columns: Columns, attributes: tuple[Column, Column], said: Sequence[str]) -> list[bytes]:
    """Return the events of predictions that did not fail, each with tag and length; ``said`` are their texts."""
    trace, own = columns.ids()
    observed = np.full(len(said), time_ns())
    template = _origin(int(columns.predictions[0].flags))
    tails = template.fill(trace, own, _little(observed)).tobytes()
    times = _little(columns.ended + columns.offset).tobytes()
    bodies = framed(b"\x2a", len(said), framed(b"\x0a", len(said), [text.encode() for text in said]))
    parts = (b"\x09", (times, TIME), encoding.severity_field(9, "INFO"), bodies, *attributes)
    return framed(b"\x12", len(said), *parts, (tails, template.size))


Column: TypeAlias = "bytes | list[bytes] | tuple[bytes, int]"
"""Parts of one place in many messages: the same in all, one each, or so many bytes of one text each."""


def framed(tag: bytes, n: int, *columns: Column) -> list[bytes]:
    """Return n messages of parts, each with ``tag`` and its length."""
    whole = (b"".join(parts) for parts in zip(*[_parts(column, n) for column in columns], strict=True))
    return [encoding.sized(tag, message) for message in whole]


def _parts(column: Column, n: int) -> Sequence[bytes]:
    if isinstance(column, bytes):
        return [column] * n
    if isinstance(column, list):
        return column
    data, size = column
    return [data[i * size : i * size + size] for i in range(n)]


if _sdk.native is not None:
    framed = _sdk.native.framed


def _little(times: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return times as bytes, the lowest first, of shape (n, 8)."""
    return np.ascontiguousarray(times, "<i8").view(np.uint8).reshape(-1, TIME)
