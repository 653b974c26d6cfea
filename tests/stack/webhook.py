"""A receiver of Alertmanager's webhooks: what reached it, in order."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webhook:
    """Listens on a free loopback port; ``told`` has (path, status, labels) of every alert in every message."""

    def __init__(self):
        self.told = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told.extend((self.path, each["status"], each["labels"]) for each in message["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def heard(self, path, status, **labels):
        """Say whether such an alert arrived."""
        return any((p, s) == (path, status) and labels.items() <= found.items() for p, s, found in self.told)
