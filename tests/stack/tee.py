"""One load for two: whatever services send goes to the embedded viewer's receiver and to the stack's collector."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests


@contextmanager
def tee(*targets):
    """Serve OTLP/HTTP and pass every request on to each target: (endpoint, headers); give the address.

    The sender is answered when all have it, with the first answer that is not 200.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            about = {name: self.headers[name] for name in ("Content-Type", "Content-Encoding") if name in self.headers}
            answers = [passed_on(endpoint + self.path, body, about | headers) for endpoint, headers in targets]
            status = next((answer.status_code for answer in answers if not answer.ok), 200)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format, *args):  # noqa: A002 - the base class's name
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def passed_on(url, body, headers):
    """Send one request on; never through a proxy."""
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url, data=body, headers=headers, timeout=60)
