"""The page and its JSON API over HTTP, on loopback unless told otherwise: GET and HEAD only."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlsplit

from otelml._guard import attempt
from otelml.errors import OtelmlError
from otelml.viewer.access import HEADERS, Access, Refusal
from otelml.viewer.api.parameters import BadRequestError, NotFoundError
from otelml.viewer.api.routes import ROUTES, Stored
from otelml.viewer.connections import ConnectionServer
from otelml.viewer.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otelml.viewer.api.routes import Answers

DIST = Path(__file__).parent / "web" / "dist"
PAGES = frozenset(
    {"", "model", "compare", "traces", "trace", "compare-traces", "logs", "metrics", "metric", "slos", "health"}
)
"""First parts of the paths that show the page; it finds its way from there by itself."""
MOST_CONNECTIONS = 64
LONGEST_QUERY = 16_384
_IDLE = 60.0
_SMALL = 1024
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".map": "application/json",
}
_HTML, _JSON, _CSV = _TYPES[".html"], "application/json", "text/csv; charset=utf-8"

_AGAIN = "try again; if it stays, restart otelml view"
_REPORT = "the terminal has the details; please report it"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class File:
    """A file of the page, in memory."""

    body: bytes
    packed: bytes
    kind: str
    tag: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out."""

    status: HTTPStatus
    kind: str
    body: bytes
    packed: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def files(folder: Path = DIST) -> dict[str, File]:
    """Return the files of the built page by their path; only these are ever served."""
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file() and path.suffix in _TYPES:
            body = path.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
            found[path.relative_to(folder).as_posix()] = File(body, gzip.compress(body, 6), _TYPES[path.suffix], tag)
    return found


class PageServer(ConnectionServer):
    """Serves the page of a store, a thread per connection, from its making to ``close()``.

    Args:
        shown: What is shown: a store, or what else answers.
        access: Who may look.
        address: Host and port; port 0 takes a free one. OSError when the port is taken.
        otlp: Where to send telemetry, by protocol (``http``, ``grpc``), for the page that has no data yet.
    """

    def __init__(
        self,
        shown: Store | Answers,
        access: Access,
        address: tuple[str, int],
        otlp: Mapping[str, str | None] | None = None,
    ) -> None:
        self.answers: Answers = Stored(shown) if isinstance(shown, Store) else shown
        self.access, self.otlp = access, dict(otlp or {})
        self.host, self.files = address[0], files()
        super().__init__(address, _Handler, "otelml-view")

    @property
    def cookie(self) -> str:
        """Return the name of the session's cookie: cookies know no ports."""
        return f"otelml_view_{self.port}"

    @property
    def url(self) -> str:
        """Return the page's address; an unspecified one (0.0.0.0) as loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def link(self) -> str:
        """Return a link that opens the page once."""
        return f"{self.url}?token={self.access.new_link()}"

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the base class's signature
        """Return whether there is room for one more connection."""
        with self.lock:
            return len(self.connections) < MOST_CONNECTIONS


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer leave in one segment
    timeout = _IDLE

    def do_GET(self) -> None:
        self._send(self._answer())

    do_HEAD = do_GET  # noqa: N815 - the base class's name

    def _other(self) -> None:
        self.close_connection = True  # its body stays unread
        self._send(_refused(Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"{self.command} is not served", "use GET")))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _other  # noqa: N815 - the same

    def _answer(self) -> Answer:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return _refused(Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a GET has no body here", "send none"))
        if len(self.path) > LONGEST_QUERY:
            message = f"the address has more than {LONGEST_QUERY} characters"
            return _refused(Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, message, "search for less"))
        page = self._page
        foreign = page.access.foreign(self.headers)
        if foreign is not None:
            return _refused(foreign)
        parts = urlsplit(self.path)
        if parts.path.startswith("/api/"):
            return self._api(parts.path.removeprefix("/api/"), parts.query)
        folder, _, asset = parts.path.removeprefix("/").partition("/")
        if folder == "assets" and asset in page.files:
            return self._file(page.files[asset])
        return self._shown(parts.path, parts.query)

    def _shown(self, path: str, query: str) -> Answer:
        """Return the page itself, or the way in."""
        page = self._page
        if path.strip("/").partition("/")[0] not in PAGES:
            return _refused(Refusal(HTTPStatus.NOT_FOUND, "there is no such page", "begin at /"))
        given = dict(parse_qsl(query))
        if "token" in given:
            session = (
                page.access.redeem(given["token"]) if self.command == "GET" else None
            )  # what only looks, uses none
            if session is not None:
                cookie = f"{page.cookie}={session}; HttpOnly; SameSite=Strict; Path=/"
                headers = {"Location": _without_token(path, query), "Set-Cookie": cookie}
                return Answer(HTTPStatus.SEE_OTHER, _HTML, b"", headers=headers)
        elif page.access.linked_from_elsewhere(self.headers) or page.access.allowed(self.headers, page.cookie):
            index = page.files.get("index.html")
            return self._file(index) if index is not None else Answer(HTTPStatus.OK, _HTML, _NOT_BUILT)
        return Answer(HTTPStatus.UNAUTHORIZED, _HTML, _NO_ENTRY)

    def _file(self, file: File) -> Answer:
        if self.headers.get("If-None-Match") == file.tag:
            return Answer(HTTPStatus.NOT_MODIFIED, file.kind, b"", headers={"ETag": file.tag})
        return Answer(HTTPStatus.OK, file.kind, file.body, file.packed, {"ETag": file.tag, "Cache-Control": "no-cache"})

    def _api(self, name: str, query: str) -> Answer:
        page = self._page
        if not page.access.allowed(self.headers, page.cookie):
            fix = "open the link that the terminal shows, or a new one: otelml view --url"
            return _refused(Refusal(HTTPStatus.UNAUTHORIZED, "you are not signed in", fix))
        given = dict(parse_qsl(query, keep_blank_values=True))
        found: dict[str, Any] | str | None
        if name == "version":
            found, error = attempt(page.answers.version, page.otlp)
        elif name == "link":
            return _json(HTTPStatus.OK, {"url": page.link()})
        elif name in ROUTES:
            found, error = attempt(page.answers.answer, name, given)
        else:
            known = ", ".join(["version", *ROUTES])
            return _refused(Refusal(HTTPStatus.NOT_FOUND, f"there is no /api/{name[:100]}", f"there are {known}"))
        if error is not None:
            return _failed(error)
        if isinstance(found, str):
            headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
            return Answer(HTTPStatus.OK, _CSV, found.encode(), headers=headers)
        return _json(HTTPStatus.OK, found)

    def _send(self, sent: Answer) -> None:
        body, packed = sent.body, sent.packed
        headers = {"Cache-Control": "no-store", **HEADERS, **sent.headers, "Content-Type": sent.kind}
        if len(body) > _SMALL and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = packed or gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        if sent.status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET, HEAD"
        if self.close_connection:
            headers["Connection"] = "close"
        self.send_response(sent.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Vary", "Accept-Encoding")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and sent.status is not HTTPStatus.NOT_MODIFIED:
            self.wfile.write(body)

    @property
    def _page(self) -> PageServer:
        return cast("PageServer", self.server)

    def version_string(self) -> str:
        """Name the server in answers, without the versions of Python and the library."""
        return "otelml"

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - the base class's signature
        """Answer what could not be read as a request."""
        self.close_connection = True
        if not hasattr(self, "headers"):
            self.headers = cast("Any", {})
        self.command = getattr(self, "command", None) or "GET"
        self.request_version = "HTTP/1.1"  # of what could not be read it is 0.9, whose answers have no head
        self._send(_refused(Refusal(HTTPStatus(code), message or HTTPStatus(code).phrase, "send HTTP/1.1")))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay quiet: the terminal belongs to the user, and addresses hold tokens."""


