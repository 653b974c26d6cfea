"""The HTTP session of the official OTLP exporters: gzip that costs little, and an ear for what the receiver says.

The exporters' own gzip is at level 9. At level 1 the requests are a little larger, for a fraction of the time.
"""

from __future__ import annotations

import netrc  # noqa: F401 - requests imports it in the first request: a child forked meanwhile would wait for it for ever
import zlib
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Callable

LEVEL = 1
_GZIP = 31
"""zlib's number for a gzip header and the largest window."""
_PROTOBUF = "application/x-protobuf"


class OtlpSession(requests.Session):
    """A session for one exporter: ``hear`` is given the body of every answer that accepts a request."""

    def __init__(self, hear: Callable[[bytes], None], *, gzip: bool) -> None:
        super().__init__()
        self._hear, self._gzip = hear, gzip

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request, compressed where that is asked for.

        Raises:
            requests.TooManyRedirects: The endpoint points elsewhere: the official client would take that for a success.
        """
        if self._gzip and isinstance(request.body, bytes) and "Content-Encoding" not in request.headers:
            request.prepare_body(zlib.compress(request.body, LEVEL, _GZIP), files=None)
            request.headers["Content-Encoding"] = "gzip"
        response = super().send(request, **options)
        if response.is_redirect:
            raise requests.TooManyRedirects(f"the endpoint answers {response.status_code}: moved elsewhere")
        if response.ok and response.headers.get("Content-Type", "").startswith(_PROTOBUF):
            self._hear(response.content)
        return response
