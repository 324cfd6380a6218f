"""A model server that answers in times known to the test: a real socket, and no model."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ScriptedServer(ThreadingHTTPServer):
    """Streams ``tokens`` texts, the first after ``first`` seconds, the others ``gap`` apart, and then its ``ending``."""

    request_queue_size = 512
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.first, self.gap, self.tokens = 0.0, 0.0, 1
        self.ending = "whole"
        self.stall: tuple[float, float] | None = None
        self.arrived: list[float] = []
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def stall_for(self, seconds: float, after: float) -> None:
        """Hold every answer that begins in a span of ``seconds`` until its end."""
        begin = time.perf_counter() + after
        self.stall = (begin, begin + seconds)


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer

    def do_GET(self) -> None:
        self._begin(200)
        self.wfile.write(json.dumps({"data": [{"id": "scripted"}, {"id": "other"}]}).encode())

    def do_POST(self) -> None:
        server = self.server
        server.arrived.append(time.perf_counter())
        server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        server.keys.append(self.headers.get("Authorization"))
        if server.stall is not None and server.stall[0] <= time.perf_counter() < server.stall[1]:
            time.sleep(max(0.0, server.stall[1] - time.perf_counter()))
        if server.ending.isdecimal():
            self._begin(int(server.ending))
            return
        self._begin(200)
        time.sleep(server.first)
        for number in range(server.tokens):
            if number:
                time.sleep(server.gap)
            self._event({"model": "scripted", "choices": [{"delta": {"content": "word "}}]})
        match server.ending:
            case "whole":
                self._event({"model": "scripted", "choices": [], "usage": {"completion_tokens": 3 * server.tokens}})
                self.wfile.write(b"data: [DONE]\n\n")
            case "error":
                self._event({"error": {"message": "the engine died"}})
            case "nonsense":
                self.wfile.write(b"data: {not json\n\n")

    def _begin(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def _event(self, document: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(document)}\r\n\r\n".encode())

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
