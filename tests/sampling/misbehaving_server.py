"""A small server of OpenAI's API that fails on demand, and tells how it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = "<think> 2 + 2 </think> <answer> 4 </answer>"


class MisbehavingServer:
    """Answers with `behave(number of the request, body)`: a text, a message, a status, `"hang"` or `"drop"`.

    JSON as bytes is a whole response, and other bytes are a page.
    """

    def __init__(
        self, behave=lambda number, body: ANSWER, port=0, seconds=0.0, models=b'{"object": "list", "data": []}'
    ):
        self.behave = behave
        self.seconds = seconds  # that an answer takes
        self.requests = []  # bodies
        self.headers = []
        self.in_flight = self.most_in_flight = 0
        self.seen = Counter()
        self._lock = threading.Lock()
        self._connections = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                server._connections.append(self.connection)

            def do_GET(self):
                server.seen["GET"] += 1
                self.send(200, models, "application/json" if models.startswith(b"{") else "text/html")

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with server._lock:
                    number = len(server.requests)
                    server.requests.append(body)
                    server.headers.append(dict(self.headers))
                    server.in_flight += 1
                    server.most_in_flight = max(server.most_in_flight, server.in_flight)
                try:
                    self.answer(server.behave(number, body))
                finally:
                    with server._lock:
                        server.in_flight -= 1

            def answer(self, what):
                time.sleep(server.seconds)
                if what == "hang":
                    time.sleep(3)
                elif what == "drop":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                elif isinstance(what, bytes):
                    self.send(200, what, "application/json" if what.startswith((b"{", b"null")) else "text/html")
                elif isinstance(what, int):
                    self.reply(what, {"error": {"message": f"status {what}"}})
                elif self.path.endswith("/chat/completions"):
                    message = what if isinstance(what, dict) else {"content": what}
                    self.reply(200, self.completion(message={"role": "assistant", **message}))
                else:
                    self.reply(200, self.completion(text=what))

            def completion(self, **choice):
                choices = [{"index": 0, "finish_reason": "stop", **choice}]
                usage = {"prompt_tokens": 1, "completion_tokens": 9, "total_tokens": 10}
                return {"id": "1", "object": "o", "created": 1, "model": "m", "choices": choices, "usage": usage}

            def reply(self, status, content):
                self.send(status, json.dumps(content).encode(), "application/json")

            def send(self, status, data, content_type):
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(data)))
                if status == 429:
                    self.send_header("retry-after", "0.05")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *args):
                pass  # dropped connections

        self._http = Quiet(("127.0.0.1", port), Handler)
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._http.shutdown()
        self._http.server_close()
        for connection in self._connections:  # those that are kept alive would still be answered
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
