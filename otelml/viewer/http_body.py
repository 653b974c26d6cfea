"""The body of an HTTP request: framed by length or chunks, gzip or deflate, never larger than the limit."""

from __future__ import annotations

import zlib
from email.message import Message
from http import HTTPStatus
from typing import BinaryIO

MAX_BYTES = 16 * 1024 * 1024
"""Limit of a request, as sent and as decompressed."""
_MAX_LINE = 1024
_WINDOWS = {"gzip": 31, "deflate": 47, "x-gzip": 31}  # zlib's wbits; 47 finds the header by itself


class RefusedError(Exception):
    """A request that gets an error status instead of being stored.

    Args:
        status: HTTP status of the answer.
        message: What is wrong, for the sender's log.
        unread: The body was not read to its end: the connection can't be used again.
    """

    def __init__(self, status: HTTPStatus, message: str, *, unread: bool = False) -> None:
        self.status = status
        self.unread = unread
        super().__init__(message)


def read_body(headers: Message, stream: BinaryIO) -> bytes:
    """Return the request's body as it was sent, before decompression."""
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        return _chunked(stream)
    length = headers.get("Content-Length")
    if length is None:
        raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing", unread=True)
    if not (length.isascii() and length.isdigit()):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "Content-Length is not a number", unread=True)
    if len(length) > 18 or int(length) > MAX_BYTES:  # noqa: PLR2004 - no sense in reading a number that long
        raise _too_large()
    return _exactly(stream, int(length))


def decompressed(encoding: str, body: bytes) -> bytes:
    """Return the body after undoing its Content-Encoding."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _WINDOWS:
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding must be gzip, deflate or identity")
    try:
        plain = _inflated(body, _WINDOWS[encoding])
        return _inflated(body, -zlib.MAX_WBITS) if plain is None else plain
    except zlib.error as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the body is not {encoding}") from error


def _inflated(body: bytes, window: int) -> bytes:
    machine = zlib.decompressobj(window)
    plain = machine.decompress(body, MAX_BYTES + 1)
    if len(plain) > MAX_BYTES:
        raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_BYTES} bytes once decompressed")
    if not machine.eof:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the compressed body ends too early")
    return plain


def _chunked(stream: BinaryIO) -> bytes:
    parts: list[bytes] = []
    total = 0
    while size := _chunk_size(stream):
        total += size
        if total > MAX_BYTES:
            raise _too_large()
        parts.append(_exactly(stream, size))
        if stream.readline(_MAX_LINE) not in (b"\r\n", b"\n"):
            raise _bad_chunk()
    while stream.readline(_MAX_LINE) not in (b"\r\n", b"\n", b""):
        pass  # trailers say nothing we need
    return b"".join(parts)


def _chunk_size(stream: BinaryIO) -> int:
    digits = stream.readline(_MAX_LINE).split(b";")[0].strip()
    try:
        return int(digits, 16)
    except ValueError:
        raise _bad_chunk() from None


def _exactly(stream: BinaryIO, size: int) -> bytes:
    body = stream.read(size)
    if len(body) < size:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the body ends too early", unread=True)
    return body


def _bad_chunk() -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, "the chunked body is malformed", unread=True)


def _too_large() -> RefusedError:
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_BYTES} bytes", unread=True)
