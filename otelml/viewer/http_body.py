"""The body of an HTTP request: framed by length or chunks, gzip or deflate, never larger than the limit."""

from __future__ import annotations

import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from email.message import Message

MAX_BYTES = 16 * 1024 * 1024
"""Limit of a request, as sent and as decompressed."""
_MAX_LINE = 1024
_MOST_MEMBERS, _MOST_TRAILERS = 64, 64
_ENCODINGS = ("gzip", "deflate")


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
    if encoding not in _ENCODINGS:
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding must be gzip, deflate or identity")
    try:
        return _inflated(body, _windows(encoding, body))
    except zlib.error as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the body is not {encoding}") from error


def _windows(encoding: str, body: bytes) -> int:
    """Return zlib's ``wbits``. What HTTP calls deflate is zlib's format; some senders leave its header out."""
    if encoding != "deflate":
        return zlib.MAX_WBITS | 16
    has_header = len(body) > 1 and body[0] & 15 == zlib.DEFLATED and int.from_bytes(body[:2], "big") % 31 == 0
    return zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS


def _inflated(body: bytes, window: int) -> bytes:
    plain = b""
    for _ in range(_MOST_MEMBERS):  # a gzip file may hold several members, one after the other
        machine = zlib.decompressobj(window)
        plain += machine.decompress(body, MAX_BYTES + 1 - len(plain))
        if len(plain) > MAX_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_BYTES} bytes once decompressed")
        if not machine.eof:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the compressed body ends too early")
        body = machine.unused_data  # a copy of all that is left: many small members would cost its square
        if not body:
            return plain
    raise RefusedError(HTTPStatus.BAD_REQUEST, f"the compressed body has more than {_MOST_MEMBERS} members")


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
    for _ in range(_MOST_TRAILERS):  # they say nothing we need
        if stream.readline(_MAX_LINE) in (b"\r\n", b"\n", b""):
            return b"".join(parts)
    raise _bad_chunk()


def _chunk_size(stream: BinaryIO) -> int:
    digits = stream.readline(_MAX_LINE).split(b";")[0].strip()
    if not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise _bad_chunk()
    return int(digits, 16)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    body = stream.read(size)
    if len(body) < size:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the body ends too early", unread=True)
    return body


def _bad_chunk() -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, "the chunked body is malformed", unread=True)


def _too_large() -> RefusedError:
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_BYTES} bytes", unread=True)
