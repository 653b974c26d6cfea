"""One batch: an OTLP request in a file, with a line before it that says what it is and how to tell that it is whole.

The file's name alone says how old and how large a batch is and what it holds, so that nothing has to be opened to list
them: ``{ns since the epoch}-{number}-{signal}-{items}-{bytes}.otlp``.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otelml.spool.folders import Folder

SUFFIX = ".otlp"
WHAT = {"traces": "span", "metrics": "metric", "logs": "log"}
BLOCK = 4096
"""Bytes that a file takes on the disk at least, and a multiple of which it takes."""
_NAME = re.compile(r"(\d{20})-(\d{6,})-(traces|metrics|logs)-(\d+)-(\d+)\.otlp")
_FORMAT = b"otelml-spool-1"
_PACKED = "deflate"
_LEVEL = 1


class TornError(Exception):
    """A file that does not hold what was written."""


@dataclass(slots=True, eq=False)
class Batch:
    """A request that has not been acknowledged yet.

    ``size`` is what its file takes on the disk, in bytes; ``made`` is when, in ns since the epoch.
    """

    signal: str
    items: int
    made: int
    size: int = 0
    folder: Folder | None = None
    name: str = ""
    """Its file in the folder; without a folder it is in memory only."""
    data: bytes | None = None
    """The request itself, while it is kept in memory."""
    held: int = 0
    """Bytes of it that count as memory."""
    adopted: bool = False
    """Another process made it."""
    gone: bool = False
    """It was deleted to make room, or because it is too old."""
    busy: bool = False
    """It is being sent."""
    tries: int = 0
    due: float = 0.0
    """Not to be tried again before, in seconds of the monotonic clock."""


def encoded(signal: str, items: int, made: int, request: bytes, *, packed: bool) -> bytes:
    """Return what a file holds; ``packed`` compresses the request."""
    body = zlib.compress(request, _LEVEL) if packed else request
    header = {
        "signal": signal,
        "items": items,
        "time_unix_nano": made,
        "encoding": _PACKED if packed else "identity",
        "size": len(body),
    }
    line = json.dumps(header).encode()
    return b"%b %08x %b\n%b" % (_FORMAT, zlib.crc32(body, zlib.crc32(line)), line, body)


def decoded(content: bytes) -> bytes:
    """Return the request in a file.

    Raises:
        TornError: It is not whole, or not ours.
    """
    head, newline, body = content.partition(b"\n")
    try:
        known, checksum, line = head.split(b" ", 2)
        whole = newline and known == _FORMAT and checksum == b"%08x" % zlib.crc32(body, zlib.crc32(line))
        if not whole or json.loads(line)["size"] != len(body):
            raise TornError("not what was written")
        return zlib.decompress(body) if json.loads(line)["encoding"] == _PACKED else body
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise TornError("not what was written") from error


def file_name(signal: str, items: int, made: int, number: int, size: int) -> str:
    """Return the name of a batch's file; ``number`` tells those of one process apart."""
    return f"{made:020d}-{number:06d}-{signal}-{items}-{size}{SUFFIX}"


def of_name(name: str, folder: Folder | None = None) -> Batch | None:
    """Return the batch that a file holds, by its name; None where it is another file."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    made, _, signal, items, size = match.groups()
    return Batch(signal, int(items), int(made), on_disk(int(size)), folder, name)


def on_disk(size: int) -> int:
    """Return the bytes that a file of ``size`` takes."""
    return -(-size // BLOCK) * BLOCK