def _json(status: HTTPStatus, value: Any) -> Answer:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Answer(status, _JSON, text.encode("utf-8", "replace"))


def _refused(refusal: Refusal) -> Answer:
    return _json(refusal.status, {"error": {"message": refusal.message, "fix": refusal.fix}})


def _failed(error: Exception) -> Answer:
    """Return the answer to a request that could not be answered."""
    if isinstance(error, BadRequestError):
        faults = {"message": str(error), "fix": error.fix, "faults": list(error.faults)}
        return _json(HTTPStatus.BAD_REQUEST, {"error": faults})
    if isinstance(error, NotFoundError):
        return _refused(Refusal(HTTPStatus.NOT_FOUND, str(error), error.fix))
    if isinstance(error, OtelmlError):
        return _refused(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error), getattr(error, "fix", _AGAIN)))
    logger.warning("the viewer could not answer", exc_info=error)
    message = f"the viewer failed: {type(error).__name__}"
    return _refused(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, message, _REPORT))


def _without_token(path: str, query: str) -> str:
    """Return the same page without its token; a path that would lead to another host begins anew."""
    rest = "&".join(part for part in query.split("&") if part and not part.startswith("token="))
    path = "/" + path.lstrip("/\\")
    return f"{path}?{rest}" if rest else path


def _plain(title: str, text: str) -> bytes:
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    return f"{head}<h1>{title}</h1><p>{text}</p></html>".encode()


_NO_ENTRY = _plain(
    "otelml view: this link does not let you in",
    "A link works once. Open the one that the terminal shows, or get a new one:"
    " <code>otelml view --url</code>. Then this browser stays signed in until the viewer ends.",
)
_NOT_BUILT = _plain(
    "otelml view: the page is not built", "In a checkout: <code>scripts/build-viewer</code>. The API is at /api/."
)
