"""Real servers in threads of the tests: uvicorn, the standard library's for WSGI, one that keeps headers it gets."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from wsgiref.simple_server import WSGIRequestHandler, make_server


@contextmanager
def by_uvicorn(app, **options):
    """Serve an ASGI application on a free port; give its address."""
    uvicorn = import_module("uvicorn")  # not in every environment
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def by_wsgiref(app):
    """Serve a WSGI application; give its address."""
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server, _running(server):
        yield f"http://127.0.0.1:{server.server_port}"


class _Keeping(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Keep the headers; ``/moved`` redirects to ``/``, ``/503`` has no time."""
        self.server.got.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response({"/moved": 302, "/503": 503}.get(self.path, 200))
        if self.path == "/moved":
            self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def keeping_headers():
    """Give a server with its ``url`` and the headers that it ``got``, by name in lower case."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Keeping) as server, _running(server):
        server.got, server.url = [], f"http://127.0.0.1:{server.server_port}"
        yield server


@contextmanager
def _running(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(10)
